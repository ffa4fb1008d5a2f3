"""`lern demo`: a course, its learners and weeks of their study, on one SQLite file."""

import logging
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from lern import bootstrap
from lern.cli.explain import show as show_case
from lern.cli.options import err, out
from lern.cli.run import stop_on_signals
from lern.demo.background import Interrupted
from lern.demo.course import BATCH, load_course
from lern.demo.folder import Folder, prepare
from lern.demo.learners import learners
from lern.demo.report import introduce_case, show_end, show_intro, show_report, show_suggestions
from lern.demo.results import Results, read_results
from lern.demo.story import Story
from lern.demo.suggestions import suggestions
from lern.demo.term import Show, play
from lern.domain.model import BatchId, EnrolmentKey
from lern.explaining import gather, report
from lern.jobs import JOBS, enrolment_reconciliation
from lern.settings import Profile, load
from lern.settings.model import JobSettings

_INTERRUPTED = 130
_RIGHT = 2
"""How many lines that are right a section of the case has."""


def demo(
    count: Annotated[int, typer.Option("--learners", metavar="N", min=1, help="How many learners.")] = 200,
    seed: Annotated[int, typer.Option(metavar="S", help="The same seed gives the same learners.")] = 1,
    directory: Annotated[
        Path,
        typer.Option(
            "--dir", metavar="DIR", help="Where the demo keeps its data; an earlier demo there is replaced."
        ),
    ] = Path("lern-demo"),
) -> None:
    """Plays weeks of study through the real jobs, in one process and one SQLite file; no server is needed."""
    started = time.monotonic()
    _calm_logs()
    course = load_course()
    folder, replaced = prepare(directory, course.identifier)
    # Only the demo's own file counts: an environment that names servers must not lead the demo there.
    settings = load(list(JOBS), config=folder.config, profile=Profile.EMBEDDED, environ={}).jobs
    story = Story(seed, course, learners(seed, count))
    show_intro(out, story, folder, replaced=replaced)
    try:
        with stop_on_signals() as stop, _progress() as show:
            sent = play(settings, story, stop, show)
    except Interrupted:
        _say_interrupted(folder)
        raise typer.Exit(_INTERRUPTED) from None
    results = read_results(folder.file, settings, story)
    show_report(out, story, results, sent)
    _explain(settings, story, results)
    show_end(out, results, sent, time.monotonic() - started)
    show_suggestions(out, suggestions(_program(), folder, settings, story, results))


def _explain(settings: Mapping[str, JobSettings], story: Story, results: Results) -> None:
    """The page of `lern explain` about the first learner, who lacks something."""
    its = settings[enrolment_reconciliation.JOB.name]
    installation = bootstrap.install(settings)
    try:
        key = EnrolmentKey(results.standings[0].learner.user, story.course.identifier, BatchId(BATCH))
        found = report(gather(key, installation.facts(its), bootstrap.context(its)))
    finally:
        installation.close()
    introduce_case(out, results)
    show_case(found, right=_RIGHT)
    out.print()


def _calm_logs() -> None:
    """Leaves the log to errors, unless its level was asked for: malformed messages are part of the report."""
    if "LERN_LOG_LEVEL" not in os.environ:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


@contextmanager
def _progress() -> Iterator[Show]:
    """A bar on a terminal, nothing elsewhere."""
    columns = (TextColumn("{task.description:24}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("", total=1.0)

        def show(what: str, share: float) -> None:
            progress.update(task, description=what, completed=share)

        yield show


def _say_interrupted(folder: Folder) -> None:
    rest = shlex.join([_program(), "run", "--all", "--until-idle", "1", "--config", str(folder.config)])
    err.print("Stopped. Everything up to here is in order; this handles what was sent and not yet handled:")
    err.print(rest, highlight=False, markup=False, soft_wrap=True)


def _program() -> str:
    """How this program can be called again from here: by its name, where that leads to it."""
    called = Path(sys.argv[0])
    found = shutil.which(called.name)
    return called.name if found and Path(found).resolve() == called.resolve() else sys.argv[0]
