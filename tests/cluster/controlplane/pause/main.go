// Holds the namespaces of a pod until it receives SIGTERM.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGINT, syscall.SIGTERM)
	// Process 1 of the pod's namespace adopts orphans; ignored children leave no zombies.
	signal.Ignore(syscall.SIGCHLD)
	<-ended
}
