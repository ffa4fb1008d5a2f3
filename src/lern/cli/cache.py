"""`lern cache`: the relation cache, made again from the table."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated

import structlog
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lern.bootstrap import install
from lern.cli.options import Config, ConfigDir, Overrides, WhichProfile, err, say, settings_of, tell
from lern.domain.hierarchy import relations
from lern.domain.model import CourseId
from lern.errors import Refused
from lern.jobs import relation_cache_updater
from lern.ports import Facts, Stores

app = typer.Typer(help="The relation cache, made again from the table of hierarchies.", no_args_is_help=True)

_AT_ONCE = 20

_log = structlog.get_logger()


@app.callback()
def _cache() -> None:
    """The relation cache, made again from the table of hierarchies."""


@app.command()
def rebuild(
    course: Annotated[list[str] | None, typer.Option(metavar="ID", help="A course; may be repeated.")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every course in the table content_hierarchy.")
    ] = False,
    config: Config = None,
    config_dir: ConfigDir = None,
    profile: WhichProfile = None,
    overrides: Overrides = None,
) -> None:
    """Computes the cache of courses from the table of hierarchies, as publishing them would."""
    if every == bool(course):
        raise typer.BadParameter("name courses with --course, or take --all")
    name = relation_cache_updater.JOB.name
    loaded = settings_of([name], config, config_dir, profile, overrides)
    installation = install(loaded.jobs)
    try:
        facts, stores = installation.facts(loaded.jobs[name]), installation.stores(loaded.jobs[name])
        hierarchies = facts.hierarchies
        total = sum(1 for _ in hierarchies.courses()) if every else len(course or [])
        wanted = hierarchies.courses() if every else map(CourseId, course or [])
        failed = _rebuild(facts, stores, wanted, total)
    finally:
        installation.close()
    if failed:
        raise typer.Exit(1)


def _rebuild(facts: Facts, stores: Stores, courses: Iterable[CourseId], total: int) -> int:
    """Rebuilds course by course; returns how many could not be."""
    done = failed = 0
    columns = (TextColumn("rebuilding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("", total=total)
        for chunk in _chunks(courses):
            found = facts.hierarchies.hierarchies(chunk)
            for course in chunk:
                problem = _rebuild_one(stores, course, found.get(course))
                done += problem is None
                failed += problem is not None
                if problem:
                    say("failed", problem)
                progress.advance(task)
    tell(f"courses rebuilt: {done}, failed: {failed}")
    return failed


def _rebuild_one(stores: Stores, course: CourseId, hierarchy: bytes | None) -> str | None:
    """Rebuilds one course; returns why it could not be, or None."""
    if hierarchy is None:
        return f"course {course} has no hierarchy"
    try:
        stores.apply(relation_cache_updater.rebuild(relations(course, hierarchy)))
    except Refused as error:
        return error.reason
    return None


def _chunks(courses: Iterable[CourseId]) -> Iterator[list[CourseId]]:
    remaining = iter(courses)
    while chunk := list(islice(remaining, _AT_ONCE)):
        yield chunk
