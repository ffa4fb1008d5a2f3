"""Where a long command was when it was interrupted: a small file, so that the next run can go on there."""

import fcntl
import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgspec

from lern.errors import SettingsError


class Reached(msgspec.Struct, frozen=True):
    """How far a run has come."""

    what: str
    """What is being done, for whoever looks into the file."""
    position: str
    done: int
    """How many are behind it."""


def folder() -> Path:
    """Where such files are: `$XDG_STATE_HOME/lern`, by default `~/.local/state/lern`."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "lern"


class Bookmark:
    """The file of one piece of work, of which only one process at a time may be doing it.

    Raises SettingsError when another process is at it, and OSError where no file can be made.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self.file = folder() / f"reconcile-{hashlib.sha256(what.encode()).hexdigest()[:16]}.json"
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self._handle: IO[bytes] = self.file.open("a+b")
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._handle.close()
            raise SettingsError(f"another process does the same work at this moment ({self.file})") from error
        self._handle.seek(0)
        self.reached: Reached | None = None
        """Where an earlier run was interrupted; one that wrote half of it has come nowhere."""
        with suppress(msgspec.DecodeError):
            self.reached = msgspec.json.decode(self._handle.read(), type=Reached)

    def move(self, position: str, done: int) -> None:
        """Remembers how far the work is; outlives the process."""
        self._handle.seek(0)
        self._handle.truncate()
        self._handle.write(msgspec.json.encode(Reached(self._what, position, done)))
        self._handle.flush()

    def close(self, *, finished: bool) -> None:
        """Lets others in; when all is done, there is nothing to go on with."""
        if finished or not self._handle.seek(0, os.SEEK_END):
            self.file.unlink(missing_ok=True)
        self._handle.close()
