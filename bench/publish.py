"""Publishing a large course: from the event that is sent until all its sets and units are in Redis.

`lern run` with both jobs and default settings, up, waiting, and with its connections made by a small course before.
The floor is what the bare drivers take to read the same hierarchy and to send the same bytes to Redis (`bench.floor`);
it does not wait for a batch to fill, which the job does for the read interval of a second at most. The rule's own time
is that of computing the relations from the JSON, without any server.
"""

import json
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from cassandra import InvalidRequest

from bench.arrivals import middle
from bench.drive import command, produce, program, python, wait_for_group
from bench.figures import Benchmark, Figure
from bench.load import COLLECTION
from bench.machine import Others
from bench.place import JOBS, PARTITIONS, Place, new_token, own, write_settings
from bench.seed import prepared, store_hierarchy, unlink
from bench.servers import BenchError, Servers, redis
from bench.trees import Tree, tree
from bench.watch import ProcessWatch
from bench.worker import described, settings_of
from lern.domain.hierarchy import relations
from lern.domain.model import CourseId

JOB = "relation-cache-updater"

NODES, DEPTH, DEEP = 20_000, 5, 20

_NODE_BYTES = (780, 400)
"""The larger size makes a hierarchy of 15.6 MB, about the most that Cassandra takes with its default settings (a row of
half a commit log segment, 16 MiB); the smaller one is for servers with smaller segments."""

_RULE_BYTES = 1000
_WAIT_SECONDS = 120.0
_QUICK = "0.05"
"""Seconds of the read interval in the run that shows what the default costs."""


@dataclass(frozen=True, slots=True)
class Published:
    """One course was published."""

    seconds: float
    resident: int
    """The most memory that the program held, in bytes."""
    others: float

    @property
    def rate(self) -> float:
        """Courses a second."""
        return 1 / self.seconds


@dataclass(frozen=True, slots=True)
class _Courses:
    """What is published."""

    wide: Tree
    deep: Tree
    small: Tree
    node_bytes: int


def measure(servers: Servers, repeat: int) -> Benchmark:
    """Publishes by ours and by the floor in turn."""
    ours: list[Published] = []
    floors: list[Published] = []
    with tempfile.TemporaryDirectory(prefix="lern-bench-") as name, _courses(servers) as (place, courses):
        config = write_settings(place, servers, Path(name) / "run.conf")
        run, settings = command(config, JOBS), described(settings_of(JOB, config))
        tape = _record(servers, place, courses.wide, config, Path(name))
        for _ in range(repeat):
            ours.append(_publish(servers, place, courses.wide, run, courses.small))
            floors.append(_floor(servers, place, courses, tape))
        quick = command(config, JOBS, {"threshold.batch.read.interval": _QUICK})
        quickly = _publish(servers, place, courses.wide, quick, courses.small)
        deep = _publish(servers, place, courses.deep, run, courses.small)
    found, floor = middle(ours), middle(floors)
    return Benchmark(
        name="publish",
        about=(
            f"a course of {NODES:,} nodes ({len(courses.wide.json) / 1e6:.1f} MB of JSON, {courses.node_bytes} bytes a"
            f" node, {len(courses.wide.sets):,} sets, {len(courses.wide.units):,} units); `lern run` with default settings"
            f" ({settings}); the run in the middle of {repeat}"
        ),
        figures=[
            _seconds("published, event to last set", found.seconds, floor.seconds, least=2, aim=0.5),
            _seconds(f"- with a read interval of {_QUICK} s", quickly.seconds, floor.seconds),
            _seconds(f"- {DEEP} levels deep", deep.seconds),
            *(
                _seconds(f"the rule alone, {depth} levels, {_RULE_BYTES} bytes a node", _rule_seconds(depth))
                for depth in (DEPTH, DEEP)
            ),
            Figure("resident memory, both jobs", found.resident / 1e6, "MB", more_is_better=False),
            Figure(f"- {DEEP} levels deep", deep.resident / 1e6, "MB", more_is_better=False),
        ],
        runs={"ours": ours, "floor": floors, "quick": [quickly], "deep": [deep]},
        others=max(each.others for each in (*ours, *floors)),
    )


def _seconds(
    name: str, value: float, floor: float | None = None, least: float | None = None, aim: float | None = None
) -> Figure:
    return Figure(name, value, "s", floor, least, aim, more_is_better=False)


def _rule_seconds(depth: int) -> float:
    """The best of three: what the rule takes when nothing disturbs it."""
    course = tree("do_rule", NODES, depth, _RULE_BYTES)
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        relations(CourseId(course.course), course.json)
        taken.append(time.perf_counter() - started)
    return min(taken)


