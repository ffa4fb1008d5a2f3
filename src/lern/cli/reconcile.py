"""`lern reconcile`: progress computed again, of one learner, a batch or a course."""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated

import msgspec
import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from lern.bootstrap import context, install
from lern.cli.options import (
    Config,
    ConfigDir,
    Overrides,
    WhichProfile,
    err,
    is_terminal,
    out,
    say,
    settings_of,
    tell,
)
from lern.cli.resuming import Bookmark
from lern.cli.run import stop_on_signals
from lern.domain.model import BatchId, CourseId, EnrolmentKey, UserId
from lern.engines.reconcile import Change, finish, preview, reconcile
from lern.errors import Unavailable
from lern.jobs import enrolment_reconciliation
from lern.ports import EnrolledPage, Partition, Upkeep
from lern.settings.model import JobSettings, Profile

_AT_ONCE = 500
"""Enrolments whose rows are read and written together."""


def command(
    course: Annotated[str, typer.Option(metavar="ID", help="The course.")],
    batch: Annotated[
        str | None, typer.Option(metavar="ID", help="One batch; without it, all of them.")
    ] = None,
    user: Annotated[
        str | None, typer.Option(metavar="ID", help="One learner; without it, everybody.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the enrolments that would change, and how; change nothing."),
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on where an interrupted run of the same course and batch was."
            " Its position is kept in $XDG_STATE_HOME/lern (~/.local/state/lern).",
        ),
    ] = False,
    rate: Annotated[
        float | None,
        typer.Option(metavar="N", min=0.1, help="At most N enrolments a second, to spare the database."),
    ] = None,
    config: Config = None,
    config_dir: ConfigDir = None,
    profile: WhichProfile = None,
    overrides: Overrides = None,
) -> None:
    """Computes progress again from what is stored, as the job enrolment-reconciliation does.

    Rows that are right are left alone. It may run while jobs run (embedded: not beside them), and be interrupted at any
    moment; at worst a message is sent twice. Exit code 1: some enrolments could not be reconciled, or not all were.
    """
    if resume and (dry_run or user):
        raise typer.BadParameter("only a run for a course or a batch that changes things is gone on with")
    name = enrolment_reconciliation.JOB.name
    loaded = settings_of([name], config, config_dir, profile, overrides)
    settings = loaded.jobs[name]
    installation = install(loaded.jobs)
    try:
        upkeep = installation.upkeep(settings, observe=dry_run)
        target = _Target(CourseId(course), BatchId(batch) if batch else None, UserId(user) if user else None)
        with stop_on_signals() as stop:
            work = _Work(upkeep, settings, target, dry_run, rate, stop)
            ended = work.do(resume=resume)
    finally:
        installation.close()
    if work.failed or not ended:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Target:
    """Whose progress is computed again."""

    course: CourseId
    batch: BatchId | None
    user: UserId | None

    def __str__(self) -> str:
        learner = f"learner {self.user} in " if self.user else ""
        return f"{learner}{f'batch {self.batch}' if self.batch else 'all batches'} of course {self.course}"

    @property
    def entry(self) -> Partition:
        """Its place in the journal."""
        return Partition(f"reconcile {self}", 0)


