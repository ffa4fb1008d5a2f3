"""The progress job on Kafka, Cassandra and Redis: `lern run` as users start it, with default settings.

The load is sent at once to a program that is up and waits. Measured are events a second, the CPU and memory of the
process, and its share of the floor (`bench.floor`), whose tape is recorded before from a run on the same servers.
"""

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.arrivals import middle
from bench.drive import PROGRAM, Measured, command, produce_load, python, run_program
from bench.figures import Benchmark, Figure
from bench.load import Load
from bench.place import JOBS, PARTITIONS, Place, new_token, own, write_settings
from bench.seed import filled, prepared
from bench.servers import BenchError, Servers
from bench.worker import described, settings_of
from lern.settings import JobSettings

JOB = "activity-aggregate-updater"

ORIGINAL_RATE = {"first": 148.0, "rest": 134.0}
"""Events a second of the original job, cold and warm, with this load on two cores."""

ORIGINAL_CPU_MS = {"first": 4.9, "rest": 3.4}
"""Milliseconds of CPU that its process took for an event."""

_RECORDING_SECONDS = 180


def measure(servers: Servers, load: Load, repeat: int) -> Benchmark:
    """Runs ours and the floor in turn, so that what changes on the machine changes for both."""
    ours: list[Measured] = []
    floors: list[Measured] = []
    binding: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="lern-bench-") as folder:
        recorded = _record(servers, load, Path(folder))
        for _ in range(repeat):
            ours.append(_ours(servers, load, Path(folder)))
            floors.append(_floor(servers, load, "bound", recorded))
            binding.append(_floor(servers, load, "binding", recorded))
    return _benchmark(load, recorded.settings, ours, floors, binding)


@dataclass(frozen=True, slots=True)
class _Recorded:
    tape: Path
    place: Place
    settings: JobSettings


def _record(servers: Servers, load: Load, folder: Path) -> _Recorded:
    """A tape of the job with this load, and where it was recorded. The servers are warm afterwards."""
    place, tape = own(new_token()), folder / "tape"
    with prepared(servers, place), filled(servers, place, load):
        config = write_settings(place, servers, folder / "recorded.conf")
        produce_load(servers, place, load)
        done = subprocess.run(
            python("bench.recorder", JOB, config, str(load.size), tape),
            timeout=_RECORDING_SECONDS,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BenchError(f"recording failed\n{done.stderr[-2000:]}")
    return _Recorded(tape, place, settings_of(JOB, config))


def _ours(servers: Servers, load: Load, folder: Path) -> Measured:
    place = own(new_token())
    with prepared(servers, place), filled(servers, place, load):
        config = write_settings(place, servers, folder / "run.conf")
        return run_program(servers, place, load, command(config, JOBS))


def _floor(servers: Servers, load: Load, kind: str, recorded: _Recorded) -> Measured:
    place = own(new_token())
    addresses = (servers.kafka, servers.cassandra, servers.redis)
    with prepared(servers, place), filled(servers, place, load):
        replay = python("bench.floor", kind, recorded.tape, recorded.place.env, place.env, *addresses)
        return run_program(servers, place, load, replay)


def _benchmark(
    load: Load,
    settings: JobSettings,
    ours: Sequence[Measured],
    floors: Sequence[Measured],
    binding: Sequence[Measured],
) -> Benchmark:
    run, floor = middle(ours), middle(floors)
    figures = [Figure("events a second", run.rate, "/s", floor=floor.rate)]
    for name, title in (("first", "first 5,000, original 148"), ("rest", "the rest, original 134")):
        if name in run.parts:
            rate, bottom = run.parts[name].rate, floor.parts[name].rate
            figures.append(Figure(f"- {title}", rate, "/s", floor=bottom))
            figures.append(Figure("  times the original", rate / ORIGINAL_RATE[name], "x", least=5, aim=10))
    cpu = run.parts["all"].cpu_ms
    figures.append(
        Figure(
            "CPU of the process, an event",
            cpu[PROGRAM],
            "ms",
            floor=floor.parts["all"].cpu_ms[PROGRAM],
            more_is_better=False,
        )
    )
    for name, title in (("first", "first 5,000, original 4.9"), ("rest", "the rest, original 3.4")):
        if name in run.parts:
            mine = run.parts[name].cpu_ms[PROGRAM]
            bottom = floor.parts[name].cpu_ms[PROGRAM]
            figures.append(Figure(f"- {title}", mine, "ms", floor=bottom, more_is_better=False))
            figures.append(
                Figure(
                    "  part of the original",
                    mine / ORIGINAL_CPU_MS[name],
                    "x",
                    least=1 / 5,
                    aim=1 / 10,
                    more_is_better=False,
                )
            )
    figures.append(Figure("share of the floor", run.rate / floor.rate, "share", least=0.60, aim=0.85))
    figures.append(Figure("- where the driver binds", run.rate / middle(binding).rate, "share"))
    figures.append(
        Figure(
            "resident memory, both jobs",
            max(each.resident for each in ours) / 1e6,
            "MB",
            least=150,
            aim=100,
            more_is_better=False,
        )
    )
    figures += [
        Figure(
            f"CPU of {name}, an event",
            value,
            "ms",
            floor=floor.parts["all"].cpu_ms.get(name),
            more_is_better=False,
        )
        for name, value in cpu.items()
        if name != PROGRAM
    ]
    return Benchmark(
        name="connected",
        about=(
            f"{load.learners:,} learners, {load.size:,} events sent at once to {PARTITIONS} partitions; `lern run` with"
            f" default settings ({described(settings)}); the run in the middle of {len(ours)} by events a second"
        ),
        figures=figures,
        runs={"ours": ours, "floor": floors, "binding": binding},
        others=max(each.others for each in (*ours, *floors, *binding)),
    )
