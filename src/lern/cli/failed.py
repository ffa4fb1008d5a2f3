"""`lern failed`: what could not be handled, why, and once more."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lern.bootstrap import Installation, install
from lern.cli import failed_output as output
from lern.cli.options import (
    Config,
    ConfigDir,
    Overrides,
    WhichProfile,
    err,
    known_jobs,
    settings_for_tools,
    settings_of,
    tell,
)
from lern.cli.run import stop_on_signals
from lern.cli.times import since_when
from lern.engines.replay import Fate, Origins, chunks, replay
from lern.job import Place, Record
from lern.ports import Replays
from lern.settings import Loaded
from lern.settings.model import JobSettings
from lern.wire.failed import Failed, read_failed

app = typer.Typer(help="What could not be handled: which, why, and once more.", no_args_is_help=True)

_INTERRUPTED = 130

JobNames = Annotated[
    list[str] | None, typer.Option("--job", metavar="JOB", help="Only records of this job; may be repeated.")
]
Codes = Annotated[
    list[str] | None,
    typer.Option("--code", metavar="CODE", help="Only records with this error code; may be repeated."),
]
Since = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="Only records that came since then: 2h, 3d, or a time such as 2026-03-01T09:30Z."
    ),
]


@dataclass(frozen=True, slots=True)
class _Site:
    """An installation, as these commands see it."""

    installation: Installation
    topics: Mapping[str, JobSettings]
    """The failed topics, each with the settings of a job that writes there."""
    origins: Origins


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which records are meant."""

    jobs: frozenset[str]
    codes: frozenset[str]
    since: int

    def includes(self, job: str, failed: Failed) -> bool:
        """Whether this record is."""
        return (not self.jobs or job in self.jobs) and (not self.codes or failed.code in self.codes)


@app.command("list")
def show_list(
    jobs: JobNames = None,
    codes: Codes = None,
    since: Since = None,
    config: Config = None,
    config_dir: ConfigDir = None,
    profile: WhichProfile = None,
    overrides: Overrides = None,
) -> None:
    """Counts the failed records by job, code and reason: a table, or in a pipe one JSON document a line."""
    wanted = _wanted(jobs, codes, since)
    groups = output.Groups()
    with _opened(_loaded(jobs, config, config_dir, profile, overrides)) as site:
        for topic, settings in site.topics.items():
            replays = site.installation.replays(settings)
            with _progress(site, topic, wanted, "reading") as records:
                for chunk in chunks(records):
                    seen = replays.seen(chunk)
                    for record in chunk:
                        failed = read_failed(record)
                        job = site.origins.job(failed)
                        if wanted.includes(job, failed):
                            groups.add(job, failed, sent_again=record.place in seen)
    output.show_groups(groups)


@app.command("show")
def show_one(
    where: Annotated[
        str, typer.Argument(metavar="PLACE", help="TOPIC/PARTITION/OFFSET, as lern failed list prints it.")
    ],
    config: Config = None,
    config_dir: ConfigDir = None,
    profile: WhichProfile = None,
    overrides: Overrides = None,
) -> None:
    """Shows one failed record in full: why, where it came from, and the message as it was."""
    place = _place(where)
    with _opened(settings_for_tools(config, config_dir, profile, overrides)) as site:
        settings = site.topics.get(place.topic)
        if settings is None:
            raise typer.BadParameter(f"{place.topic} is the failed topic of no job here", param_hint="PLACE")
        record = site.installation.log().at(place)
        if record is None:
            tell(f"there is no message at {place}")
            raise typer.Exit(1)
        replays = site.installation.replays(settings)
        sent_again = bool(replays.seen([record]))
        [told] = replay(
            [record], site.origins, site.installation.log(), replays, even_again=True, dry_run=True
        )
    output.show_record(told, sent_again=sent_again)


