"""How two learners' rows become one's (jobs, section 5 steps 1 to 4)."""

import json
from typing import Any

import pytest
from tests.accounts import (
    AGGREGATES,
    ATTEMPTS,
    CONSUMPTION,
    EARLIER,
    ENROLMENTS,
    LATER,
    aggregate,
    attempt,
    consumed,
    counts,
    enrolled,
    merged,
    of,
    row,
)
from tests.events import NOW

from lern.domain.model import Relation, RelationKey

PAIR = ("old", "new")


def content(theirs: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """What one content of both becomes."""
    tables = of(user_content_consumption=[consumed("old", **theirs), consumed("new", **own)])
    merged(tables, PAIR)
    return row(tables, CONSUMPTION, "new")


@pytest.mark.parametrize("column", ["status", "progress"])
def test_the_higher_status_and_progress_count(column: str) -> None:
    assert content({column: 2}, {column: 1}) == {column: 2}
    assert content({column: 1}, {column: 2}) == {column: 2}
    assert content({column: 0}, {}) == content({}, {column: 0}) == {column: 0}


@pytest.mark.parametrize("column", ["viewcount", "completedcount"])
def test_views_and_completions_are_added(column: str) -> None:
    assert content({column: 2}, {column: 3}) == {column: 5}
    assert content({column: 2}, {}) == content({}, {column: 2}) == {column: 2}
    assert content({column: 0}, {}) == {column: 0}
    assert content({}, {}) == {}


@pytest.mark.parametrize(
    "column", ["datetime", "last_access_time", "last_completed_time", "last_updated_time"]
)
def test_the_later_time_counts(column: str) -> None:
    assert content({column: LATER}, {column: EARLIER}) == {column: LATER}
    assert content({column: EARLIER}, {column: LATER}) == {column: LATER}
    assert content({column: EARLIER}, {}) == content({}, {column: EARLIER}) == {column: EARLIER}


@pytest.mark.parametrize("column", ["lastaccesstime", "lastcompletedtime", "lastupdatedtime"])
@pytest.mark.parametrize(
    ("theirs", "own", "expected"),
    [
        ("2022-02-21 05:54:43:853+0000", "2023-02-21 05:54:43:853+0000", "own"),
        ("2023-02-21 05:54:43:853+0000", "2022-02-21 05:54:43:853+0000", "theirs"),
        ("2022-02-21 05:54:43:854+0000", "2022-02-21 05:54:43:853+0000", "theirs"),
        # Later as text, earlier as time.
        ("2022-02-21 09:00:00:000+0530", "2022-02-21 05:54:43:853+0000", "own"),
        ("2022-02-21 03:00:00:000-0530", "2022-02-21 05:54:43:853+0000", "theirs"),
        # The same time: nothing has to be written.
        ("2022-02-21 11:24:43:853+0530", "2022-02-21 05:54:43:853+0000", "own"),
        ("2022-02-21T05:54:43Z", "2021-02-21 05:54:43:853+0000", "own"),
        ("2021-02-21 05:54:43:853+0000", "yesterday", "theirs"),
        ("", "2021-02-21 05:54:43:853+0000", "own"),
        ("2021-02-21 05:54:43:853+0000", "2023-02-31 05:54:43:853+0000", "theirs"),
        ("tomorrow", "yesterday", "own"),
    ],
)
def test_text_times_are_compared_as_times(column: str, theirs: str, own: str, expected: str) -> None:
    assert content({column: theirs}, {column: own}) == {column: {"theirs": theirs, "own": own}[expected]}


def test_other_columns_stay_and_are_taken_where_there_is_nothing() -> None:
    theirs = {"progressdetails": b"theirs", "completionpercentage": b"\1", "of_this_installation": b"\2"}

    assert content(theirs, {"progressdetails": b"own"}) == {**theirs, "progressdetails": b"own"}


def test_what_only_the_old_account_has_is_copied_whole() -> None:
    columns: dict[str, Any] = {"status": 1, "viewcount": 2, "lastaccesstime": "some time", "more": b"x"}
    tables = of(user_content_consumption=[consumed("old", **columns)])

    merged(tables, PAIR)

    assert row(tables, CONSUMPTION, "new") == row(tables, CONSUMPTION, "old") == columns


def test_a_row_of_keys_alone_is_copied() -> None:
    tables = of(user_content_consumption=[consumed("old")], user_enrolments=[enrolled("old")])

    merged(tables, PAIR)

    assert (row(tables, CONSUMPTION, "new"), row(tables, ENROLMENTS, "new")) == ({}, {})


@pytest.mark.parametrize(
    "key",
    [
        ("DO_1", "course_1", "batch_1"),
        ("do_1", "Course_1", "batch_1"),
        ("do_1", "course_1", "BATCH_1"),
    ],
)
def test_rows_match_without_case(key: tuple[str, str, str]) -> None:
    tables = of(user_content_consumption=[consumed("old", *key, viewcount=1), consumed("new", viewcount=2)])

    merged(tables, PAIR, PAIR)

    assert counts(tables, "new") == {("course_1", "batch_1", "do_1"): (3, 0)}


def test_the_same_case_goes_before_another_one() -> None:
    tables = of(
        user_content_consumption=[
            *(consumed("old", content, viewcount=10) for content in ("do_1", "DO_1", "Do_1")),
            *(consumed("new", content, viewcount=1) for content in ("do_1", "DO_1")),
        ]
    )

    merged(tables, PAIR, PAIR)

    # DO_1 comes first of those that match Do_1.
    assert {key[2]: views for key, (views, _) in counts(tables, "new").items()} == {"do_1": 11, "DO_1": 21}


def test_enrolments_that_are_not_there_are_copied_with_certificates() -> None:
    columns: dict[str, Any] = {"status": b"\2", "issued_certificates": b"list", "contentstatus": b"map"}
    tables = of(
        user_enrolments=[
            enrolled("old", **columns),
            enrolled("old", batch="batch_2", status=b"\2"),
            enrolled("new", batch="batch_2", status=b"\1"),
        ]
    )

    merged(tables, PAIR)

    assert row(tables, ENROLMENTS, "new", "course_1", "batch_1") == columns
    assert row(tables, ENROLMENTS, "new", "course_1", "batch_2") == {"status": b"\1"}
    assert len(tables.whole(ENROLMENTS, "old")) == 2


def test_attempts_that_are_not_there_are_copied() -> None:
    tables = of(
        user_enrolments=[enrolled("old")],
        assessment_aggregator=[
            attempt("old", "a1", question=b"theirs"),
            attempt("old", "a2", question=b"theirs"),
            attempt("new", "a2", question=b"own"),
        ],
    )

    merged(tables, PAIR)

    assert row(tables, ATTEMPTS, "new", "course_1", "batch_1", "do_1", "a1") == {"question": b"theirs"}
    assert row(tables, ATTEMPTS, "new", "course_1", "batch_1", "do_1", "a2") == {"question": b"own"}


def test_attempts_of_a_batch_that_was_left_are_copied_too() -> None:
    tables = of(
        user_content_consumption=[consumed("old")], assessment_aggregator=[attempt("old", "a1", more=b"x")]
    )

    merged(tables, PAIR)

    assert row(tables, ATTEMPTS, "new") == {"more": b"x"}


def aggregates(theirs: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """What the aggregates of a course become."""
    tables = of(
        user_enrolments=[enrolled("old")],
        user_activity_agg=[aggregate("old", **theirs), *([aggregate("new", **own)] if own else [])],
    )
    merged(tables, PAIR)
    return row(tables, AGGREGATES, "Course", "course_1", "new")


def counted(number: float) -> dict[str, Any]:
    return {"aggregates": {"completedCount": number}, "agg_last_updated": {"completedCount": EARLIER}}


def test_the_higher_completed_count_is_taken_with_its_time_now() -> None:
    assert aggregates(counted(3.0), counted(2.0)) == {
        "aggregates": {"completedCount": 3.0},
        "agg_last_updated": {"completedCount": NOW},
    }
    assert aggregates(counted(0.0), {}) == {
        "aggregates": {"completedCount": 0.0},
        "agg_last_updated": {"completedCount": NOW},
    }


@pytest.mark.parametrize("theirs", [2.0, 1.0])
def test_a_completed_count_that_is_not_lower_stays_with_its_time(theirs: float) -> None:
    assert aggregates(counted(theirs), counted(2.0)) == counted(2.0)


def test_the_count_of_the_old_map_is_the_higher_as_well() -> None:
    after = aggregates({"agg": {"completedCount": 3, "x": 1}}, {"agg": {"completedCount": 2, "y": 1}})

    assert after["agg"] == {"completedCount": 3, "x": 1, "y": 1}
    assert after["agg_last_updated"] == {"completedCount": NOW}


def test_scores_are_taken_over_with_their_times_where_there_are_none() -> None:
    after = aggregates(
        {
            "aggregates": {"score:a": 7.0, "max_score:a": 10.0, "score:b": 9.0},
            "agg_last_updated": {"score:a": LATER, "max_score:a": LATER, "score:b": LATER, "orphan": LATER},
            "more": b"theirs",
        },
        {"aggregates": {"score:b": 1.0}, "agg_last_updated": {"score:b": EARLIER}},
    )

    assert after == {
        "aggregates": {"score:a": 7.0, "max_score:a": 10.0, "score:b": 1.0},
        "agg_last_updated": {"score:a": LATER, "max_score:a": LATER, "score:b": EARLIER},
        "more": b"theirs",
    }


def detail(attempt_id: str, **more: object) -> str:
    return json.dumps({"attempt_id": attempt_id, "content_id": "do_1", "type": "attempt_metrics", **more})


def test_details_of_attempts_that_are_not_there_are_added() -> None:
    theirs = [detail("a1"), detail("a2", score=9), "no JSON", "[]", '{"attempt_id": [], "content_id": {}}']
    own = [detail("a2", score=1), "no JSON"]

    after = aggregates({"agg_details": theirs}, {"agg_details": own})

    assert after == {"agg_details": [*own, theirs[0], theirs[3], theirs[4]]}


def test_aggregates_of_units_above_what_was_consumed_are_taken_over() -> None:
    tables = of(
        user_content_consumption=[consumed("old", "do_1"), consumed("old", "do_2", batch="batch_2")],
        user_enrolments=[enrolled("old")],
        user_activity_agg=[
            *(aggregate("old", unit, aggregates={"completedCount": 1.0}) for unit in ("u1", "u2", "u3")),
            aggregate("old", "u1", "batch_2", aggregates={"completedCount": 1.0}),
        ],
    )
    for content_id, unit in (("do_1", "u1"), ("do_2", "u2")):
        key = RelationKey("course_1", content_id, Relation.ANCESTORS)  # type: ignore[arg-type]  # ids of the test
        tables.sets[key] = frozenset({"course_1", unit})

    merged(tables, PAIR)

    own = [one for one in tables.whole(AGGREGATES) if one["user_id"] == "new"]
    assert [(one["activity_id"], one["context_id"]) for one in own] == [("u1", "cb:batch_1")]


def test_aggregates_of_a_course_without_enrolment_stay_where_they_are() -> None:
    tables = of(
        user_content_consumption=[consumed("old")],
        user_activity_agg=[aggregate("old", aggregates={"completedCount": 1.0})],
    )

    merged(tables, PAIR)

    assert [one["user_id"] for one in tables.whole(AGGREGATES)] == ["old"]
