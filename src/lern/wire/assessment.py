"""Topic `telemetry.assess`: one attempt of a learner at an assessment, with the answers to its questions."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

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

_Maps = list[dict[str, str]]
Value = TypeVar("Value")
"""What maps hold: text, or anything."""


class _Item(Incoming, Generic[Value]):
    id: str
    maxscore: _Score
    type: str | None = None
    title: str | None = None
    desc: str | None = None
    params: list[dict[str, Value]] | None = None


class _Answer(Incoming, Generic[Value]):
    score: _Score
    item: _Item[Value]
    duration: _Duration | None = None
    resvalues: list[dict[str, Value]] | None = None


class _Assess(Incoming, Generic[Value]):
    ets: _Milliseconds
    edata: _Answer[Value]


class _Assessment(Incoming, Generic[Value]):
    assessment_ts: _Milliseconds
    user_id: User
    course_id: Course
    batch_id: Batch
    attempt_id: _Attempt
    content_id: Content
    events: list[_Assess[Value]] | None = None


class AssessEvent(NamedTuple):
    """One attempt as it was made."""

    enrolment: EnrolmentKey
    content: ContentId
    attempt: AttemptId
    attempted_on: datetime
    answers: list[Question]
    """As they came: a question may occur several times. None at all: compute the scores again."""


_read_texts = msgspec.json.Decoder(_Assessment[str], strict=False).decode
_read_anything = decoder(_Assessment[msgspec.Raw])
_text = msgspec.json.Decoder(str).decode


def decode(value: bytes) -> AssessEvent:
    """Reads one message; no message of this topic is none of the job's business.

    Nearly all maps hold texts alone, and are read at once; only where that fails are values looked at one by one.
    """
    try:
        texts = _read_texts(value)
    except (ValueError, RecursionError):  # whatever is wrong is said below
        event = _read_anything(value)
        return _event(event, [_question(each, _texts(each)) for each in event.events or ()])
    return _event(
        texts,
        [
            _question(each, (each.edata.resvalues or [], each.edata.item.params or []))
            for each in texts.events or ()
        ],
    )


def _event(event: _Assessment[Any], answers: list[Question]) -> AssessEvent:
    return AssessEvent(
        EnrolmentKey(event.user_id, event.course_id, event.batch_id),
        event.content_id,
        event.attempt_id,
        _moment(event.assessment_ts),
        answers,
    )


def _question(event: _Assess[Any], maps: tuple[_Maps, _Maps]) -> Question:
    answer, item = event.edata, event.edata.item
    return Question(
        item.id,
        _moment(event.ets),
        item.maxscore,
        answer.score,
        item.type or "",
        item.title or "",
        *maps,
        item.desc or "",
        str(answer.duration or 0),
    )


def _texts(event: _Assess[msgspec.Raw]) -> tuple[_Maps, _Maps]:
    """What was answered, and the choices: texts as they are, everything else as its JSON text."""
    given, choices = event.edata.resvalues or (), event.edata.item.params or ()
    try:
        return [_as_text(each) for each in given], [_as_text(each) for each in choices]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # only now these values are read
        raise BadEvent("not JSON: invalid text in events") from error


def _as_text(values: Mapping[str, msgspec.Raw]) -> dict[str, str]:
    jsons = {name: bytes(raw) for name, raw in values.items()}
    return {name: _text(json) if json.startswith(b'"') else json.decode() for name, json in jsons.items()}


def _moment(milliseconds: float) -> datetime:
    return _EPOCH + int(milliseconds) * _MILLISECOND
