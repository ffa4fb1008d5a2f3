"""The texts in `agg_details`: one form is written, three are read (contracts, section 4)."""

import json
import locale
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lern.domain.model import Attempt, AttemptId, ContentId
from lern.wire import attempt_details

MADE = datetime(2023, 1, 5, 15, 4, 5, 999000, tzinfo=UTC)


def attempt(on: datetime | None = MADE, score: float = 2.5) -> Attempt:
    return Attempt(ContentId("quiz"), AttemptId("a1"), on, score, 4.0)


def test_the_text_is_that_of_the_contracts() -> None:
    assert attempt_details.write(attempt(), "attempt_metrics") == (
        '{"attempt_id":"a1","last_attempted_on":"Jan 05, 2023, 3:04:05 PM","score":2.5,"content_id":"quiz",'
        '"max_score":4.0,"type":"attempt_metrics"}'
    )


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2024, 2, 29, 0, 0, 0, tzinfo=UTC), "Feb 29, 2024, 12:00:00 AM"),
        (datetime(2024, 12, 31, 12, 59, 59, tzinfo=UTC), "Dec 31, 2024, 12:59:59 PM"),
        (datetime(2024, 5, 9, 11, 0, 1, tzinfo=UTC), "May 09, 2024, 11:00:01 AM"),
        (datetime(2024, 5, 9, 23, 30, 1, tzinfo=timezone(timedelta(hours=5.5))), "May 09, 2024, 6:00:01 PM"),
        (datetime(990, 1, 1, tzinfo=UTC), "Jan 01, 0990, 12:00:00 AM"),
    ],
)
def test_dates_are_in_utc_with_hours_from_1_to_12(moment: datetime, text: str) -> None:
    assert json.loads(attempt_details.write(attempt(moment), "t"))["last_attempted_on"] == text


def test_an_attempt_without_a_time_has_no_date() -> None:
    text = attempt_details.write(attempt(None), "t")

    assert json.loads(text).keys() == {"attempt_id", "score", "content_id", "max_score", "type"}
    read = attempt_details.read(text)
    assert read
    assert read.moment is None


def test_months_are_english_whatever_the_locale_is() -> None:
    before = locale.setlocale(locale.LC_TIME)
    try:
        locale.setlocale(locale.LC_TIME, "")
        assert '"Jan 05, 2023, 3:04:05 PM"' in attempt_details.write(attempt(), "t")
    finally:
        locale.setlocale(locale.LC_TIME, before)


@given(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)),  # noqa: DTZ001  # bounds have no zone
    st.floats(0, 1e9),
    st.text(),
)
def test_what_is_written_is_read_to_the_second(moment: datetime, score: float, content: str) -> None:
    written = Attempt(ContentId(content), AttemptId("a"), moment, score, score)

    read = attempt_details.read(attempt_details.write(written, "kind"))

    assert read
    assert (read.content_id, read.attempt_id, read.score, read.max_score) == (content, "a", score, score)
    assert read.moment == moment.replace(microsecond=0)
    assert read.type == "kind"


def old(**fields: object) -> str:
    common = {
        "attempt_id": "a1",
        "score": 1,
        "content_id": "quiz",
        "max_score": "2",
        "type": "attempt_metrics",
    }
    return json.dumps(common | fields)


def test_older_rows_have_seconds_or_no_date() -> None:
    dated, undated = attempt_details.read(old(attempted_on=1672931045)), attempt_details.read(old())

    assert dated
    assert undated
    assert dated.moment == MADE.replace(microsecond=0)
    assert undated.moment is None
    assert (dated.score, dated.max_score) == (1.0, 2.0)


@pytest.mark.parametrize(
    "text", ["Jan 5, 2023, 3:04:05 PM", "Jan 5, 2023 03:04:05 PM", "Jan 05, 2023, 3:04:05\u202fPM"]
)
def test_dates_of_other_versions_of_the_writer_are_read(text: str) -> None:
    read = attempt_details.read(old(last_attempted_on=text))

    assert read
    assert read.moment == MADE.replace(microsecond=0)


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "Jan 45, 2023, 3:04:05 PM", "Foo 05, 2023, 3:04:05 PM", "Jan 05, 2023, 3:99:05 PM"],
)
def test_a_date_that_is_none_is_no_moment(text: str) -> None:
    read = attempt_details.read(old(last_attempted_on=text))

    assert read
    assert read.moment is None


def test_seconds_beyond_all_bounds_are_no_moment() -> None:
    read = attempt_details.read(old(attempted_on=1e300))

    assert read
    assert read.moment is None


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", "no JSON", '{"attempt_id": 7}', "\ud800"])
def test_what_is_none_of_the_forms_is_none(text: str) -> None:
    assert attempt_details.read(text) is None
