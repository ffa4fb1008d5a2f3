"""How answers become scores, and attempts the scores of a learner (jobs, section 4)."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lern.domain import scores
from lern.domain.model import Attempt, AttemptId, ContentId

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


class Answer(NamedTuple):
    id: str
    score: float
    max_score: float = 1.0
    assess_ts: datetime = NOON


def at(question: str, seconds: int, score: float = 1.0) -> Answer:
    return Answer(question, score, 1.0, NOON + timedelta(seconds=seconds))


def attempt(
    content: str, name: str, score: float = 1.0, maximum: float = 2.0, on: datetime | None = NOON
) -> Attempt:
    return Attempt(ContentId(content), AttemptId(name), on, score, maximum)


@pytest.mark.parametrize(
    ("earned", "possible", "text"),
    [
        ([1.33], [3.0], "1.33/3.0"),
        ([2.0], [3.0], "2.0/3.0"),
        ([], [], "0.0/0.0"),
        ([0.1, 0.2], [1, 1], "0.3/2.0"),
        ([1.005], [2.005], "1.0/2.0"),
        ([1.015], [2.675], "1.02/2.68"),
        ([1.025], [0.125], "1.02/0.12"),
        ([0.333, 0.333, 0.333], [1, 1, 1], "1.0/3.0"),
        ([0.33] * 4, [0.5] * 4, "1.32/2.0"),
        ([2 / 3], [1 / 3], "0.67/0.33"),
        ([1e15], [1e-9], "1000000000000000.0/0.0"),
        ([100], [120], "100.0/120.0"),
        ([10.5], [20.05], "10.5/20.05"),
        ([-0.5], [1], "-0.5/1.0"),
        ([-0.001], [1], "0.0/1.0"),
    ],
)
def test_the_total_is_written_with_one_or_two_decimals(
    earned: list[float], possible: list[float], text: str
) -> None:
    answers = [
        Answer(str(number), float(score), float(maximum))
        for number, (score, maximum) in enumerate(zip(earned, possible, strict=True))
    ]

    assert scores.total(answers).text == text


def test_scores_are_added_as_they_are_written() -> None:
    total = scores.total([Answer("a", 0.1, 0.7), Answer("b", 0.2, 0.1)])

    assert (total.score, total.max_score) == (0.3, 0.8)


@given(st.lists(st.integers(-(10**6), 10**6), max_size=30))
def test_thousandths_are_rounded_half_even(thousandths: list[int]) -> None:
    total = scores.total([Answer(str(at), number / 1000) for at, number in enumerate(thousandths)])

    text = total.text.split("/")[0]
    whole, decimals = text.split(".")
    assert len(decimals) in (1, 2)
    assert decimals == decimals[0] or not decimals.endswith("0")
    exact = Decimal(sum(thousandths)) / 1000
    rounded = Decimal(text)
    assert abs(exact - rounded) <= Decimal("0.005")
    if abs(exact - rounded) == Decimal("0.005"):
        assert int(rounded * 100) % 2 == 0
    assert total.score == sum(thousandths) / 1000
    assert whole != "-0" or rounded != 0


def test_of_several_answers_to_a_question_the_latest_counts() -> None:
    answers = [at("a", 1, 0.1), at("b", 1, 0.2), at("a", 3, 0.3), at("a", 2, 0.4)]

    for order in permutations(answers):
        assert {answer.id: answer.score for answer in scores.latest(order)} == {"a": 0.3, "b": 0.2}
    assert [answer.id for answer in scores.latest(answers)] == ["a", "b"]


def test_of_answers_at_one_time_the_first_counts() -> None:
    assert scores.latest([at("a", 1, 0.1), at("a", 1, 0.2)]) == [at("a", 1, 0.1)]


def test_the_best_attempt_has_the_highest_score_whatever_its_maximum() -> None:
    attempts = [attempt("x", "1", 3, 10), attempt("x", "2", 2, 2), attempt("y", "1", 0, 5)]

    assert scores.best(attempts) == {"x": attempts[0], "y": attempts[2]}


def test_of_equal_attempts_the_first_in_their_order_is_best() -> None:
    attempts = [attempt("x", name, 3, maximum) for name, maximum in (("B", 1), ("a", 2), ("10", 3), ("9", 4))]

    for order in permutations(attempts):
        assert scores.best(scores.in_order(order)) == {"x": attempts[2]}
        assert [each.attempt for each in scores.in_order(order)] == ["10", "9", "B", "a"]


def test_aggregates_tell_of_each_content_the_best_attempt_and_how_many_there_are() -> None:
    attempts = [attempt("x", "1", 3, 4), attempt("x", "2", 1, 9), attempt("y", "1", 0, 0)]

    assert scores.aggregates(attempts) == {
        "score:x": 3.0,
        "max_score:x": 4.0,
        "attempts_count:x": 2.0,
        "score:y": 0.0,
        "max_score:y": 0.0,
        "attempts_count:y": 1.0,
    }
    assert scores.aggregates([]) == {}


attempts_of_any_kind = st.lists(
    st.builds(
        attempt,
        st.sampled_from("xyz"),
        st.sampled_from("abcd"),
        st.integers(0, 3).map(float),
        st.integers(0, 3).map(float),
        st.none() | st.integers(0, 3).map(lambda hours: NOON + timedelta(hours=hours)),
    ),
    max_size=8,
    unique_by=lambda each: (each.content, each.attempt),
)


@given(attempts_of_any_kind)
def test_no_attempt_is_better_than_the_best(attempts: list[Attempt]) -> None:
    best = scores.best(scores.in_order(attempts))

    assert best.keys() == {each.content for each in attempts}
    for each in attempts:
        winner = best[each.content]
        assert (-winner.score, winner.attempt) <= (-each.score, each.attempt)


@given(attempts_of_any_kind)
def test_the_order_in_which_attempts_come_does_not_matter(attempts: list[Attempt]) -> None:
    backwards = attempts[::-1]

    assert scores.in_order(attempts) == scores.in_order(backwards)
    assert scores.last_made(attempts) == scores.last_made(backwards)


def test_the_last_attempt_is_the_latest_and_one_without_a_time_is_the_earliest() -> None:
    early, late = attempt("y", "1", on=NOON), attempt("x", "2", on=NOON + timedelta(seconds=1))

    assert scores.last_made([late, early, attempt("z", "3", on=None)]) == late
    assert scores.last_made([attempt("a", "1", on=None)]) == attempt("a", "1", on=None)
    assert scores.last_made([]) is None
    assert scores.last_made([attempt("x", "1"), attempt("x", "2")]) == attempt("x", "2")