@dataclass(slots=True)
class _Work:
    """One run over a target."""

    upkeep: Upkeep
    settings: JobSettings
    target: _Target
    dry_run: bool
    rate: float | None
    stop: threading.Event
    seen: int = 0
    changed: int = 0
    completed: int = 0
    failed: int = 0
    shown: list[Change] = field(default_factory=list)

    def do(self, *, resume: bool) -> bool:
        """Whether it was done to the end."""
        started = time.monotonic()
        user = self.target.user
        ended = self._all(resume=resume) if user is None else self._one_learner(user)
        if self.shown:
            out.print(_table(self.shown))
        would = "would change" if self.dry_run else "changed"
        tell(
            f"enrolments: {self.seen}, {would}: {self.changed}, of these completed: {self.completed},"
            f" failed: {self.failed}, seconds: {time.monotonic() - started:.1f}"
        )
        if not self.seen and ended:
            say("warning", f"nobody is enrolled: {self.target}")
        return ended

    def _finish_the_last(self) -> None:
        if not self.dry_run and (sent := finish(self.upkeep, self.target.entry)):
            tell(f"an interrupted run had not told of {sent} completed courses; it is told now")

    def _one_learner(self, user: UserId) -> bool:
        self._finish_the_last()
        keys = self.upkeep.directory.enrolments_of(user, self.target.course, self.target.batch)
        if not keys:
            say("failed", f"not enrolled: {self.target}")
            self.failed += 1
            return False
        self._handle(keys)
        return True

    def _all(self, *, resume: bool) -> bool:
        bookmark = None if self.dry_run else _bookmark(self.settings, self.target)
        after = None
        if bookmark and bookmark.reached and resume:
            after = bookmark.reached.position
            tell(f"going on behind {bookmark.reached.done} enrolments")
            self.seen = bookmark.reached.done
        elif bookmark and bookmark.reached:
            tell("an interrupted run is begun anew; --resume would go on with it")
        elif resume:
            tell("there is no interrupted run to go on with; beginning at the beginning")
        ended = False
        try:
            self._finish_the_last()
            ended = self._pages(after, bookmark)
        except Unavailable:
            if self.seen:
                tell(f"stopped after {self.seen} enrolments" + "; --resume goes on" * bool(bookmark))
            raise
        finally:
            if bookmark:
                bookmark.close(finished=ended)
        return ended

    def _pages(self, after: str | None, bookmark: Bookmark | None) -> bool:
        at_once = _AT_ONCE if self.rate is None else min(_AT_ONCE, max(1, int(self.rate)))
        target = self.target
        pages = self.upkeep.directory.enrolled(target.course, target.batch, after=after, at_once=at_once)
        with _progress() as show:
            for page in pages:
                began = time.monotonic()
                self._handle(page.enrolments)
                if bookmark:
                    bookmark.move(page.position, self.seen)
                show(page, self.seen)
                pause = len(page.enrolments) / self.rate + began - time.monotonic() if self.rate else 0
                if self.stop.is_set() or (pause > 0 and self.stop.wait(pause)):
                    tell(f"interrupted after {self.seen} enrolments" + "; --resume goes on" * bool(bookmark))
                    return False
        return True

    def _handle(self, keys: Sequence[EnrolmentKey]) -> None:
        now = context(self.settings)
        done = (
            preview(keys, self.upkeep, now)
            if self.dry_run
            else reconcile(keys, self.upkeep, now, self.target.entry)
        )
        self.seen += len(keys)
        self.changed += len({change.enrolment for change in done.changes})
        self.completed += done.completed
        self.failed += len(done.failures)
        for key, error in done.failures:
            say("failed", f"learner {key.user}, batch {key.batch}: {error.code}: {error.reason}")
        if self.dry_run and is_terminal():
            self.shown += done.changes
        elif self.dry_run:
            sys.stdout.writelines(_line(change) for change in done.changes)
            sys.stdout.flush()


def _bookmark(settings: JobSettings, target: _Target) -> Bookmark | None:
    """The bookmark of this target in this installation; None where there can be none, which is said."""
    if settings.profile is Profile.EMBEDDED:
        where = str(settings.embedded.file.resolve())
    else:
        hosts = settings.cassandra.hosts if settings.cassandra else ()
        where = f"{settings.tables.user_enrolments} on {','.join(hosts)}"
    try:
        return Bookmark(f"reconcile {target}, in {where}")
    except OSError as error:
        say("warning", f"the position cannot be kept, an interrupted run would begin anew: {error}")
        return None


@contextmanager
def _progress() -> Iterator[Callable[[EnrolledPage, int], None]]:
    """A bar on a terminal: how much of the table is read, how many enrolments are done, how long it will take."""
    columns = (
        TextColumn("reconciling"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[seen]:,} enrolments"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("", total=1.0, seen=0)

        def show(page: EnrolledPage, seen: int) -> None:
            progress.update(task, completed=page.share, seen=seen)

        yield show


def _line(change: Change) -> str:
    """A change as one JSON line."""
    key = change.enrolment
    line = {
        "user": key.user,
        "course": key.course,
        "batch": key.batch,
        "progress": dict(zip(("before", "after"), change.progress, strict=True)),
        "status": dict(zip(("before", "after"), change.status, strict=True)),
        "differences": [
            {"what": one.what, "before": one.before, "after": one.after} for one in change.differences
        ],
    }
    return msgspec.json.encode(line).decode() + "\n"


def _table(changes: Sequence[Change]) -> Table:
    table = Table("Learner", "Batch", "Progress", "Status", "Differs")
    for column in table.columns:
        column.overflow = "fold"  # ids are there to be copied
    for change in changes:
        names = [one.what for one in change.differences]
        columns = [name for name in names if " " not in name]
        counts = len(names) - len(columns)
        what = ", ".join([*columns, *([f"{counts} completed counts"] if counts else [])])
        key = change.enrolment
        table.add_row(
            Text(key.user), Text(key.batch), _step(*change.progress), _step(*change.status), Text(what)
        )
    return table


def _step(before: int | None, after: int | None) -> str:
    was, is_now = ("-" if value is None else str(value) for value in (before, after))
    return was if before == after else f"{was} → [bold]{is_now}[/]"
