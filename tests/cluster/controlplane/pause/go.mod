module sizeup.dev/tests/cluster/controlplane/pause

go 1.24.0
