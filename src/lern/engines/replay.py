"""Failed records, sent once more to the topics where their messages came from.

    read ─► whose is it, where to ─► ┌ turn: sent before? ─► send ─► remember ┐ ─► tell
                                     └─────────── a chunk at a time ──────────┘

Sent first and remembered then: a process that is killed in between has lost nothing, and the next one sends up to a
chunk twice, which the jobs are made for. In the embedded file a turn is one transaction, and not even that happens.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from lern.errors import BadEvent, Refused
from lern.job import Message, Place, Record
from lern.ports import Log, Replays
from lern.wire.failed import Failed, again, read_failed

_CHUNK = 200
"""Records of one turn, at most."""
_BYTES = 4_000_000
"""About so large they are together, at most: a record may have a megabyte."""


@dataclass(frozen=True, slots=True)
class Origins:
    """The jobs of an installation, as far as failed records need them."""

    inputs: Mapping[str, str]
    """The input topic of each job."""
    owners: Mapping[str, Sequence[str]]
    """The jobs of each failed topic."""

    def job(self, failed: Failed) -> str:
        """The job that a record is of; as the record spells it where it is none of these, and empty where nothing says.

        The original jobs spell some names in another way: `MergeUserCourses`.
        """
        if not failed.job:
            owners = self.owners.get(failed.place.topic, ())
            return owners[0] if len(owners) == 1 else ""
        wanted = _letters(failed.job)
        return next((job for job in self.inputs if _letters(job) == wanted), failed.job)

    def home(self, failed: Failed) -> str:
        """The topic to which a message goes back: always the input of one of these jobs. Raises BadEvent."""
        if failed.topic:
            if failed.topic not in self.inputs.values():
                raise BadEvent("it came from a topic that no job here reads")
            return failed.topic
        job = self.job(failed)
        if job not in self.inputs:
            raise BadEvent("it is of no job that is known here" if job else "nothing says of which job it is")
        return self.inputs[job]


class Fate(StrEnum):
    """What becomes of a failed record."""

    SENT = "sent again"
    BEFORE = "sent before"
    CANNOT = "cannot be sent"


class Told(NamedTuple):
    """One record, and what became of it."""

    record: Record
    failed: Failed
    job: str
    fate: Fate
    message: Message | None = None
    """What was sent."""
    why: str = ""
    """The reason why it cannot be."""


def replay(
    records: Iterable[Record],
    origins: Origins,
    log: Log,
    replays: Replays,
    *,
    even_again: bool = False,
    dry_run: bool = False,
) -> Iterator[Told]:
    """Sends the messages of these records of one failed topic again, each once or `even_again`; tells of each.

    A dry run tells the same, and sends and remembers nothing. Raises Unavailable: what was told is done, and a chunk of
    the rest may be.
    """
    for chunk in chunks(records):
        with nullcontext() if dry_run else replays.turn():
            seen = () if even_again else replays.seen(chunk)
            told = [_considered(record, seen, origins) for record in chunk]
            if not dry_run:
                told = _carried_out(told, log, replays)
        yield from told


def chunks(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Records that are handled together: not too many, and not too large."""
    chunk: list[Record] = []
    size = 0
    for record in records:
        chunk.append(record)
        size += len(record.value or b"")
        if len(chunk) >= _CHUNK or size >= _BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _considered(record: Record, seen: Collection[Place], origins: Origins) -> Told:
    """What is to become of a record."""
    failed = read_failed(record)
    job = origins.job(failed)
    if record.place in seen:
        return Told(record, failed, job, Fate.BEFORE)
    try:
        return Told(record, failed, job, Fate.SENT, again(record, origins.home(failed)))
    except BadEvent as error:
        return Told(record, failed, job, Fate.CANNOT, why=error.reason)


def _carried_out(told: Sequence[Told], log: Log, replays: Replays) -> list[Told]:
    """Sends what is to be sent, all at once; where the log refuses one, one by one."""
    going = [one for one in told if one.message]
    try:
        _send(going, log, replays)
    except Refused:
        return [_alone(one, log, replays) for one in told]
    return list(told)


def _alone(one: Told, log: Log, replays: Replays) -> Told:
    try:
        _send([one] if one.message else [], log, replays)
    except Refused as error:
        return one._replace(fate=Fate.CANNOT, message=None, why=error.reason)
    return one


def _send(going: Sequence[Told], log: Log, replays: Replays) -> None:
    log.send([one.message for one in going if one.message])
    replays.remember([one.record for one in going])


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()
