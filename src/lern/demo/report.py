"""What the demo says: plain sentences and tables that fit 80 columns."""

import shlex
from collections.abc import Sequence
from itertools import groupby

from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lern.demo.folder import Folder
from lern.demo.learners import WEEKS
from lern.demo.results import Results, Standing
from lern.demo.suggestions import Suggestion
from lern.demo.term import Sent, Story
from lern.domain.model import Status

_WIDTH = 88
"""Columns that sentences use at most."""
_COMMAND_WIDTH = 72
"""Columns of a line of a command, as far as its words allow."""
_SHOWN = 10
"""Learners that are shown one by one."""
_TOO_FEW = 1000
"""Messages below which the speed is that of waiting, not of working."""


def show_intro(console: Console, story: Story, folder: Folder, *, replaced: bool) -> None:
    """What is going to happen, for somebody who knows nothing yet."""
    who = "one learner" if len(story.learners) == 1 else f"{len(story.learners):,} learners"
    earlier = " It replaces the demo that was there." if replaced else ""
    _say(
        console,
        "Learners' apps report what was studied. The jobs of lern turn that into progress on units and courses,"
        " and ask for a certificate when a course is complete.",
    )
    _say(
        console,
        f"This demo invents {who} and {WEEKS} weeks of study, and puts them through the real jobs: one process,"
        f" one SQLite file ({folder.file}), no server.{earlier}",
    )


def show_report(console: Console, story: Story, results: Results, sent: Sent, seconds: float) -> None:
    """What has happened."""
    _show_course(console, story, results)
    _show_learners(console, story, results)
    _show_messages(console, results, sent)
    _show_failures(console, results)
    speed = f": {sent.messages / sent.seconds:,.0f} a second" if sent.messages >= _TOO_FEW else ""
    _title(console, "Speed")
    _say(
        console,
        f"The jobs handled {sent.messages:,} reports in {sent.seconds:.1f} seconds{speed}."
        f" The whole demo took {seconds:.1f} seconds.",
    )


def show_suggestions(console: Console, suggestions: Sequence[Suggestion]) -> None:
    """What to try next: lines to copy, each group under a comment."""
    _title(console, "Try next, on the same data")
    for suggestion in suggestions:
        console.print(Text(f"# {suggestion.why}", "dim"), soft_wrap=True)
        for command in suggestion.commands:
            console.print(Text(_copyable(command)), soft_wrap=True)
        console.print()


def _show_course(console: Console, story: Story, results: Results) -> None:
    course = story.course
    shared = "".join(f' "{one.name}" stands in two units and counts once.' for one in course.shared)
    _title(console, f"The course: {course.name}")
    _say(
        console,
        f"{len(course.units)} units, {course.lessons} lessons, {len(course.contents)} contents:"
        f" {course.required} required, {len(course.optional)} optional.{shared}",
    )
    table = _table("Unit", ">Required", ">Finished by", "Average progress", ">")
    for one in results.units:
        table.add_row(
            one.unit.name,
            str(one.unit.required),
            f"{one.finished:,}",
            _bar(one.share, width=20),
            f"{int(one.share * 100)} %",
        )
    _show(console, table)


def _show_learners(console: Console, story: Story, results: Results) -> None:
    completed, under_way, not_begun = (
        f"{results.with_status(status):,}"
        for status in (Status.COMPLETED, Status.IN_PROGRESS, Status.NOT_STARTED)
    )
    _title(console, f"The learners: {completed} completed, {under_way} under way, {not_begun} not begun")
    table = _table("Learner", "Kind", ">Required", ">Optional", "Progress", "")
    for one in results.standings[:_SHOWN]:
        table.add_row(
            one.learner.name,
            one.learner.pace.name,
            f"{one.progress} of {story.course.required}",
            str(one.extra),
            _bar(one.progress / story.course.required, width=10),
            _whereabouts(one, story),
        )
    if len(results.standings) > _SHOWN:
        table.add_row(Text(f"and {len(results.standings) - _SHOWN:,} more", "dim"))
    _show(console, table)


def _whereabouts(one: Standing, story: Story) -> Text:
    if one.completed_on:
        return Text(f"completed week {story.week(one.completed_on)}", "green")
    if one.last_studied is None:
        return Text("not begun", "dim")
    week = story.week(one.last_studied)
    return Text("studying" if week == WEEKS else f"last seen week {week}")


def _show_messages(console: Console, results: Results, sent: Sent) -> None:
    _title(console, f"The messages: {sent.messages:,} reports from the learners' apps")
    _say(console, "Most tell of one content; a phone that was offline tells of its whole week at once.")
    table = _table(">They tell of", "", "What became of it")
    for number, what, became in (
        (results.counted, "contents completed", "counted: progress on course and units"),
        (sent.repeated, "completed once more", "dropped: a content counts once"),
        (sent.opened, "contents opened", "skipped: no progress yet"),
        (sent.malformed, "malformed reports", "put aside with the reason, see below"),
    ):
        table.add_row(f"{number:,}", what, became)
    _show(console, table)
    table = _table("Topic", ">Messages", "What they are")
    for topic in results.topics:
        table.add_row(topic.name, f"{topic.messages:,}", topic.holds)
    _show(console, table)


def _show_failures(console: Console, results: Results) -> None:
    _title(console, f"What failed: {len(results.failures):,} messages")
    _say(
        console,
        "Each lies on its job's failed topic with the reason, and everything else went on."
        " Once a cause is gone, lern failed replay sends the messages again.",
    )
    for topic, failures in groupby(results.failures, lambda one: one.topic):
        console.print(Padding(Text(f"On {topic}", "dim"), (0, 0, 0, 2)))
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        for one in failures:
            table.add_row(one.code, one.reason)
        _show(console, table)


def _bar(share: float, width: int) -> RenderableType:
    style = "green" if share == 1 else "cyan"
    return ProgressBar(total=1.0, completed=share, width=width, complete_style=style, finished_style=style)


def _table(*headings: str) -> Table:
    """A table with these headings; columns whose heading begins with `>` are aligned right."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    for heading in headings:
        table.add_column(heading.removeprefix(">"), justify="right" if heading.startswith(">") else "left")
    return table


def _title(console: Console, text: str) -> None:
    console.print(Text(text, "bold"))
    console.print()


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style), width=min(console.width, _WIDTH))
    console.print()


def _show(console: Console, table: Table) -> None:
    console.print(Padding(table, (0, 0, 1, 2), expand=False))


def _copyable(command: Sequence[str]) -> str:
    """A command as it can be pasted, broken before options where it is long."""
    lines: list[str] = []
    for group in _with_their_values(command):
        if lines and len(lines[-1]) + len(group) < _COMMAND_WIDTH:
            lines[-1] += f" {group}"
        else:
            lines.append(group)
    return " \\\n    ".join(lines)


def _with_their_values(command: Sequence[str]) -> list[str]:
    groups: list[str] = []
    for word in command:
        if groups and not word.startswith("-"):
            groups[-1] += f" {shlex.quote(word)}"
        else:
            groups.append(shlex.quote(word))
    return groups
