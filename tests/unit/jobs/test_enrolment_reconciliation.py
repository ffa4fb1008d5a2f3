"""enrolment-reconciliation: progress from what is stored (jobs, section 3)."""

import json

import pytest
from tests.events import NOW, settings, sync, user_sync
from tests.fakes import Tables
from tests.one_course import COURSE, EARLIER, WHO, counts, done_counts, handle, kinds, of

from lern.domain.model import Consumption, ContentId, Enrolment
from lern.jobs.enrolment_reconciliation import JOB

_DONE, _BEGUN = Consumption(2, 3, 1), Consumption(1, 1, 0)


def stored(tables: Tables, **contents: Consumption) -> Tables:
    tables.contents[WHO] = {ContentId(content): state for content, state in contents.items()}
    return tables


def test_progress_comes_from_what_is_stored_and_optional_contents_are_left_out() -> None:
    course = of({COURSE: {"a", "b", "c"}, "u1": {"a", "b"}, "u2": {"c"}}, {COURSE: {"b"}, "u1": {"b"}})
    tables = stored(course, a=_DONE, b=_DONE, c=_BEGUN)
    tables.enrolled[WHO] = Enrolment(1)

    done, topic = handle(tables, user_sync(), job=JOB)

    assert done_counts(tables) == {COURSE: 1.0, "u1": 1.0, "u2": 0.0}
    assert tables.progress[WHO] == (1, {"a": 2, "b": 2, "c": 1})
    assert tables.contents[WHO] == {"a": _DONE, "b": _DONE, "c": _BEGUN}
    assert topic.sent == []
    assert counts(done) == {
        "total": 1,
        "success": 1,
        "update_events": 1,
        "processed_enrolments": 1,
        "db_reads": 2,
        "db_updates": 4,
        "cache_hits": 1,
    }


def test_a_course_that_proves_to_be_complete_is_told_once_without_start_or_complete() -> None:
    tables = stored(of({COURSE: {"a"}}, enrolled=Enrolment(1)), a=Consumption(2))

    done, topic = handle(tables, user_sync(), user_sync(), job=JOB)
    _, again = handle(tables, user_sync(), job=JOB)

    assert tables.enrolled[WHO] == Enrolment(2, NOW)
    assert kinds(topic) == ["enrol-complete", "issue-certificate"]
    assert {message.key for message in topic.sent} == {b"user_1"}
    assert again.sent == []
    assert counts(done)["update_events"] == counts(done)["success"] == 2
    assert counts(done)["completed_enrolments"] == counts(done)["certificate_requests"] == 1


@pytest.mark.parametrize("enrolled", [None, Enrolment(1), Enrolment(2, EARLIER)])
def test_without_anything_stored_only_the_progress_of_an_enrolment_becomes_0(
    enrolled: Enrolment | None,
) -> None:
    tables = of({COURSE: {"a"}}, enrolled=enrolled)

    _, topic = handle(tables, user_sync(), job=JOB)

    assert tables.progress == ({WHO: (0, None)} if enrolled == Enrolment(1) else {})
    assert tables.enrolled == ({WHO: enrolled} if enrolled else {})
    assert tables.aggregates == {}
    assert topic.sent == []


def test_a_completed_enrolment_is_never_opened_again_whatever_the_settings() -> None:
    tables = stored(of({COURSE: {"a", "b"}}, enrolled=Enrolment(2, EARLIER)), a=_DONE)

    _, topic = handle(tables, user_sync(), using=settings(JOB.name, filtered=False), job=JOB)

    assert tables.enrolled[WHO] == Enrolment(2, EARLIER)
    assert tables.progress[WHO] == (1, {"a": 2})
    assert topic.sent == []


def test_a_course_without_leaf_nodes_fails_with_the_reason() -> None:
    tables = stored(of({COURSE: set()}, enrolled=Enrolment(1)), a=_DONE)

    done, topic = handle(tables, user_sync(), job=JOB)

    [record] = topic.to("failed")
    failed = json.loads(record.value)
    assert failed["failInfo"]["errorCode"] == "ERR_LEAF_NODES_MISSING"
    assert failed["jobName"] == "enrolment-reconciliation"
    assert counts(done) == {"total": 1, "failed": 1}
    assert tables.progress == {}


def test_a_sync_of_the_updater_is_none_of_this_jobs_business() -> None:
    done, topic = handle(of({COURSE: {"a"}}, enrolled=Enrolment(1)), sync(), job=JOB)

    assert counts(done) == {"total": 1, "skipped": 1}
    assert topic.sent == []
