"""The progress job on one SQLite file and one core.

The job runs in a process of its own that is bound to one core, from the beginning of its first batch to the end of its
last. The floor are the same SQL statements with the same values in the same transactions, replayed on a copy of the
same file by bare `sqlite3` (`execute` and `executemany` as the job calls them, all rows of a query fetched); whatever
decides, decodes and encodes is not in it. What a batch has to wait for until it is full is in neither.
"""

import shutil
import sqlite3
import subprocess
import tempfile
from pathlib import Path

import msgspec

from bench.arrivals import middle
from bench.check import wrong_audits, wrong_progress
from bench.drive import python
from bench.embedded_run import Run, settings_of
from bench.figures import Benchmark, Figure
from bench.load import Load
from bench.machine import Others
from bench.servers import BenchError
from lern.adapters.embedded import Embedded
from lern.domain.model import CourseId, Relation, RelationKey
from lern.job import Message, ReplaceRelation

_SECONDS = 300


def measure(load: Load, repeat: int) -> Benchmark:
    """Runs ours and the floor in turn."""
    ours: list[Run] = []
    floors: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="lern-bench-") as name:
        folder = Path(name)
        _seed(load, folder / "seeded.db")
        _run(load, folder, "record")
        with Others() as others:
            for _ in range(repeat):
                ours.append(_run(load, folder, "job"))
                floors.append(_run(load, folder, "floor"))
    run, floor = middle(ours), middle(floors)
    return Benchmark(
        name="embedded",
        about=(
            f"{load.learners:,} learners, {load.size:,} events in 4 partitions of one SQLite file, one core, batches of"
            f" 1,000, every batch on disk (synchronous = FULL); the run in the middle of {repeat} by events a second"
        ),
        figures=[
            Figure("events a second, one core", run.rate, "/s", floor.rate, least=5_000, aim=15_000),
            Figure(
                "CPU of the process, an event",
                run.cpu / run.events * 1000,
                "ms",
                floor.cpu / floor.events * 1000,
                more_is_better=False,
            ),
            Figure("resident memory, one job", run.resident / 1e6, "MB", more_is_better=False),
        ],
        runs={"ours": ours, "floor": floors},
        others=others.share,
    )


def _run(load: Load, folder: Path, what: str) -> Run:
    """One run on a fresh copy of the file."""
    file, tape = folder / "run.db", folder / "tape"
    for old in folder.glob("run.db*"):
        old.unlink()
    shutil.copy(folder / "seeded.db", file)
    done = subprocess.run(
        python("bench.embedded_run", what, file, tape, load.token, str(load.size)),
        timeout=_SECONDS,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"embedded {what} failed\n{done.stderr.decode(errors='replace')[-2000:]}")
    _verify(load, file)
    return msgspec.json.decode(done.stdout, type=Run)


def _seed(load: Load, file: Path) -> None:
    """The file before the events are handled: through the package, which alone knows what it looks like."""
    settings = settings_of(load.token, file)
    embedded = Embedded(file, settings.embedded.partitions)
    try:
        with embedded.transaction():
            key = {"courseid": load.course, "batchid": load.batch}
            for user in load.users:
                embedded.put("user_enrolments", {"userid": user, **key, "active": True, "status": 0})
            for user, content in load.completions:
                row = {"userid": user, **key, "contentid": content, "status": 2, "progress": 100}
                embedded.put("user_content_consumption", row)
            embedded.stores(settings).apply(
                [
                    ReplaceRelation(
                        RelationKey(CourseId(load.course), node, Relation(relation)), frozenset(members)
                    )
                    for node, relation, members in load.relations()
                ]
            )
        topic = settings.topics.input
        embedded.log().send(
            [Message(topic, each.user.encode(), load.event(each)) for each in load.completions]
        )
    finally:
        embedded.close()


def _verify(load: Load, file: Path) -> None:
    topics = settings_of(load.token, file).topics
    connection = sqlite3.connect(file)
    try:
        rows = connection.execute
        audits = [value for (value,) in rows("SELECT value FROM messages WHERE topic = ?", [topics.audit])]
        [(others,)] = rows(
            "SELECT count(*) FROM messages WHERE topic NOT IN (?, ?)", [topics.audit, topics.input]
        )
        problems = [
            *wrong_audits(load, audits),
            *([f"{others} other messages"] if others else []),
            *wrong_progress(
                load,
                rows(
                    "SELECT userid, contentid, status, viewcount, completedcount FROM user_content_consumption"
                ),
                (
                    (user, status, progress, msgspec.json.decode(contents or "{}"))
                    for user, status, progress, contents in rows(
                        "SELECT userid, status, progress, contentstatus FROM user_enrolments"
                    )
                ),
                (
                    (activity, user, msgspec.json.decode(values or "{}"))
                    for activity, user, values in rows(
                        "SELECT activity_id, user_id, aggregates FROM user_activity_agg"
                    )
                ),
            ),
        ]
    finally:
        connection.close()
    if problems:
        raise BenchError(f"the result is wrong ({len(problems)} differences): {'; '.join(problems[:5])}")
