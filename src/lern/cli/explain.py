"""`lern explain`: one learner's case on one page."""

import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import msgspec
import typer
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lern.bootstrap import context, install
from lern.cli.options import Config, ConfigDir, Overrides, WhichProfile, is_terminal, out, settings_of
from lern.domain.model import BatchId, CourseId, EnrolmentKey, UserId
from lern.explaining import Code, Fact, Report, Section, State, gather, report
from lern.jobs import enrolment_reconciliation

_RIGHT, _WRONG = 10, 30
"""How many lines that are right, and that are not, a section has on a terminal."""

_MARKS = {
    State.RIGHT: ("✓", "green"),
    State.WRONG: ("✗", "red"),
    State.MISSING: ("○", "yellow"),
    State.NOTE: ("·", "dim"),
}


def explain(
    user: Annotated[str, typer.Option(metavar="ID", help="The learner.")],
    course: Annotated[str, typer.Option(metavar="ID", help="The course.")],
    batch: Annotated[str, typer.Option(metavar="ID", help="The batch.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document with every fact, as in a pipe.")
    ] = False,
    config: Config = None,
    config_dir: ConfigDir = None,
    profile: WhichProfile = None,
    overrides: Overrides = None,
) -> None:
    """Says why a learner's progress is what it is, fact by fact, and what would mend it. Changes nothing.

    Ids are shown, names never.
    """
    name = enrolment_reconciliation.JOB.name
    loaded = settings_of([name], config, config_dir, profile, overrides)
    installation = install(loaded.jobs)
    try:
        key = EnrolmentKey(UserId(user), CourseId(course), BatchId(batch))
        found = report(gather(key, installation.facts(loaded.jobs[name]), context(loaded.jobs[name])))
    finally:
        installation.close()
    if as_json or not is_terminal():
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return
    show(found)


def show(found: Report, right: int = _RIGHT) -> None:
    """Prints a report for a person; of what is right, so many lines a section."""
    heading = Table.grid(padding=(0, 2))
    for name, value in (("learner", found.user), ("course", found.course), ("batch", found.batch)):
        heading.add_row(Text(name, "dim"), Text(value, "bold"))
    out.print(Padding(heading, (1, 1, 0, 1)))
    for section in found.sections:
        out.print()
        out.print(Text.assemble((section.title, "bold cyan"), "  ", (section.source, "dim")))
        out.print(_lines(section, found, right))
    out.print()
    is_right = {verdict.code for verdict in found.verdicts} <= {Code.ALL_RIGHT}
    for verdict in found.verdicts:
        colour = "green" if is_right else "yellow"
        out.print(Panel(Text(verdict.sentence), border_style=colour, padding=(0, 1)))
        if verdict.command:  # in one line, so that it can be copied
            out.print(Text(f"  $ {verdict.command}", "bold"), soft_wrap=True)


def _lines(section: Section, found: Report, right: int) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=2, justify="right")
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    shown = list(_shown(section, right))
    for fact in shown:
        mark, colour = _MARKS[fact.state]
        told = Text(_told(fact.value, right), colour if fact.state in {State.WRONG, State.MISSING} else "")
        if fact.expected is not None and not isinstance(fact.expected, list):
            told.append(f"  should be {_told(fact.expected, right)}", "green")
        if fact.source.split(" ")[0] != section.source.split(" ")[0]:
            told.append(f"  {_in_words(fact.source, found)}", "dim")
        table.add_row(Text(mark, colour), Text(fact.name), told)
    if more := len(section.facts) - len(shown):
        table.add_row("", Text(f"and {more} more: --json shows all", "dim"))
    return table


def _in_words(source: str, found: Report) -> str:
    """A source without the ids that stand at the head of the page."""
    for word, its in (("learner", found.user), ("course", found.course), ("batch", found.batch)):
        source = source.replace(its, word)
    return source


def _shown(section: Section, right: int) -> Iterator[Fact]:
    left = {True: right, False: _WRONG}
    for fact in section.facts:
        kind = fact.state in {State.RIGHT, State.NOTE}
        left[kind] -= 1
        if left[kind] >= 0:
            yield fact


def _told(value: object, most: int) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "yes" if value else "no"
        case list():
            more = len(value) - most
            return ", ".join(map(str, value[:most])) + (f" and {more} more" if more > 0 else "")
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case _:
            return str(value)
