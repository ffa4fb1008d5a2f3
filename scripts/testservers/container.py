"""The servers as containers: the path for machines with a container engine (Docker's or Podman's compose).

The images and their settings are in `compose.yaml`; the state's data folder only lends the project its name.
"""

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from testservers.errors import ServersError
from testservers.fetch import run
from testservers.server import Server
from testservers.state import Entry

_FILE = Path(__file__).with_name("compose.yaml")


class Container:
    """Runs servers by an engine's compose command, as the project that `project` names when it is needed."""

    name = "container"

    def __init__(self, engine: str, project: Callable[[], str]) -> None:
        self._engine = engine
        self._project = project

    def fetch(self, _server: Server) -> None:
        """Nothing: the engine fetches images when it starts them."""

    def start(self, server: Server, entry: Entry) -> None:
        """Create or start the server's container, published on the entry's port."""
        ports = {f"LERN_{server.name.upper()}_PORT": str(entry.ports["client"])}
        run(self._command("up", "--detach", "--no-deps", server.name), env={**os.environ, **ports})

    def stop(self, entries: Mapping[str, Entry], *, kill: bool = False) -> None:
        """Stop containers, and keep them and their data."""
        if entries:
            run(self._command("kill" if kill else "stop", *entries))

    def remove(self) -> None:
        """Remove the project's containers and their data."""
        run(self._command("down", "--volumes", "--timeout", "15"))

    def running(self, name: str, _entry: Entry) -> bool:
        """Whether the server's container runs."""
        return bool(self._output("ps", "--quiet", "--status", "running", name).strip())

    def log(self, name: str, _entry: Entry) -> str:
        """What the container printed."""
        return self._output("logs", "--no-color", "--tail", "20", name)

    def _command(self, *words: str) -> list[str]:
        return [self._engine, "compose", "--file", str(_FILE), "--project-name", self._project(), *words]

    def _output(self, *words: str) -> str:
        done = subprocess.run(self._command(*words), capture_output=True, text=True, check=False)
        return done.stdout


def engine() -> str | None:
    """The container engine that answers here, if one does."""
    for name in ("docker", "podman"):
        try:
            run([name, "compose", "version"])
            run([name, "info"])
        except (OSError, ServersError):
            continue
        return name
    return None
