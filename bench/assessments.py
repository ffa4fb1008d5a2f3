"""The job of assessments on Kafka, Cassandra and Redis: `lern run` as users start it, with default settings.

Learners with stored attempts make more of them, which are sent at once to a program that is up and waits. Measured are
attempts a second until the last certificate request arrives, and the CPU of the process; beside them the floor
(`bench.floor`), whose tape is recorded before from a run on the same servers.
"""

import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import psutil
from cassandra.concurrent import execute_concurrent_with_args

from bench.arrivals import Part, middle, parts
from bench.attempts import Attempts
from bench.drive import PROGRAM, command, produce, program, python, wait_for_group
from bench.figures import Benchmark, Figure
from bench.machine import Others
from bench.place import PARTITIONS, Place, new_token, own, write_settings
from bench.seed import prepared, unlink
from bench.servers import BenchError, Servers, cassandra, redis
from bench.watch import ProcessWatch, TopicWatch
from bench.worker import described, settings_of

JOB = "assessment-aggregator"

LEAST, AIM = 1000, 2000
"""Attempts a second that one core has to do."""

_WAIT_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One run."""

    part: Part
    others: float
    """How much of the machine's CPU went to processes that have nothing to do with this (0 to 1)."""

    @property
    def rate(self) -> float:
        """Attempts a second."""
        return self.part.rate

    @property
    def by_core(self) -> float:
        """Attempts for a second of the process's CPU."""
        return 1000 / self.part.cpu_ms[PROGRAM]


def measure(servers: Servers, repeat: int) -> Benchmark:
    """Runs ours and the floor in turn, so that what changes on the machine changes for both."""
    load, ours, floors = Attempts(new_token()), list[Measured](), list[Measured]()
    with tempfile.TemporaryDirectory(prefix="lern-bench-") as name:
        folder = Path(name)
        recorded, tape = _record(servers, load, folder)
        for _ in range(repeat):
            with _filled(servers, load, folder) as (place, config):
                ours.append(_run(servers, place, load, command(config, [JOB])))
            with _filled(servers, load, folder) as (place, config):
                addresses = (servers.kafka, servers.cassandra, servers.redis)
                replay = python("bench.floor", "bound", tape, recorded.env, place.env, *addresses)
                floors.append(_run(servers, place, load, replay))
        settings = described(settings_of(JOB, config))
    run, floor = middle(ours), middle(floors)
    cpu, bottom = run.part.cpu_ms, floor.part.cpu_ms
    return Benchmark(
        name="assessments",
        about=(
            f"{load.learners:,} learners with {load.stored} attempts each, {load.size:,} attempts of {load.questions}"
            f" questions ({len(load.value(load.events[0])) / 1e3:.0f} KB) sent at once to {PARTITIONS} partitions;"
            f" `lern run` with default settings ({settings}); the run in the middle of {repeat}"
        ),
        figures=[
            Figure("attempts a second", run.rate, "/s", floor=floor.rate),
            Figure("- by a core of the process", run.by_core, "/s", floor.by_core, LEAST, AIM),
            *(
                Figure(f"CPU of {each}, an attempt", cpu[each], "ms", bottom.get(each), more_is_better=False)
                for each in cpu
            ),
        ],
        runs={"ours": ours, "floor": floors},
        others=max(each.others for each in (*ours, *floors)),
    )


