"""Attempts on the embedded file: what a learner's rows look like to whoever opens it."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.events import NOW, answer, assessment, context, records, settings
from tests.fakes import turn

from lern.adapters.embedded import Embedded
from lern.job import SetUnit
from lern.jobs.assessment_aggregator import JOB
from lern.ports import Platform
from lern.settings.model import AssessmentSettings


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Embedded]:
    with closing(Embedded(tmp_path / "lern.db")) as embedded:
        yield embedded


def handle(embedded: Embedded, first: int, *values: bytes, strict: bool = False) -> list[Any]:
    """One turn; the certificate requests and failed records that were sent."""
    using = settings(JOB.name, assessments=AssessmentSettings(skip_missing_records=strict))
    platform = Platform(
        facts=embedded.facts(),
        stores=embedded.stores(using),
        journal=None,
        consumer=embedded.consumer("in", JOB.name),
        transaction=embedded.transaction,
    )
    turn(JOB, records(values, first), platform, context(using))
    sent = []
    for topic in ("certificates", "failed"):
        for record in embedded.log().read(topic, from_beginning=True):
            if record is None:
                break
            sent.append(json.loads(record.value or b""))
    return sent


KEY = {"user_id": "user_1", "course_id": "course_1", "batch_id": "batch_1"}


def test_an_attempt_and_its_aggregates_are_rows_of_the_file(embedded: Embedded) -> None:
    [request] = handle(embedded, 0, assessment(answer("q1", 0.1), answer("q2", 0.2, 1.5)))

    row = embedded.row("assessment_aggregator", **KEY, content_id="quiz_1", attempt_id="attempt_1")
    assert row
    assert row["grand_total"] == "0.3/3.5"
    assert row["created_on"] == row["updated_on"] == NOW
    assert row["question"][0] == {
        "id": "q1",
        "assess_ts": "2024-03-01T09:58:20.000+00:00",
        "max_score": 2.0,
        "score": 0.1,
        "type": "mcq",
        "title": "Title of q1",
        "resvalues": [{"1": '{"text":"A"}'}],
        "params": [{"1": '{"text":"A"}'}, {"answer": '{"correct":["1"]}'}],
        "description": "",
        "duration": "4",
    }
    aggregates = embedded.row(
        "user_activity_agg",
        activity_type="Course",
        activity_id="course_1",
        user_id="user_1",
        context_id="cb:batch_1",
    )
    assert aggregates
    assert aggregates["aggregates"] == {
        "score:quiz_1": 0.3,
        "max_score:quiz_1": 3.5,
        "attempts_count:quiz_1": 1.0,
    }
    assert [json.loads(text)["attempt_id"] for text in aggregates["agg_details"]] == ["attempt_1"]
    assert request["edata"]["attemptId"] == "attempt_1"


def test_what_is_stored_is_known_to_the_next_turn(embedded: Embedded) -> None:
    handle(embedded, 0, assessment(answer(score=1)))
    sent = handle(embedded, 1, assessment(answer(score=2)), assessment(answer(score=2), attempt="attempt_2"))

    row = embedded.row("assessment_aggregator", **KEY, content_id="quiz_1", attempt_id="attempt_1")
    assert row
    assert row["total_score"] == 1.0
    assert [request["edata"]["attemptId"] for request in sent] == ["attempt_1", "attempt_2"]


def test_the_number_of_questions_comes_from_the_cache_of_the_file(embedded: Embedded) -> None:
    embedded.stores(settings(JOB.name)).apply([SetUnit("quiz_1", b'{"total_questions": "1"}')])

    *_, failed = handle(embedded, 0, assessment(answer("q1"), answer("q2")), strict=True)

    assert failed["failInfo"]["errorCode"] == "ERR_TOO_MANY_QUESTIONS"
    assert not embedded.row("assessment_aggregator", **KEY, content_id="quiz_1", attempt_id="attempt_1")
