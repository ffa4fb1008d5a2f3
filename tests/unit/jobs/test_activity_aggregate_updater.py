"""activity-aggregate-updater: completions become progress (jobs, section 2)."""

import hashlib
from dataclasses import replace

import pytest
from tests.events import NOW, request, settings, sync, update
from tests.fakes import Tables
from tests.one_course import COURSE, EARLIER, WHO, counts, done_counts, handle, kinds, of

from lern.domain.model import (
    Consumption,
    ContentId,
    Enrolment,
)
from lern.settings.model import RedisDatabases, RedisSettings


def test_a_completion_is_counted_in_course_unit_and_enrolment() -> None:
    tables = of({COURSE: {"a", "b"}, "u1": {"a"}, "u2": {"b"}}, enrolled=Enrolment())

    done, topic = handle(tables, update("a"))

    assert tables.contents[WHO] == {"a": Consumption(2, 1, 1)}
    assert done_counts(tables) == {COURSE: 1.0, "u1": 1.0}
    assert tables.enrolled[WHO] == Enrolment(1)
    assert tables.progress[WHO] == (1, {"a": 2})
    assert kinds(topic) == ["complete", "start"]
    assert counts(done) == {
        "total": 1,
        "success": 1,
        "update_events": 1,
        "processed_enrolments": 1,
        "db_reads": 2,
        "db_updates": 4,
        "cache_hits": 1,
    }


def test_the_last_required_leaf_completes_the_course_and_asks_for_the_certificate() -> None:
    tables = of({COURSE: {"a", "b", "c"}}, {COURSE: {"c"}}, Enrolment(1))
    tables.contents[WHO] = {ContentId("a"): Consumption(2, 1, 1)}

    done, topic = handle(tables, update("b"))

    assert tables.enrolled[WHO] == Enrolment(2, NOW)
    assert tables.progress[WHO] == (2, {"a": 2, "b": 2})
    assert kinds(topic) == ["complete", "enrol-complete", "issue-certificate", "start"]
    assert counts(done)["completed_enrolments"] == counts(done)["certificate_requests"] == 1


def test_all_contents_of_all_events_of_an_enrolment_count() -> None:
    tables = of({COURSE: {"a", "b", "c"}}, enrolled=Enrolment())

    done, topic = handle(tables, update("a"), update("b"), update("c", user="user_2"), update("c"))

    assert tables.contents[WHO] == {content: Consumption(2, 1, 1) for content in ("a", "b", "c")}
    assert kinds(topic).count("start") == kinds(topic).count("complete") == 4
    assert counts(done)["success"] == 4


@pytest.mark.parametrize("status", [0, 1])
def test_an_update_without_completed_contents_is_skipped(status: int) -> None:
    tables = of({COURSE: {"a"}}, enrolled=Enrolment())

    done, topic = handle(tables, update("a", status=status), update())

    assert counts(done) == {"total": 2, "skipped": 2}
    assert not any([tables.contents, tables.aggregates, tables.handled, topic.sent])


def test_an_update_without_completed_contents_is_skipped_beside_one_that_fails() -> None:
    """Whether an event is skipped does not depend on what else is in its batch."""
    done, topic = handle(Tables(), update("a", status=1), update("a"))

    assert counts(done) == {"total": 2, "skipped": 1, "failed": 1}
    assert len(topic.to("failed")) == 1


def test_a_completion_is_counted_once_in_a_batch_and_between_batches() -> None:
    tables = of({COURSE: {"a", "b"}}, enrolled=Enrolment())
    handle(tables, update("a", "a"), update("a"))
    stored, written = dict(tables.contents[WHO]), dict(tables.aggregates)

    done, topic = handle(tables, update("a"))

    assert stored == tables.contents[WHO] == {"a": Consumption(2, 1, 1)}
    assert tables.aggregates == written
    assert counts(done) == {"total": 1, "skipped": 1}
    assert not topic.sent


def test_marks_have_the_name_that_other_programs_know() -> None:
    tables = of({COURSE: {"a"}})

    handle(tables, update("a"))

    text = b"course_1|batch_1|user_1|a|2"
    assert tables.handled == {hashlib.md5(text, usedforsecurity=False).hexdigest().upper()}


def test_without_deduplication_every_completion_adds_a_view() -> None:
    tables = of({COURSE: {"a", "b"}}, enrolled=Enrolment())

    _, topic = handle(tables, update("a", "a"), update("a"), using=settings(dedup=False))

    assert tables.contents[WHO] == {"a": Consumption(2, 3, 3)}
    assert kinds(topic) == ["complete", "start"]
    assert not tables.handled


def test_views_that_the_row_has_already_are_kept_and_not_announced() -> None:
    tables = of({COURSE: {"a", "b"}}, enrolled=Enrolment())
    tables.contents[WHO] = {ContentId("a"): Consumption(1, 4, 0), ContentId("b"): Consumption(1, 7, 0)}

    _, topic = handle(tables, update("a"))

    assert tables.contents[WHO] == {"a": Consumption(2, 5, 1), "b": Consumption(1, 7, 0)}
    assert kinds(topic) == ["complete"]
    assert tables.progress[WHO] == (1, {"a": 2, "b": 1})


