"""One run of the embedded benchmark, in the process that is measured.

    python -m bench.embedded_run job|record|floor FILE TAPE TOKEN EVENTS

`job` handles the events in FILE, `record` does so too and writes the SQL it sent to TAPE, `floor` plays TAPE. Prints
a `Run` as JSON. Imports no more than the job does, so that its memory is the job's.
"""

import os
import sqlite3
import sys
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from bench.worker import run_job
from lern.settings import JobSettings, Profile, load

JOB = "activity-aggregate-updater"

Statement = tuple[str, bool, list[list[Any]]]
"""SQL, whether it is an `executemany`, and its rows of values (one row for an `execute`)."""


class Run(msgspec.Struct, frozen=True):
    """How it went."""

    events: int
    seconds: float
    """From the beginning of the first batch to the end of the last."""
    cpu: float
    """Seconds of CPU in that time."""
    resident: int
    """The most memory that the process ever held, in bytes."""

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds


def settings_of(token: str, file: Path) -> JobSettings:
    """The job's settings on a file, by default but for the names."""
    overrides = [f"embedded.file={file}", f"job.env=bench{token}"]
    return load([JOB], profile=Profile.EMBEDDED, overrides=overrides).jobs[JOB]


def _job(settings: JobSettings, events: int) -> tuple[float, float]:
    done = run_job(settings, events, drain=True)
    return done.seconds, done.cpu


def _record(settings: JobSettings, events: int, tape: Path) -> tuple[float, float]:
    statements: list[Statement] = []

    class Recorded(sqlite3.Connection):
        """Takes down what is asked of it."""

        def execute(self, sql: str, values: Any = (), /) -> sqlite3.Cursor:
            statements.append((sql, False, [list(values)]))
            return super().execute(sql, values)

        def executemany(self, sql: str, rows: Iterable[Any], /) -> sqlite3.Cursor:
            kept = [list(row) for row in rows]
            statements.append((sql, True, kept))
            return super().executemany(sql, kept)

    # The driver is wrapped; the package stays as it is.
    sqlite3.connect = partial(sqlite3.connect, factory=Recorded)  # type: ignore[assignment]  # fewer overloads
    done = _job(settings, events)
    tape.write_bytes(msgspec.msgpack.encode(statements))
    return done


def _floor(file: Path, tape: Path) -> tuple[float, float]:
    recorded = msgspec.msgpack.decode(tape.read_bytes(), type=list[Statement])
    statements = [
        (sql, many, [tuple(row) for row in rows])
        for sql, many, rows in recorded
        if not sql.startswith("PRAGMA")
    ]
    connection = sqlite3.connect(file, isolation_level=None, cached_statements=256)
    for sql, _, _ in recorded:
        if sql.startswith("PRAGMA"):
            connection.execute(sql)
    started, cpu = time.monotonic(), time.process_time()
    for sql, many, rows in statements:
        if many:
            connection.executemany(sql, rows)
        else:
            connection.execute(sql, rows[0]).fetchall()
    return time.monotonic() - started, time.process_time() - cpu


def _most_memory() -> int:
    """The most memory that this process ever held, in bytes; `getrusage` counts what its parent held as well."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def main(arguments: Sequence[str]) -> None:
    """The command line of this module."""
    what, file, tape, token, events = arguments
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    settings = settings_of(token, Path(file))
    match what:
        case "job":
            seconds, cpu = _job(settings, int(events))
        case "record":
            seconds, cpu = _record(settings, int(events), Path(tape))
        case "floor":
            seconds, cpu = _floor(Path(file), Path(tape))
        case _:
            sys.exit(f"no such run: {what}")
    sys.stdout.buffer.write(msgspec.json.encode(Run(int(events), seconds, cpu, _most_memory())))


if __name__ == "__main__":
    main(sys.argv[1:])
