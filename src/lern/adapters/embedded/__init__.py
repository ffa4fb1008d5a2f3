"""The embedded profile: every port on one SQLite file, no server."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from lern.adapters.embedded.accounts import EmbeddedAccounts
from lern.adapters.embedded.database import Database, ProcessLock
from lern.adapters.embedded.directory import EmbeddedDirectory
from lern.adapters.embedded.facts import EmbeddedFacts
from lern.adapters.embedded.log import EmbeddedConsumer, EmbeddedLog
from lern.adapters.embedded.replays import EmbeddedReplays
from lern.adapters.embedded.stores import EmbeddedStores
from lern.errors import Unavailable
from lern.ports import Facts
from lern.settings.model import JobSettings


class Embedded:
    """One file and everything on it."""

    def __init__(self, file: Path, partitions: int = 4, retention_days: float = 30.0) -> None:
        self._file = file
        self._lock: ProcessLock | None = None
        self._database = Database(file)
        self._log = EmbeddedLog(self._database, partitions, retention_days)
        self._facts = EmbeddedFacts(self._database)

    def occupy(self) -> None:
        """Takes the file for this process's jobs. Raises SettingsError naming the process that has it."""
        if self._lock is None:
            self._lock = ProcessLock(self._file)

    def available(self) -> str | None:
        """None, or why the file cannot be used."""
        try:
            self._database.rows("SELECT 1")
        except Unavailable as error:
            return str(error)
        return None

    def facts(self) -> Facts:
        """All reading ports."""
        own = self._facts
        accounts = EmbeddedAccounts(self._database)
        return Facts(
            hierarchies=own,
            relations=own,
            progress=own,
            marks=own,
            collections=own,
            accounts=accounts,
            contributions=accounts,
            attempts=own,
            contents=own,
        )

    def directory(self) -> EmbeddedDirectory:
        """Who is enrolled."""
        return EmbeddedDirectory(self._database)

    def stores(self, settings: JobSettings) -> EmbeddedStores:
        """The writing port of one job."""
        return EmbeddedStores(self._database, self._facts, settings.activity.mark_expiry)

    def consumer(self, topic: str, group: str, *, observe: bool = False) -> EmbeddedConsumer:
        """The consumer of one job; with `observe`, its position is read but never moved."""
        return EmbeddedConsumer(self._database, self._log, topic, group, observe=observe)

    def log(self) -> EmbeddedLog:
        """The topics."""
        return self._log

    def replays(self, topic: str) -> EmbeddedReplays:
        """What has been sent again of a failed topic."""
        return EmbeddedReplays(self._database, topic)

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing, on everything in the file."""
        return self._database.transaction()

    def put(self, table: str, row: Mapping[str, object]) -> None:
        """Writes one row of a table of the installation; columns that are not given stay as they are."""
        self._database.put(table, row)

    def row(self, table: str, **key: str) -> dict[str, Any] | None:
        """One row of a table of the installation, with maps, lists and times as Python values."""
        return self._database.row(table, **key)

    def close(self) -> None:
        """Closes the file, and lets another process have it."""
        self._database.close()
        if self._lock:
            self._lock.release()
