"""How answers become the score of an attempt, and attempts the scores of a learner.

Source: jobs, section 4 steps 3, 5, 7 and 8. Scores are decimal numbers that happen to be stored as binary ones: they
are added and rounded as they are written, so that 0.1 and 0.2 make 0.3.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from operator import attrgetter
from typing import Protocol, TypeVar

from lern.domain.model import Attempt, ContentId

_HUNDREDTH = Decimal("0.01")
_ORDER = attrgetter("content", "attempt")
_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


class Answer(Protocol):
    """The answer to one question, as far as scores need it."""

    @property
    def id(self) -> str:
        """The question."""
        ...

    @property
    def assess_ts(self) -> datetime: ...
    @property
    def score(self) -> float: ...
    @property
    def max_score(self) -> float: ...


An = TypeVar("An", bound=Answer)


@dataclass(frozen=True, slots=True)
class Total:
    """What an attempt has earned altogether."""

    score: float
    max_score: float
    text: str
    """As `grand_total` has it: `1.33/3.0`."""


def latest(answers: Iterable[An]) -> list[An]:
    """The last answer to each question, in the order in which the questions first occur; at one time, the first."""
    found: dict[str, An] = {}
    for answer in answers:
        before = found.get(answer.id)
        if before is None or answer.assess_ts > before.assess_ts:
            found[answer.id] = answer
    return list(found.values())


def total(answers: Iterable[Answer]) -> Total:
    """The sums of scores and maxima."""
    score = maximum = Decimal(0)
    for answer in answers:
        score += Decimal(repr(answer.score))
        maximum += Decimal(repr(answer.max_score))
    return Total(float(score), float(maximum), f"{_rounded(score)}/{_rounded(maximum)}")


def in_order(attempts: Iterable[Attempt]) -> list[Attempt]:
    """By content and attempt, as they are stored."""
    return sorted(attempts, key=_ORDER)


def best(ordered: Iterable[Attempt]) -> Mapping[ContentId, Attempt]:
    """The best attempt at each content, of equal ones the first; the attempts come in their order."""
    found: dict[ContentId, Attempt] = {}
    for attempt in ordered:
        before = found.get(attempt.content)
        if before is None or attempt.score > before.score:
            found[attempt.content] = attempt
    return found


def aggregates(ordered: Sequence[Attempt]) -> dict[str, float]:
    """What `user_activity_agg` holds of attempts: of each content the best score, its maximum, and how many there are."""
    values: dict[str, float] = {}
    for content, attempt in best(ordered).items():
        values[f"score:{content}"] = attempt.score
        values[f"max_score:{content}"] = attempt.max_score
    for content, number in Counter(attempt.content for attempt in ordered).items():
        values[f"attempts_count:{content}"] = float(number)
    return values


def last_made(attempts: Iterable[Attempt]) -> Attempt | None:
    """The attempt that was made last; of those at one time the one that is stored behind the others."""
    return max(attempts, key=_when, default=None)


def _when(attempt: Attempt) -> tuple[datetime, str, str]:
    return attempt.attempted_on or _BEFORE_ALL, attempt.content, attempt.attempt


def _rounded(number: Decimal) -> str:
    """With at least one and at most two decimals, half-even."""
    text = format(number.quantize(_HUNDREDTH, ROUND_HALF_EVEN) + 0, "f")  # + 0: no negative zero
    return text.removesuffix("0")