def test_units_are_left_out_when_they_are_switched_off() -> None:
    tables = of({COURSE: {"a"}, "u1": {"a"}}, enrolled=Enrolment())

    handle(tables, update("a"), using=settings(modules=False))

    assert done_counts(tables) == {COURSE: 1.0}


def test_optional_leaves_of_a_unit_do_not_count_in_it() -> None:
    tables = of({COURSE: {"a", "b"}, "u1": {"a", "b"}}, {COURSE: {"b"}, "u1": {"b"}}, Enrolment())

    handle(tables, update("a", "b"))

    assert done_counts(tables) == {COURSE: 1.0, "u1": 1.0}


def test_other_keys_of_the_aggregates_stay() -> None:
    tables = of({COURSE: {"a"}}, enrolled=Enrolment())
    tables.aggregates[COURSE, "user_1", "cb:batch_1"] = {"score:do_9": 3.5}

    handle(tables, update("a"))

    assert tables.aggregates[COURSE, "user_1", "cb:batch_1"] == {"score:do_9": 3.5, "completedCount": 1.0}


def test_a_content_that_the_course_does_not_have_changes_no_count() -> None:
    tables = of({COURSE: {"a"}}, enrolled=Enrolment())

    handle(tables, update("elsewhere"))

    assert done_counts(tables) == {COURSE: 0.0}
    assert tables.enrolled[WHO] == Enrolment(1)
    assert tables.progress[WHO] == (0, {"elsewhere": 2})


@pytest.mark.parametrize("before", [None, Enrolment(2, EARLIER)])
def test_missing_and_completed_enrolments_are_left_alone(before: Enrolment | None) -> None:
    tables = of({COURSE: {"a"}}, enrolled=before)

    done, topic = handle(tables, update("a"))

    assert tables.enrolled.get(WHO) == before
    assert not tables.progress
    assert done_counts(tables) == {COURSE: 1.0}
    assert kinds(topic) == ["complete", "start"]
    assert "processed_enrolments" not in counts(done)


def test_without_the_filter_a_completed_enrolment_gets_its_progress_and_stays_completed() -> None:
    tables = of({COURSE: {"a", "b"}}, enrolled=Enrolment(2, EARLIER))

    _, topic = handle(tables, update("a"), using=settings(filtered=False))

    assert tables.enrolled[WHO] == Enrolment(2, EARLIER)
    assert tables.progress[WHO] == (1, {"a": 2})
    assert kinds(topic) == ["complete", "start"]


def test_a_course_whose_leaves_are_all_optional_is_complete_with_the_first_update() -> None:
    tables = of({COURSE: {"a", "b"}}, {COURSE: {"a", "b"}}, Enrolment())

    handle(tables, update("a"))

    assert tables.enrolled[WHO] == Enrolment(2, NOW)
    assert tables.progress[WHO] == (0, {"a": 2})


def test_a_sync_counts_what_is_stored() -> None:
    tables = of({COURSE: {"a", "b"}, "u1": {"a"}}, enrolled=Enrolment())
    tables.contents[WHO] = {ContentId("a"): Consumption(2), ContentId("b"): Consumption(1)}

    done, topic = handle(tables, sync())

    assert done_counts(tables) == {COURSE: 1.0, "u1": 1.0}
    assert tables.progress[WHO] == (1, {"a": 2, "b": 1})
    assert tables.contents[WHO][ContentId("a")] == Consumption(2)
    assert not topic.sent
    assert counts(done)["success"] == 1


def test_a_sync_that_finds_the_course_complete_asks_for_the_certificate() -> None:
    tables = of({COURSE: {"a"}}, enrolled=Enrolment(1))
    tables.contents[WHO] = {ContentId("a"): Consumption(2)}

    _, topic = handle(tables, sync())

    assert tables.enrolled[WHO] == Enrolment(2, NOW)
    assert kinds(topic) == ["enrol-complete", "issue-certificate"]


@pytest.mark.parametrize("optional", [set(), {"a"}])
def test_a_sync_without_stored_contents_sets_progress_to_zero_and_writes_nothing_else(
    optional: set[str],
) -> None:
    tables = of({COURSE: {"a"}}, {COURSE: optional}, Enrolment(1))

    _, topic = handle(tables, sync())

    assert tables.progress == {WHO: (0, None)}
    assert tables.enrolled == {WHO: Enrolment(1)}
    assert not any([tables.aggregates, topic.sent])


def test_a_sync_of_nobody_writes_nothing() -> None:
    tables = of({COURSE: {"a"}})

    handle(tables, sync())

    assert not any([tables.progress, tables.enrolled, tables.aggregates])


def test_the_cached_list_of_enrolments_is_dropped_where_that_cache_is_configured() -> None:
    redis = RedisSettings("nowhere")
    configured = RedisDatabases(redis, redis, redis, enrolments=redis)
    using = settings()
    tables = of({COURSE: {"a"}}, enrolled=Enrolment())

    handle(tables, update("a"), using=replace(using, redis=configured))
    handle(tables, update("a", user="user_without_enrolment"), using=replace(using, redis=configured))

    assert tables.forgotten == ["user_1"]


def test_other_actions_are_skipped() -> None:
    done, _ = handle(Tables(), request({"action": "issue-certificate", "userIds": ["user_1"]}))

    assert counts(done) == {"total": 1, "skipped": 1}