def _record(servers: Servers, load: Attempts, folder: Path) -> tuple[Place, Path]:
    """Where a tape of the job was recorded, and the tape. The servers are warm afterwards."""
    tape = folder / "tape"
    with _filled(servers, load, folder) as (place, config):
        _send(servers, place, load)
        done = subprocess.run(
            python("bench.recorder", JOB, config, str(load.size), tape),
            timeout=_WAIT_SECONDS,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BenchError(f"recording failed\n{done.stderr[-2000:]}")
        _verify(servers, place, load)
    return place, tape


@contextmanager
def _filled(servers: Servers, load: Attempts, folder: Path) -> Iterator[tuple[Place, Path]]:
    """A place with the attempts that are stored, and its settings; gone afterwards."""
    place = own(new_token())
    place = replace(
        place,
        input=f"{place.env}.telemetry.assess",
        failed=f"{place.env}.telemetry.assess.failed",
        audit="",
        group=f"{place.env}-{JOB}-group",
    )
    with prepared(servers, place):
        with cassandra(servers) as session:
            insert = session.prepare(
                f"INSERT INTO {place.courses}.assessment_aggregator (user_id, course_id, batch_id, content_id,"  # noqa: S608  # names are ours
                " attempt_id, created_on, last_attempted_on, updated_on, total_score, total_max_score, grand_total)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 20.0, ?)"
            )
            rows = [
                (
                    *(made.user, load.course, load.batch, made.content, made.attempt),
                    *([datetime.fromtimestamp(made.at / 1000, UTC)] * 3),
                    *(number % 40 / 2, f"{number % 40 / 2}/20.0"),
                )
                for number, made in enumerate(load.before())
            ]
            execute_concurrent_with_args(session, insert, rows, concurrency=128)
        leaves = f"{load.course}:{load.course}:leafnodes"
        with redis(servers, place.relations) as client:
            client.sadd(leaves, *load.contents)
        yield place, write_settings(place, servers, folder / f"{place.env}.conf")
        with redis(servers, place.relations) as client:
            unlink(client, [leaves])
        with redis(servers, place.marks) as client:
            unlink(client, (f"lern:journal:{place.group}:{place.input}:{each}" for each in range(PARTITIONS)))


def _send(servers: Servers, place: Place, load: Attempts) -> None:
    produce(servers, place.input, [(made.user.encode(), load.value(made)) for made in load.events])


def _run(servers: Servers, place: Place, load: Attempts, words: Sequence[str | Path]) -> Measured:
    """Starts a program, waits until it has its partitions, and measures it."""
    with program(words) as running:
        wait_for_group(servers, place.group, PARTITIONS, running)
        watched = {PROGRAM: psutil.Process(running.pid), **servers.processes()}
        others = Others(watched.values())
        with (
            TopicWatch(servers, place.certificate_requests) as requests,
            ProcessWatch(watched) as processes,
            others,
        ):
            time.sleep(0.5)
            start = time.monotonic()
            _send(servers, place, load)
            while requests.total < load.size:
                if running.poll() is not None or time.monotonic() - start > _WAIT_SECONDS:
                    raise BenchError(f"{requests.total} of {load.size} attempts were handled")
                time.sleep(0.02)
            time.sleep(0.3)  # what comes too often comes now
    _verify(servers, place, load)
    if len(requests.values) != load.size:
        raise BenchError(f"{len(requests.values)} certificate requests in place of {load.size}")
    return Measured(parts(requests.arrivals, start, load.size, 1, processes.usage)["all"], others.share)


def _verify(servers: Servers, place: Place, load: Attempts) -> None:
    """Raises BenchError unless every learner has all attempts, and their number in the aggregates."""
    wanted = (load.stored + load.each) // len(load.contents)
    with cassandra(servers) as session:
        select = session.prepare(
            f"SELECT aggregates, agg_details FROM {place.courses}.user_activity_agg WHERE activity_type = 'Course'"  # noqa: S608  # names are ours
            " AND activity_id = ? AND user_id = ? AND context_id = ?"
        )
        keys = [(load.course, user, f"cb:{load.batch}") for user in load.users]
        for answer in execute_concurrent_with_args(session, select, keys, concurrency=64):
            row = answer.result_or_exc.one()
            counts = {content: row and row[0].get(f"attempts_count:{content}") for content in load.contents}
            if set(counts.values()) != {wanted} or len(row[1]) != load.stored + load.each:
                raise BenchError(f"the result is wrong: {counts}")
