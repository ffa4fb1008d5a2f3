"""`lern run`: the jobs at work."""

import ctypes
import gc
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated

import msgspec
import structlog
import typer

from lern.bootstrap import assignments, install
from lern.cli.options import (
    Config,
    ConfigDir,
    Overrides,
    WhichProfile,
    jobs_with_settings,
    known_jobs,
    settings_of,
)
from lern.counts import Count
from lern.engines import local
from lern.engines.turn import AnyJob, Plan
from lern.job import Message
from lern.monitoring.metrics import JobMonitor, Metrics
from lern.monitoring.server import serve

_ARENAS = -8
"""`M_ARENA_MAX` of glibc's mallopt."""

_YOUNG_OBJECTS = 20_000
"""So many new objects make the collector look for cycles; by default 700."""

_log = structlog.get_logger()


def run(
    jobs: Annotated[list[str] | None, typer.Argument(metavar="JOB", help="The jobs to run.")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Run all jobs (with --config-dir: all that have a file).")
    ] = False,
    config: Config = None,
    config_dir: ConfigDir = None,
    profile: WhichProfile = None,
    overrides: Overrides = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done as JSON lines; change nothing.")
    ] = False,
    until_idle: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0.0, help="End when every input has been quiet that long."),
    ] = None,
    http: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="Serve /healthz, /readyz and /metrics there; :PORT on all interfaces."
        ),
    ] = None,
) -> None:
    """Runs jobs, one or many in one process, until Ctrl-C or SIGTERM."""
    if every == bool(jobs):
        raise typer.BadParameter("name the jobs to run, or --all", param_hint="JOB...")
    names = jobs_with_settings(config_dir) if every else known_jobs(jobs or [])
    loaded = settings_of(names, config, config_dir, profile, overrides)
    _save_memory()
    metrics = Metrics()
    installation = install(loaded.jobs)
    try:
        work = assignments(installation, loaded.jobs, metrics, show_plan if dry_run else None)
        monitors = [one.observer for one in work if isinstance(one.observer, JobMonitor)]
        stop_http = serve(http, metrics, monitors, installation.probes()) if http else None
        profile_name = next(iter(loaded.jobs.values())).profile.value
        _log.info("started", jobs=names, profile=profile_name, dry_run=dry_run)
        _spare_collector()
        with stop_on_signals() as stop, _reporting(monitors, stop):
            in_order = local.run(work, stop, until_idle=until_idle)
        if stop_http:
            stop_http()
    finally:
        installation.close()
    _report("stopped", monitors)
    if not in_order:
        raise typer.Exit(1)


def _save_memory() -> None:
    """One heap for all threads: the clients' threads hardly compete for it, and each heap of its own keeps what it had."""
    with suppress(AttributeError, OSError):  # not glibc: nothing to save
        ctypes.CDLL(None).mallopt(_ARENAS, 1)


def _spare_collector() -> None:
    """What a turn makes is gone by reference counts when it ends; what stands now stays: there is little to collect."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)


def show_plan(job: AnyJob, plan: Plan) -> None:
    """Prints a plan as JSON lines: for each group of events one line with all it leads to."""
    for step in plan.steps:
        outcome = msgspec.to_builtins(step.outcome, builtin_types=(bytes,))
        line = {
            "job": job.name,
            "offsets": step.offsets,
            "writes": outcome["writes"],
            "messages": [_readable(message) for message in step.outcome.messages],
            "marks": outcome["marks"],
            "warnings": outcome["warnings"],
            "counts": outcome["counts"],
        }
        sys.stdout.write(msgspec.json.encode(line, enc_hook=_text).decode() + "\n")
    sys.stdout.flush()


def _readable(message: Message) -> dict[str, object]:
    return {"topic": message.topic, "key": (message.key or b"").decode(), "value": msgspec.Raw(message.value)}


def _text(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode()
    raise TypeError(type(value).__name__)


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that is set by SIGINT and SIGTERM; a second SIGINT interrupts at once."""
    stop = threading.Event()

    def handle(number: int, _frame: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _reporting(monitors: list[JobMonitor], stop: threading.Event, every: float = 30.0) -> Iterator[None]:
    """Logs the counters now and then, while there is something to tell."""

    def report() -> None:
        while not stop.wait(every):
            _report("progress", monitors)

    threading.Thread(target=report, name="report", daemon=True).start()
    yield


def _report(event: str, monitors: list[JobMonitor]) -> None:
    for monitor in monitors:
        counts = {count.value: number for count, number in monitor.totals.items() if number}
        if counts.get(Count.TOTAL.value) or event == "stopped":
            _log.info(event, job=monitor.job, **counts)
