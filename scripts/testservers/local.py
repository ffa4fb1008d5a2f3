"""The servers as processes of this machine."""

import shutil
from collections.abc import Mapping

from testservers import process
from testservers.server import Server
from testservers.state import Entry


class Local:
    """Runs servers as processes that are remembered by id and start time."""

    name = "local"

    def fetch(self, server: Server) -> None:
        """Get the server's program and jars."""
        server.fetch()

    def start(self, server: Server, entry: Entry) -> None:
        """Start the server's process on its folder, which is made when it is not there yet."""
        if not entry.folder.exists():
            self._prepare(server, entry)
        entry.process = process.launch(server.command(entry.folder), entry.folder, entry.log)

    def stop(self, entries: Mapping[str, Entry], *, kill: bool = False) -> None:
        """Stop the processes of servers; an id that belongs to another process now is left alone."""
        process.stop((entry.process for entry in entries.values() if entry.process), kill=kill)
        for entry in entries.values():
            entry.process = None

    def remove(self) -> None:
        """Nothing is left of a process that has ended."""

    def running(self, _name: str, entry: Entry) -> bool:
        """Whether the server's process is there."""
        return entry.process is not None and entry.process.alive()

    def log(self, _name: str, entry: Entry) -> str:
        """What the server printed."""
        return entry.log.read_text(errors="replace") if entry.log.exists() else ""

    def _prepare(self, server: Server, entry: Entry) -> None:
        entry.folder.mkdir()
        try:
            server.prepare(entry.folder, entry.ports)
        except BaseException:
            shutil.rmtree(entry.folder)
            raise
