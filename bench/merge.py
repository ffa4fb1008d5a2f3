"""Merging accounts of 2,000 consumed contents, on one SQLite file and on Kafka, Cassandra and Redis.

Half of the contents have been consumed by both accounts and are merged, the other half is copied; the old account has 50
enrolments, all of which are copied and asked to be computed again. Merges are handled one by one; the job runs on this
process's thread, and what is measured is from the beginning of the first merge to the end of the last.
"""

import json
import logging
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import structlog
from cassandra.concurrent import execute_concurrent_with_args

from bench.arrivals import middle
from bench.drive import produce
from bench.figures import Benchmark, Figure
from bench.machine import Others
from bench.place import Place, new_token, own, write_settings
from bench.seed import prepared, unlink
from bench.servers import BenchError, Servers, cassandra, redis
from bench.worker import run_job
from lern.adapters.embedded import Embedded
from lern.job import Message
from lern.settings import JobSettings, Profile, load

JOB = "merge-user-courses"

CONTENTS, ENROLMENTS, MERGES = 2_000, 50, 5

_TIME = "2026-01-0{} 09:30:00:000+0000"

_Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Merged:
    """Some merges, one behind the other."""

    seconds: float
    """For one of them."""

    @property
    def rate(self) -> float:
        """Merges a second."""
        return 1 / self.seconds


