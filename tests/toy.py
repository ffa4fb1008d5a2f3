"""A job of one line, to see what engines do: its messages are `<key>:<word>`, and some words go wrong."""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lern.counts import Count
from lern.errors import BadEvent, Refused
from lern.job import Context, Job, Message, Outcome, SetUnit, Skipped
from lern.ports import Facts

PRIVATE = "Asha Devi, 9876543210"
"""What a fault may have in its text."""


class Word(NamedTuple):
    """One event."""

    key: str
    word: str


Words = Mapping[str, Sequence[Word]]


def decode(value: bytes) -> Word | Skipped:
    """Text with a colon; `skip` is none of our business."""
    key, colon, word = value.decode().partition(":")
    if not colon:
        raise BadEvent("no colon")
    return Skipped("word") if word == "skip" else Word(key, word)


def read(groups: Words, facts: Facts, _context: Context) -> Words:
    """Asks for something; `unreadable` is refused, whoever else asks."""
    facts.marks.seen(list(groups))
    if any(event.word == "unreadable" for events in groups.values() for event in events):
        raise Refused("ERR_UNREADABLE", "cannot be read")
    return groups


def check(event: Word, known: Words, _context: Context) -> None:
    """`unfit` is refused by itself, `puzzling` is a fault of ours."""
    assert event in known[event.key]
    if event.word == "unfit":
        raise Refused("ERR_UNFIT", f"a word of {event.key} does not fit", Count.IGNORED)
    if event.word == "puzzling":
        raise KeyError(PRIVATE)


def decide(key: str, events: Sequence[Word], known: Words, context: Context) -> Outcome:
    """Keeps the words of a key, tells and marks them."""
    assert set(events) <= set(known[key])
    words = [event.word for event in events]
    if "refused" in words:
        raise Refused("ERR_NO", f"the answer for {key} is no", Count.RETIRED)
    if "wrong" in words:
        raise BadEvent(f"{key} makes no sense")
    if "fault" in words:
        raise KeyError(PRIVATE)
    return Outcome(
        writes=[SetUnit(key, json.dumps(words).encode())],
        messages=[Message("out", key.encode(), f"{word} {context.new_id()}".encode()) for word in words],
        marks=words,
        warnings=[f"odd {key}"] if "odd" in words else [],
        counts={Count.SUCCESS: len(events)},
    )


JOB = Job(
    name="toy",
    title="Keeps words",
    inputs="in",
    outputs=("out", "failed"),
    decode=decode,
    group=lambda event: event.key,
    read=read,
    check=check,
    decide=decide,
    journalled=True,
)
