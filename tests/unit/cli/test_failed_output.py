"""What `lern failed` makes of times and of texts that come from anywhere."""

from datetime import UTC, datetime

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from lern.cli.failed_output import Groups, line, plain
from lern.cli.times import shown, since_when
from lern.job import Place
from lern.wire.failed import Failed

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
MS = int(NOW.timestamp() * 1000)


def failed(offset: int, reason: str = "why", at: int = MS) -> Failed:
    return Failed(Place("t.failed", 0, offset), at, "job", "CODE", reason, 1, "t", "0", "1")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("2h", 7200), ("3d", 259_200), ("1w", 604_800), ("0s", 0)],
)
def test_spans_are_counted_back_from_now(text: str, seconds: int) -> None:
    assert since_when(text, NOW) == MS - seconds * 1000


@pytest.mark.parametrize(
    "text",
    ["2026-03-10T12:00:00Z", "2026-03-10T12:00", "2026-03-10 17:30+05:30", " 2026-03-10T12:00:00.000+00:00 "],
)
def test_times_are_of_their_zone_or_else_utc(text: str) -> None:
    assert since_when(text) == MS


def test_a_span_longer_than_all_time_means_everything() -> None:
    assert since_when("999999w", NOW) == 0
    assert since_when("0001-01-01") == 0


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2 fortnights", "-1h", "1e3s", "2026-13-01", "٣h", "9" * 5000]
)
def test_what_is_no_time_is_wrong_usage(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        since_when(text)


@given(st.integers(0, 4_000_000_000))
def test_times_that_are_shown_can_be_typed(seconds: int) -> None:
    assert since_when(shown(seconds * 1000)) == seconds * 1000


@pytest.mark.parametrize("milliseconds", [-1, -(2**63), 2**63 - 1])
def test_impossible_times_are_shown_nevertheless(milliseconds: int) -> None:
    assert shown(milliseconds).endswith("Z")


@given(st.text())
def test_nothing_in_a_text_is_obeyed_by_a_terminal(text: str) -> None:
    assert all(each.isprintable() or each == "\n" for each in plain(text))
    assert line(text).isprintable()
    assert len(line(text)) <= 10 * 301


def test_records_are_counted_by_job_code_and_reason() -> None:
    groups = Groups()
    groups.add("job", failed(1, "a\nat line 1", MS + 5), sent_again=False)
    groups.add("job", failed(2, "a\nat line 2", MS), sent_again=True)
    groups.add("job", failed(3, "b"), sent_again=False)

    assert [(key, one.count, one.sent_again) for key, one in groups.sorted()] == [
        (("job", "CODE", "a"), 2, 1),
        (("job", "CODE", "b"), 1, 0),
    ]
    first = groups.sorted()[0][1]
    assert (first.first, first.last) == (MS, MS + 5)
    assert first.example.offset == 1


def test_the_example_is_one_that_is_still_to_be_sent() -> None:
    groups = Groups()
    for offset, sent_again in enumerate([True, False, True]):
        groups.add("job", failed(offset), sent_again=sent_again)

    assert [one.example.offset for _, one in groups.sorted()] == [1]


def test_however_many_reasons_there_are_few_are_remembered() -> None:
    groups = Groups()
    for number in range(5000):
        groups.add("job", failed(number, f"course {number}"), sent_again=False)

    assert len(groups.found) == 1001
    assert groups.found["job", "CODE", "(other reasons)"].count == 4000
