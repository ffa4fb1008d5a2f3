"""Topic `telemetry.assess`: one attempt of a learner at an assessment, with the answers to its questions."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, NamedTuple

import msgspec

from lern.domain.model import AttemptId, ContentId, EnrolmentKey
from lern.errors import BadEvent
from lern.job import Question
from lern.wire.decoding import ID, Batch, Content, Course, Incoming, User, decoder

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LARGEST = 10**15

_Attempt = Annotated[AttemptId, msgspec.Meta(pattern=ID)]
_Milliseconds = Annotated[float, msgspec.Meta(ge=0, lt=253_402_300_800_000)]
"""Up to the end of the year 9999; a float has all of these."""
_Score = Annotated[float, msgspec.Meta(ge=-_LARGEST, le=_LARGEST)]
_Duration = Annotated[int, msgspec.Meta(ge=-_LARGEST, le=_LARGEST)] | _Score
_Maps = list[dict[str, msgspec.Raw]]


class _Item(Incoming):
    id: str
    maxscore: _Score
    type: str | None = None
    title: str | None = None
    desc: str | None = None
    params: _Maps | None = None


class _Answer(Incoming):
    score: _Score
    item: _Item
    duration: _Duration | None = None
    resvalues: _Maps | None = None


class _Assess(Incoming):
    ets: _Milliseconds
    edata: _Answer


class _Assessment(Incoming):
    assessment_ts: _Milliseconds
    user_id: User
    course_id: Course
    batch_id: Batch
    attempt_id: _Attempt
    content_id: Content
    events: list[_Assess] | None = None


class AssessEvent(NamedTuple):
    """One attempt as it was made."""

    enrolment: EnrolmentKey
    content: ContentId
    attempt: AttemptId
    attempted_on: datetime
    answers: list[Question]
    """As they came: a question may occur several times. None at all: compute the scores again."""


_read = decoder(_Assessment)
_text = msgspec.json.Decoder(str).decode


def decode(value: bytes) -> AssessEvent:
    """Reads one message; no message of this topic is none of the job's business."""
    event = _read(value)
    try:
        answers = [_question(each) for each in event.events or ()]
    except (
        msgspec.DecodeError,
        UnicodeDecodeError,
    ) as error:  # inside of a map's value, which is read only here
        raise BadEvent("not JSON: invalid text in events") from error
    return AssessEvent(
        EnrolmentKey(event.user_id, event.course_id, event.batch_id),
        event.content_id,
        event.attempt_id,
        _moment(event.assessment_ts),
        answers,
    )


def _question(event: _Assess) -> Question:
    answer, item = event.edata, event.edata.item
    return Question(
        id=item.id,
        assess_ts=_moment(event.ets),
        max_score=item.maxscore,
        score=answer.score,
        type=item.type or "",
        title=item.title or "",
        resvalues=[dict(_texts(each)) for each in answer.resvalues or ()],
        params=[dict(_texts(each)) for each in item.params or ()],
        description=item.desc or "",
        duration=str(answer.duration or 0),
    )


def _texts(values: Mapping[str, msgspec.Raw]) -> Iterator[tuple[str, str]]:
    """Texts as they are, everything else as its JSON text."""
    for name, raw in values.items():
        json = bytes(raw)
        yield name, _text(json) if json.startswith(b'"') else json.decode()


def _moment(milliseconds: float) -> datetime:
    return _EPOCH + int(milliseconds) * _MILLISECOND
