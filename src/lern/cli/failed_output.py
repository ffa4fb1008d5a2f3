"""What `lern failed` prints: tables for people, JSON lines for pipes. Whatever a record holds does no harm here."""

import sys
from collections import Counter
from dataclasses import dataclass, field, replace

import msgspec
from rich import box
from rich.highlighter import JSONHighlighter
from rich.table import Table
from rich.text import Text

from lern.cli.options import is_terminal, out, say, tell
from lern.cli.times import shown
from lern.engines.replay import Fate, Told
from lern.job import Place
from lern.wire.failed import Failed

_REASON = 300
"""Characters of a reason that are kept; those of the original jobs hold a stack trace."""
_REASONS = 1000
"""Different reasons of a job and code that are told apart."""
_OTHER = "(other reasons)"


@dataclass(frozen=True, slots=True)
class Group:
    """Failed records of one job, code and reason; times in milliseconds."""

    first: int
    last: int
    example: Place
    count: int = 0
    sent_again: int = 0

    def plus(self, failed: Failed, *, sent_again: bool) -> "Group":
        """With one more; the example is the last that has not been sent again, if there is one."""
        takes_over = not sent_again or self.count == self.sent_again
        return replace(
            self,
            first=min(self.first, failed.at),
            last=max(self.last, failed.at),
            example=failed.place if takes_over else self.example,
            count=self.count + 1,
            sent_again=self.sent_again + sent_again,
        )


@dataclass(slots=True)
class Groups:
    """All groups, by job, code and reason; however many different reasons there are, memory is bounded."""

    found: dict[tuple[str, str, str], Group] = field(default_factory=dict)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, job: str, failed: Failed, *, sent_again: bool) -> None:
        """Counts one record."""
        job, code, reason = line(job), line(failed.code), line(failed.reason)
        if (job, code, reason) not in self.found:
            if self.reasons[job, code] >= _REASONS:
                reason = _OTHER
            self.reasons[job, code] += 1
        new = Group(failed.at, failed.at, failed.place)
        self.found[job, code, reason] = self.found.get((job, code, reason), new).plus(
            failed, sent_again=sent_again
        )

    def sorted(self) -> list[tuple[tuple[str, str, str], Group]]:
        """By job, the largest first."""
        return sorted(self.found.items(), key=lambda one: (one[0][0], -one[1].count, one[0]))


def show_groups(groups: Groups) -> None:
    """A table, or a JSON document for each group."""
    if not is_terminal():
        for (job, code, reason), group in groups.sorted():
            _print(
                {
                    "job": job,
                    "code": code,
                    "reason": reason,
                    "count": group.count,
                    "sentAgain": group.sent_again,
                    "first": shown(group.first),
                    "last": shown(group.last),
                    "example": str(group.example),
                }
            )
        return
    if not groups.found:
        tell("no failed records")
        return
    table = _table("Job, code, reason", "First, last, an example")
    for (job, code, reason), group in groups.sorted():
        number = Text(f"{group.count:,}", "bold")
        if group.sent_again:
            number.append(f"\n{group.sent_again:,} sent\nagain", "dim")
        why = _whose(job, code).append(f"\n{reason}", "default")
        when = Text.assemble(shown(group.first), "\n", shown(group.last), "\n", (str(group.example), "cyan"))
        table.add_row(number, why, when)
    out.print(table)
    tell("One in full: lern failed show EXAMPLE. Once the cause is gone: lern failed replay --code CODE.")


def show_record(told: Told, *, sent_again: bool) -> None:
    """One record in full."""
    record, failed = told.record, told.failed
    headers = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
    source = f"{failed.topic}/{failed.partition}/{failed.offset}" if failed.topic else ""
    document: dict[str, object] = {
        "place": str(record.place),
        "at": shown(failed.at),
        "job": told.job,
        "code": failed.code,
        "reason": failed.reason,
        "attempts": failed.attempts,
        "from": source or None,
        "sentAgain": sent_again,
        "key": None if record.key is None else record.key.decode(errors="replace"),
        "headers": headers,
        "to": told.message.topic if told.message else None,
        "cannot": told.why or None,
        "message": _content(told),
    }
    if not is_terminal():
        _print(document)
        return
    labels = {"at": "failed at", "from": "came from", "to": "goes back to", "cannot": "cannot go back"}
    out.rule(Text(str(record.place), "bold"), align="left")
    for name in ("at", "job", "code", "reason", "attempts", "from", "key", "to", "cannot"):
        if document[name] not in {None, ""}:
            _say_field(labels.get(name, name), str(document[name]))
    if sent_again:
        _say_field("sent again", "yes")
    for name, value in headers.items():
        _say_field(f"  {name}", value)
    out.print()
    out.print(JSONHighlighter()(Text(plain(_indented(document["message"])))), soft_wrap=True)