def measure(servers: Servers, repeat: int) -> Benchmark:
    """Merges embedded and connected in turn."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    embedded: list[Merged] = []
    connected: list[Merged] = []
    with Others() as others:
        for _ in range(repeat):
            with tempfile.TemporaryDirectory(prefix="lern-bench-") as folder:
                embedded.append(_embedded(Path(folder)))
                connected.append(_connected(servers, Path(folder)))
    return Benchmark(
        name="merge",
        about=(
            f"{MERGES} merges of accounts with {CONTENTS:,} contents and {ENROLMENTS} enrolments, one by one;"
            f" the run in the middle of {repeat}"
        ),
        figures=[
            _seconds("one merge, embedded", middle(embedded)),
            _seconds("one merge, connected", middle(connected)),
        ],
        runs={"embedded": embedded, "connected": connected},
        others=others.share,
    )


def _seconds(name: str, found: Merged) -> Figure:
    return Figure(name, found.seconds, "s", least=2, aim=0.5, more_is_better=False)


def _embedded(folder: Path) -> Merged:
    settings = load([JOB], profile=Profile.EMBEDDED, overrides=[f"embedded.file={folder / 'run.db'}"]).jobs[
        JOB
    ]
    _fill_file(settings)
    done = run_job(settings, MERGES)
    embedded = Embedded(settings.embedded.file)
    try:
        rows = (
            embedded.row("user_content_consumption", **{name: str(row[name]) for name in _KEY})
            for row in _expected("")
        )
        _verify("", [row for row in rows if row])
    finally:
        embedded.close()
    return Merged(done.seconds / MERGES)


def _fill_file(settings: JobSettings) -> None:
    embedded = Embedded(settings.embedded.file, settings.embedded.partitions)
    try:
        with embedded.transaction():
            for row in _contents(""):
                embedded.put("user_content_consumption", row)
            for row in _enrolments(""):
                embedded.put("user_enrolments", row)
        embedded.log().send([Message(settings.topics.input, None, value) for value in _messages("")])
    finally:
        embedded.close()


def _connected(servers: Servers, folder: Path) -> Merged:
    token = new_token()
    place = _place(token)
    config = write_settings(place, servers, folder / "run.conf")
    keyspace = f"lms-cassandra.keyspace={place.courses}"
    settings = load([JOB], config=config, overrides=[keyspace]).jobs[JOB]
    with prepared(servers, place):
        _fill_tables(servers, place, token)
        produce(servers, place.input, [(None, value) for value in _messages(token)])
        try:
            done = run_job(settings, MERGES)
        finally:
            with redis(servers, place.marks) as client:
                unlink(client, (f"lern:merged:{_new(token, number)}" for number in range(MERGES)))
        with cassandra(servers) as session:
            query = f"SELECT {', '.join(_CHECKED)} FROM {place.courses}.user_content_consumption WHERE userid = %s"  # noqa: S608  # names are ours
            users = [_new(token, number) for number in range(MERGES)]
            _verify(
                token,
                [
                    dict(zip(_CHECKED, row, strict=True))
                    for user in users
                    for row in session.execute(query, [user])
                ],
            )
    return Merged(done.seconds / MERGES)


def _place(token: str) -> Place:
    place = own(token)
    return replace(
        place,
        input=f"{place.env}.lms.user.account.merge",
        audit=f"{place.env}.coursebatch.job.request",
        failed=f"{place.env}.learning.events.failed",
        certificate_requests="",
        publish="",
        publish_failed="",
        group=f"{place.env}-{JOB}-group",
    )


def _fill_tables(servers: Servers, place: Place, token: str) -> None:
    with cassandra(servers) as session:
        for table, rows in (
            ("user_content_consumption", list(_contents(token))),
            ("user_enrolments", list(_enrolments(token))),
        ):
            names, marks = ", ".join(rows[0]), ", ".join("?" * len(rows[0]))
            insert = session.prepare(f"INSERT INTO {place.courses}.{table} ({names}) VALUES ({marks})")  # noqa: S608  # names are ours
            execute_concurrent_with_args(session, insert, [tuple(row.values()) for row in rows])


_KEY = ("userid", "courseid", "batchid", "contentid")
_CHECKED = (*_KEY, "lastaccesstime", "viewcount", "completedcount")


def _old(token: str, number: int) -> str:
    return f"{token}old{number}"


def _new(token: str, number: int) -> str:
    return f"{token}new{number}"


def _content(user: str, number: int, day: int) -> _Row:
    key = (user, f"do_course_{number % ENROLMENTS}", "batch", f"do_{number:020}")
    row: _Row = dict(zip(_KEY, key, strict=True))
    row |= dict.fromkeys(("lastaccesstime", "lastcompletedtime", "lastupdatedtime"), _TIME.format(day))
    return row | {"status": 2, "progress": 100, "viewcount": 2, "completedcount": 1}


def _contents(token: str) -> Iterator[_Row]:
    """What both accounts of each merge have consumed."""
    for merge in range(MERGES):
        for number in range(CONTENTS):
            yield _content(_old(token, merge), number, 2)
            if number % 2:
                yield _content(_new(token, merge), number, 1)


def _enrolments(token: str) -> Iterator[_Row]:
    for merge in range(MERGES):
        for course in range(ENROLMENTS):
            yield {
                "userid": _old(token, merge),
                "courseid": f"do_course_{course}",
                "batchid": "batch",
                "status": 1,
            }


def _messages(token: str) -> Iterator[bytes]:
    for merge in range(MERGES):
        accounts = {"fromAccountId": _old(token, merge), "toAccountId": _new(token, merge)}
        yield json.dumps({"edata": {"action": "merge-user-courses-and-cert", **accounts}}).encode()


def _expected(token: str) -> Iterator[_Row]:
    for merge in range(MERGES):
        for number in range(CONTENTS):
            both = 1 + number % 2
            counts = {"viewcount": 2 * both, "completedcount": both}
            yield _content(_new(token, merge), number, 2) | counts


def _verify(token: str, found: Iterable[_Row]) -> None:
    def counted(rows: Iterable[_Row]) -> Counter[tuple[object, ...]]:
        return Counter(tuple(row[column] for column in _CHECKED) for row in rows)

    wrong = counted(_expected(token)) - counted(found)
    if wrong:
        raise BenchError(f"the result is wrong ({wrong.total()} rows): {next(iter(wrong))}")
