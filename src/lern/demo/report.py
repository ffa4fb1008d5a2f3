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

from lern.demo import damage, merging
from lern.demo.folder import Folder
from lern.demo.learners import WEEKS
from lern.demo.results import Results, Standing
from lern.demo.story import Sent, Story
from lern.demo.suggestions import Suggestion
from lern.domain.model import Status

_WIDTH = 88
"""Columns that sentences use at most."""
_COMMAND_WIDTH = 72
"""Columns of a line of a command, as far as its words allow."""
_SHOWN = 10
"""Learners that are shown one by one."""
_TIMES = {1: "one", 2: "two", 3: "three"}
_TOO_FEW = 5000
"""Messages below which the speed is that of waiting, not of working."""


def show_intro(console: Console, story: Story, folder: Folder, *, replaced: bool) -> None:
    """What is going to happen, for somebody who knows nothing yet."""
    who = "one learner" if len(story.learners) == 1 else f"{len(story.learners):,} learners"
    earlier = " It replaces the demo that was there." if replaced else ""
    _say(
        console,
        "Learners' apps report what was studied and how quizzes went. The jobs of lern turn that into progress"
        " and scores, and ask for a certificate when a course is complete.",
    )
    _say(
        console,
        f"This demo invents {who} and {WEEKS} weeks of study, and puts them through the five real jobs: one"
        f" process, one SQLite file ({folder.file}), no server.{earlier}",
    )


def show_report(console: Console, story: Story, results: Results, sent: Sent) -> None:
    """What has happened to the learners."""
    _show_course(console, story, results)
    _show_learners(console, story, results)
    _show_quizzes(console, results, sent)
    _show_incidents(console, story, sent)
    _show_messages(console, results, sent)


def introduce_case(console: Console, results: Results) -> None:
    """What leads to the page about one learner, which follows."""
    _title(console, f"One case: what does {results.standings[0].learner.name} lack?")
    _say(
        console,
        "That is a question for lern explain: it says of one learner what is stored, whether that is right,"
        " and what has to be done. In short:",
    )


def show_end(console: Console, results: Results, sent: Sent, seconds: float) -> None:
    """What the jobs could not do, and how fast they were."""
    _show_failures(console, results)
    speed = f": {sent.messages / sent.seconds:,.0f} a second" if sent.messages >= _TOO_FEW else ""
    _title(console, "Speed")
    _say(
        console,
        f"The jobs handled {sent.messages:,} messages in {sent.seconds:.1f} seconds{speed}, counting all of"
        " their inputs, until every effect was in the file."
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
    if story.merge and one.learner == story.merge.old:
        return Text(f"now {story.merge.new.name}", "dim")
    if one.completed_on:
        return Text(f"completed week {story.week(one.completed_on)}", "green")
    if one.last_studied is None:
        return Text("not begun", "dim")
    week = story.week(one.last_studied)
    return Text("studying" if week == WEEKS else f"last seen week {week}")


def _show_quizzes(console: Console, results: Results, sent: Sent) -> None:
    _title(console, f"The quizzes: {sent.attempts:,} attempts")
    _say(console, "A quiz may be tried several times. The best attempt counts.")
    table = _table("Attempts", ">How often", ">First score", ">Best score")
    for one in results.tries:
        table.add_row(
            _TIMES.get(one.attempts, f"{one.attempts}"),
            f"{one.quizzes:,}",
            f"{one.first * 100:.0f} %",
            f"{one.counting * 100:.0f} %",
        )
    _show(console, table)


def _show_incidents(console: Console, story: Story, sent: Sent) -> None:
    _title(console, "What else happened")
    required = story.course.required
    if repair := sent.repair:
        _say(
            console,
            f"In week {damage.WEEK} the progress of {repair.learner.name} was lost: {repair.before} of {required}"
            " contents became 0, and the scores were gone. Two messages had it computed again from what was"
            f" consumed and attempted: {repair.after} of {required}.",
        )
    if merged := sent.merged:
        old, new = merged.merge.old.name, merged.merge.new.name
        _say(
            console,
            f"{old} and {new} are two accounts of one person, who went on with the second where the first had"
            f" stopped. In week {merging.WEEK} they were merged, and the {merged.before} of {required} contents of"
            f" {new} became {merged.after} with the {merged.old} of {old}",
        )


def _show_messages(console: Console, results: Results, sent: Sent) -> None:
    _title(console, f"The messages: {sent.reports:,} reports from the learners' apps")
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
        console.print(Padding(table, (0, 0, 0, 4), expand=False))
    console.print()


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