@dataclass(slots=True)
class Tally:
    """What a replay tells, record by record and at its end."""

    dry_run: bool
    groups: Counter[tuple[str, str, str, Fate]] = field(default_factory=Counter)
    cannot: Counter[str] = field(default_factory=Counter)
    """Records that cannot be sent, by the reason."""
    examples: dict[str, Place] = field(default_factory=dict)
    """The first of them."""

    @property
    def total(self) -> int:
        """Records that were meant."""
        return self.groups.total()

    def number(self, fate: Fate) -> int:
        """Records with this fate."""
        return sum(count for (*_, one), count in self.groups.items() if one is fate)

    def add(self, told: Told) -> None:
        """Counts a record; prints it in a pipe, and in a dry run."""
        topic = told.message.topic if told.message else ""
        self.groups[line(told.job), line(told.failed.code), topic, told.fate] += 1
        if told.fate is Fate.CANNOT:
            self.cannot[told.why] += 1
            self.examples.setdefault(told.why, told.record.place)
        if not is_terminal():
            _print(self._document(told))
        elif self.dry_run:
            what = f"{told.record.place}  {self._word(told.fate)}"
            where = f" to {topic}, {len(told.message.value):,} bytes" if told.message else ""
            out.print(Text(plain(f"{what}{where}{told.why and f': {told.why}'}")), soft_wrap=True)

    def _document(self, told: Told) -> dict[str, object]:
        document: dict[str, object] = {
            "place": str(told.record.place),
            "job": told.job,
            "code": told.failed.code,
            "fate": self._word(told.fate),
        }
        if told.why:
            document["why"] = told.why
        if told.message:
            document["to"] = told.message.topic
        if told.message and self.dry_run:
            key = told.message.key
            document |= {
                "key": None if key is None else key.decode(errors="replace"),
                "attempts": told.failed.attempts,
                "message": _content(told),
            }
        return document

    def show(self) -> None:
        """The sum: a table on a terminal, and sentences on standard error."""
        if is_terminal() and self.groups:
            table = _table("Job, code", "What became of them")
            for (job, code, topic, fate), count in sorted(self.groups.items()):
                became = self._word(fate)
                what = f"{became},\nto {topic}" if topic else became
                table.add_row(Text(f"{count:,}", "bold"), _whose(job, code), Text(what))
            out.print(table)
        for why, count in self.cannot.items():
            say("failed", f"{count:,} cannot be sent again, such as {self.examples[why]}: {line(why)}")
        if not self.groups:
            tell("no failed records are meant")
            return
        parts = [f"{self._word(fate)}: {number:,}" for fate in Fate if (number := self.number(fate))]
        hint = " (--again sends those once more)" if self.number(Fate.BEFORE) else ""
        tell(", ".join(parts) + hint)

    def _word(self, fate: Fate) -> str:
        return "would be sent again" if self.dry_run and fate is Fate.SENT else fate.value


def _table(*headings: str) -> Table:
    """A table of numbers of records and what there is to say of them, in a few lines each."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), leading=1)
    table.add_column("Records", justify="right")
    for heading in headings:
        table.add_column(heading)
    table.columns[-1].no_wrap, table.columns[-1].overflow = True, "fold"
    return table


def _whose(job: str, code: str) -> Text:
    return Text.assemble((job or "(no job)", "bold"), "\n", (code or "(no code)", "red"))


def line(text: str) -> str:
    """The first line of a text, as far as it is of use, without anything that a terminal would obey."""
    first = text.strip().partition("\n")[0].strip()
    return plain(first if len(first) <= _REASON else f"{first[:_REASON]}…")


def plain(text: str) -> str:
    """Control characters and other invisible ones as escapes; new lines stay."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode()
        for each in text
    )


def _content(told: Told) -> object:
    """The message that failed: the JSON object it is, else its text; or the whole record where it cannot be had."""
    value = told.message.value if told.message else told.record.value or b""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return {"raw": value, "encoding": "base64"}  # bytes become base64 in JSON
    try:
        msgspec.json.decode(value, type=dict[str, msgspec.Raw])
        return msgspec.Raw(msgspec.json.format(value, indent=-1))  # new lines would end a line of JSON
    except (msgspec.DecodeError, RecursionError):
        return {"raw": text}


def _indented(content: object) -> str:
    encoded = msgspec.json.encode(content)
    try:
        return msgspec.json.format(encoded, indent=2).decode()
    except (msgspec.DecodeError, RecursionError):
        return encoded.decode()


def _say_field(name: str, text: str) -> None:
    out.print(Text.assemble((f"{name}: ", "dim"), plain(text)), soft_wrap=True)


def _print(document: dict[str, object]) -> None:
    sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