@contextmanager
def _courses(servers: Servers) -> Iterator[tuple[Place, _Courses]]:
    """Courses in the table, as large as the server takes them."""
    token = new_token()
    place = own(token)
    small = tree(f"do_{token}3", 60, 3, 500)
    with prepared(servers, place):
        for node_bytes in _NODE_BYTES:
            wide = tree(f"do_{token}1", NODES, DEPTH, node_bytes)
            deep = tree(f"do_{token}2", NODES, DEEP, node_bytes)
            try:
                for course in (wide, deep, small):
                    store_hierarchy(servers, place, course.course, course.json)
            except InvalidRequest:
                if node_bytes == _NODE_BYTES[-1]:
                    raise
                continue
            break
        yield place, _Courses(wide, deep, small, node_bytes)


def _record(servers: Servers, place: Place, course: Tree, config: Path, folder: Path) -> Path:
    tape = folder / "tape"
    _send(servers, place, course)
    with _cleared(servers, place, course):
        done = subprocess.run(
            python("bench.recorder", JOB, config, "1", tape),
            timeout=_WAIT_SECONDS,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BenchError(f"recording failed\n{done.stderr[-2000:]}")
        _verify(servers, place, course)
    return tape


def _floor(servers: Servers, place: Place, courses: _Courses, tape: Path) -> Published:
    """The tape on topics of its own: a group of its own would read the events of the runs before."""
    elsewhere = own(new_token())
    addresses = (servers.kafka, servers.cassandra, servers.redis)
    with prepared(servers, elsewhere):
        store_hierarchy(servers, elsewhere, courses.wide.course, courses.wide.json)
        replay = python("bench.floor", "bound", tape, place.env, elsewhere.env, *addresses)
        return _publish(servers, elsewhere, courses.wide, replay)


def _publish(
    servers: Servers, place: Place, course: Tree, run: Sequence[str | Path], before: Tree | None = None
) -> Published:
    with program(run) as running, _cleared(servers, place, course, before):
        wait_for_group(servers, f"{place.env}-{JOB}-group", PARTITIONS, running)
        if before:
            _send(servers, place, before)
            _wait(servers, place, before)
            time.sleep(1.5)  # longer than the read interval: what follows is a batch of its own
        watched = {"program": psutil.Process(running.pid), **servers.processes()}
        with ProcessWatch(watched) as processes, Others(watched.values()) as others:
            started = time.monotonic()
            _send(servers, place, course)
            _wait(servers, place, course)
            seconds = time.monotonic() - started
        _verify(servers, place, course)
    return Published(seconds, processes.resident, others.share)


def _send(servers: Servers, place: Place, course: Tree) -> None:
    edata = {
        "action": "post-publish-process",
        "identifier": course.course,
        "mimeType": COLLECTION,
        "contentType": "Course",
        "name": "A large course",
        "status": "Live",
        "pkgVersion": 1,
    }
    event = {"eid": "BE_JOB_REQUEST", "ets": 0, "mid": "LP.0", "edata": edata}
    # With a key, though the platform sends none: so the floor's event comes to the partition of its tape.
    produce(servers, place.publish, [(course.course.encode(), json.dumps(event).encode())])


def _wait(servers: Servers, place: Place, course: Tree) -> None:
    """Looks every five milliseconds for a few keys; when these are there, for all of them."""
    choice = random.Random(1)
    sets, units = sorted(course.sets), sorted(course.units)
    with redis(servers, place.relations) as relation, redis(servers, place.collections) as collection:
        for client, keys in ((relation, sets), (collection, units)):
            _until(client.exists, choice.sample(keys, min(50, len(keys))))
            _until(client.exists, keys)


def _until(exists: Callable[..., object], keys: Sequence[str]) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while exists(*keys) != len(keys):
        if time.monotonic() > deadline:
            raise BenchError(f"not all of {len(keys)} keys came within {_WAIT_SECONDS:.0f} seconds")
        time.sleep(0.005)


def _verify(servers: Servers, place: Place, course: Tree) -> None:
    with redis(servers, place.relations) as client:
        pipeline = client.pipeline(transaction=False)
        for key in course.sets:
            pipeline.smembers(key)
        found = dict(zip(course.sets, pipeline.execute(), strict=True))
    wrong = [key for key, members in course.sets.items() if found[key] != members]
    if wrong:
        raise BenchError(f"{len(wrong)} sets are wrong: {', '.join(wrong[:3])}")
    with redis(servers, place.collections) as client:
        unit = min(course.units)
        if json.loads(str(client.get(unit)))["identifier"] != unit:
            raise BenchError(f"unit {unit} is wrong")


@contextmanager
def _cleared(servers: Servers, place: Place, *courses: Tree | None) -> Iterator[None]:
    """Removes the courses' keys afterwards."""
    try:
        yield
    finally:
        for course in filter(None, courses):
            with redis(servers, place.relations) as client:
                unlink(client, course.sets)
            with redis(servers, place.collections) as client:
                unlink(client, course.units)
