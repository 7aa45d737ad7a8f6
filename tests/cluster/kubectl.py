"""A wrapper around kubectl."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cluster.command import CommandError, run

Json = dict[str, Any]

_SECONDS = 60.0
"""Deadline of one API call on a busy machine."""


class Kubectl:
    """kubectl with the credentials of a cluster and a default namespace."""

    def __init__(self, argv: Sequence[str | Path], namespace: str = "default") -> None:
        """Use `argv` as the command line prefix."""
        self._argv = tuple(argv)
        self.namespace = namespace

    def within(self, namespace: str) -> "Kubectl":
        """Return the same client with another namespace."""
        return Kubectl(self._argv, namespace)

    def __call__(self, *arguments: str, stdin: str | None = None, seconds: float = _SECONDS) -> str:
        """Return the output of kubectl. Raises CommandError if it fails."""
        argv = [*self._argv, "--namespace", self.namespace, *arguments]
        return run(argv, seconds=seconds, stdin=stdin)

    def get(self, *what: str) -> Json:
        """Return an object or a list. Raises CommandError if it does not exist."""
        found: Json = json.loads(self("get", *what, "--output=json"))
        return found

    def items(self, *what: str) -> list[Json]:
        """Return the objects of a kind."""
        return list(self.get(*what)["items"])

    def names(self, *what: str) -> set[str]:
        """Return the names of the objects of a kind."""
        return {item["metadata"]["name"] for item in self.items(*what)}

    def apply(self, *objects: Json) -> None:
        """Create or update objects."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self("apply", "--server-side", "--filename=-", stdin=json.dumps(listed))

    def patch(self, what: str, change: Json, *options: str) -> None:
        """Merge a change into an object."""
        self("patch", what, "--type=merge", f"--patch={json.dumps(change)}", *options)

    def wait(self, what: str, condition: str, seconds: float, *options: str) -> None:
        """Wait for a condition in kubectl's syntax. Raises CommandError on timeout."""
        waiting = ["wait", what, f"--for={condition}", f"--timeout={seconds:.0f}s", *options]
        self(*waiting, seconds=seconds + _SECONDS)

    def rolled_out(self, what: str, seconds: float) -> None:
        """Wait until a rollout is complete. Raises CommandError on timeout."""
        self("rollout", "status", what, f"--timeout={seconds:.0f}s", seconds=seconds + _SECONDS)

    def try_get(self, *what: str) -> Json | None:
        """Return an object, or None if it does not exist or the API server is unreachable."""
        try:
            return self.get(*what)
        except CommandError:
            return None