@app.command("replay")
def send_again(
    jobs: JobNames = None,
    codes: Codes = None,
    since: Since = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be sent, and where; change nothing.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Also those that have been sent again before.")
    ] = False,
    config: Config = None,
    config_dir: ConfigDir = None,
    profile: WhichProfile = None,
    overrides: Overrides = None,
) -> None:
    """Sends messages that failed to the topics where they came from, each once.

    Exit code 1 when none of those that are meant could be sent.
    """
    wanted = _wanted(jobs, codes, since)
    tally = output.Tally(dry_run=dry_run)
    with (
        _opened(_loaded(jobs, config, config_dir, profile, overrides)) as site,
        stop_on_signals() as stop,
    ):
        log = site.installation.log()
        for topic, settings in site.topics.items():
            replays = site.installation.replays(settings)
            with _progress(site, topic, wanted, "sending again", quiet=dry_run) as records:
                meant = (
                    record for record in records if not stop.is_set() and _meant(record, wanted, site.origins)
                )
                for told in replay(meant, site.origins, log, replays, even_again=again, dry_run=dry_run):
                    tally.add(told)
            if not dry_run:
                _forget(site, topic, replays)
    tally.show()
    if stop.is_set():
        raise typer.Exit(_INTERRUPTED)
    if tally.total and not tally.number(Fate.SENT):
        raise typer.Exit(1)


def _meant(record: Record, wanted: _Wanted, origins: Origins) -> bool:
    failed = read_failed(record)
    return wanted.includes(origins.job(failed), failed)


def _forget(site: _Site, topic: str, replays: Replays) -> None:
    """What the topic does not hold any more needs not be remembered."""
    spans = site.installation.log().spans(topic)
    replays.forget_before({partition: span.start for partition, span in spans.items()})


def _loaded(
    jobs: Sequence[str] | None,
    config: Config,
    config_dir: ConfigDir,
    profile: WhichProfile,
    overrides: Overrides,
) -> Loaded:
    if jobs:
        return settings_of(known_jobs(jobs), config, config_dir, profile, overrides)
    return settings_for_tools(config, config_dir, profile, overrides)


@contextmanager
def _opened(loaded: Loaded) -> Iterator[_Site]:
    topics: dict[str, JobSettings] = {}
    owners: dict[str, list[str]] = {}
    for job, one in loaded.jobs.items():
        topics.setdefault(one.topics.failed, one)
        owners.setdefault(one.topics.failed, []).append(job)
    inputs = {job: one.topics.input for job, one in loaded.jobs.items()}
    installation = install(loaded.jobs)
    try:
        yield _Site(installation, topics, Origins(inputs, owners))
    finally:
        installation.close()


@contextmanager
def _progress(
    site: _Site, topic: str, wanted: _Wanted, doing: str, *, quiet: bool = False
) -> Iterator[Iterator[Record]]:
    """The records of a topic that came since then, up to its present end; with a bar on a terminal, unless `quiet`."""
    log = site.installation.log()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    shown = err.is_terminal and not quiet
    with Progress(*columns, console=err, transient=True, disable=not shown) as progress:
        total = sum(map(len, log.spans(topic).values())) if shown and not wanted.since else None
        task = progress.add_task(f"{doing}: {topic}", total=total)

        def records() -> Iterator[Record]:
            for record in log.stored(topic, since=wanted.since):
                yield record
                progress.advance(task)

        yield records()


def _wanted(jobs: Sequence[str] | None, codes: Sequence[str] | None, since: str | None) -> _Wanted:
    return _Wanted(frozenset(jobs or ()), frozenset(codes or ()), since_when(since) if since else 0)


def _place(text: str) -> Place:
    topic, _, rest = text.partition("/")
    partition, _, offset = rest.partition("/")
    numbers = [
        number for number in (partition, offset) if number.isascii() and number.isdigit() and len(number) < 19
    ]
    if not topic or len(numbers) != 2:
        raise typer.BadParameter(f"{text} is no TOPIC/PARTITION/OFFSET", param_hint="PLACE")
    return Place(topic, *map(int, numbers))
