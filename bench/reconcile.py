"""`lern reconcile` over a course: every learner's progress is wrong, and half of the learners have completed the course.

Three runs of the command as users start it: one that mends everything, one that finds nothing to do, and a dry run. Seconds
are those of the process from its start to its end. Every row and the number of certificate requests are checked.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from cassandra.cluster import Session
from cassandra.concurrent import execute_concurrent
from cassandra.query import BatchStatement, BatchType

from bench.figures import Benchmark, Figure
from bench.load import Load
from bench.machine import Others
from bench.place import Place, new_token, own, write_settings
from bench.seed import prepared, unlink
from bench.servers import BenchError, Servers, cassandra, redis

LEARNERS = 10_000
_WRONG = 77
_LEAST, _AIM = 60.0, 30.0
_PATIENCE = 600.0
_LERN = Path(sys.executable).with_name("lern")


def measure(servers: Servers, learners: int = LEARNERS) -> Benchmark:
    """Mends a course once, and looks at it twice."""
    load = Load(new_token(), learners=learners)
    place = own(load.token)
    with tempfile.TemporaryDirectory(prefix="lern-bench-") as name, prepared(servers, place, groups=False):
        folder = Path(name)
        config = write_settings(place, servers, folder / "run.conf")
        with config.open("a") as file:
            file.write(f'jobs.enrolment-reconciliation.lms-cassandra.keyspace = "{place.courses}"\n')
        try:
            _fill(servers, place, load)
            with Others(servers.processes().values()) as others:
                used = _cpu()
                mended = _run(load, config, folder, changed=learners, completed=learners // 2)
                used = _cpu() - used
                _check(servers, place, load)
                again = _run(load, config, folder, changed=0, completed=0)
                dry = _run(load, config, folder, "--dry-run", changed=0, completed=0)
        finally:
            with redis(servers, place.relations) as client:
                unlink(client, (f"{load.course}:{node}:{relation}" for node, relation, _ in load.relations()))
    return Benchmark(
        name="reconcile",
        about=(
            f"`lern reconcile --course`: {learners:,} learners with {len(load.contents)} contents each in"
            f" {len(load.tree)} units, every row wrong, half of them complete the course; one run each"
        ),
        figures=[
            Figure(
                "everything mended",
                mended,
                "s",
                least=_LEAST * learners / LEARNERS,
                aim=_AIM * learners / LEARNERS,
                more_is_better=False,
            ),
            Figure("- learners", learners / mended, "/s"),
            Figure("- CPU of the process", used, "s", more_is_better=False),
            Figure("nothing to do", again, "s", more_is_better=False),
            Figure("a dry run", dry, "s", more_is_better=False),
        ],
        runs={},
        others=others.share,
    )


def _run(load: Load, config: Path, folder: Path, *options: str, changed: int, completed: int) -> float:
    started = time.monotonic()
    done = subprocess.run(
        [_LERN, "reconcile", "--course", load.course, "--config", config, *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE,
        env={"XDG_STATE_HOME": str(folder), "PATH": "/usr/bin:/bin"},
    )
    seconds = time.monotonic() - started
    said = re.search(
        r"enrolments: (\d+), (?:would change|changed): (\d+), of these completed: (\d+)", done.stderr
    )
    if done.returncode or not said or tuple(map(int, said.groups())) != (load.learners, changed, completed):
        raise BenchError(f"lern reconcile: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return seconds


def _cpu() -> float:
    """Seconds of CPU that all commands so far have used."""
    used = os.times()
    return used.children_user + used.children_system


def _fill(servers: Servers, place: Place, load: Load) -> None:
    with cassandra(servers) as session:
        execute_concurrent(session, _rows(session, place, load), concurrency=64, raise_on_first_error=True)
    with redis(servers, place.relations) as client:
        for node, relation, members in load.relations():
            client.sadd(f"{load.course}:{node}:{relation}", *members)


def _rows(session: Session, place: Place, load: Load) -> Iterator[tuple[object, tuple[object, ...] | None]]:
    """Every second learner has completed all contents, the others all but the last, which they have begun."""
    consumption = session.prepare(
        f"INSERT INTO {place.courses}.user_content_consumption (userid, courseid, batchid, contentid, status, viewcount)"  # noqa: S608  # names are ours
        " VALUES (?, ?, ?, ?, ?, 1)"
    )
    enrolment = session.prepare(
        f"INSERT INTO {place.courses}.user_enrolments (userid, courseid, batchid, active, status, progress)"  # noqa: S608  # names are ours
        f" VALUES (?, ?, ?, true, 1, {_WRONG})"
    )
    contents = load.contents
    for number, user in enumerate(load.users):
        rows = BatchStatement(BatchType.UNLOGGED)
        for content in contents:
            status = 1 if number % 2 and content == contents[-1] else 2
            rows.add(consumption, (user, load.course, load.batch, content, status))
        yield rows, None
        yield enrolment, (user, load.course, load.batch)


def _check(servers: Servers, place: Place, load: Load) -> None:
    with cassandra(servers) as session:
        found = {
            user: (progress, status)
            for user, progress, status in session.execute(
                f"SELECT userid, progress, status FROM {place.courses}.user_enrolments"  # noqa: S608  # names are ours
            )
        }
        (aggregates,) = session.execute(f"SELECT count(*) FROM {place.courses}.user_activity_agg").one()  # noqa: S608  # names are ours
    contents = len(load.contents)
    right = {user: (contents - number % 2, 2 - number % 2) for number, user in enumerate(load.users)}
    if found != right or aggregates != load.learners * (1 + len(load.tree)):
        raise BenchError("not all rows are as they should be")
