"""What one update leads to, step by step; rules of the specification, jobs, section 2."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from tests.conformance.events import Learner, audit_names, sync, update
from tests.conformance.learning import (
    aggregate,
    cached_course,
    completed_counts,
    consumption,
    consumption_rows,
    enrol,
    enrolment,
    enrolment_key,
    has_consumed,
    mark,
    marks,
)
from tests.conformance.process import Running
from tests.conformance.servers import AGGREGATES, CONSUMPTION, ENROLMENTS, MARKS, RELATION_CACHE, Json, unique
from tests.conformance.site import ACTIVITY, Site

pytestmark = pytest.mark.usefixtures("jobs")

LONG_AGO = datetime(2022, 2, 21, 5, 54, 43, 853000, tzinfo=UTC)


def handle(site: Site, *values: bytes) -> None:
    """Sends events in order, and waits until they are handled."""
    site.send(ACTIVITY, values, partition=0)
    site.settle()


def is_now(moment: datetime | None) -> bool:
    """Whether it was a moment ago."""
    return moment is not None and abs(datetime.now(UTC) - moment) < timedelta(minutes=1)


def test_only_contents_with_status_2_are_handled(site: Site) -> None:
    learner = enrol(site, cached_course(site, {"u1": ["c1", "c2", "c3"]}))
    handle(site, update(learner, {"c1": 2, "c2": 1, "c3": 0}))
    assert consumption(site, learner) == {"c1": (2, 1, 1)}
    assert marks(site, learner, "c1", "c2", "c3") == {"c1"}
    assert audit_names([m.value for m in site.audits(learner.user)]) == [("complete", "c1"), ("start", "c1")]


def test_an_update_without_a_completed_content_changes_nothing(site: Site, jobs: Running) -> None:
    learner = enrol(site, cached_course(site, {"u1": ["c1"]}))
    before, skipped = enrolment(site, learner), jobs.counts(ACTIVITY).get("skipped", 0)
    handle(site, update(learner, {"c1": 1}), update(learner, {}))
    assert consumption(site, learner) == {}
    assert enrolment(site, learner) == before
    assert aggregate(site, learner, learner.course) is None
    assert jobs.counts(ACTIVITY)["skipped"] - skipped == 2


def test_a_handled_completion_is_marked_for_the_time_that_is_set(site: Site) -> None:
    learner = enrol(site, cached_course(site, {"u1": ["c1", "c 2"]}))
    handle(site, update(learner, {"c1": 2, "c 2": 2}))
    redis = site.servers.redis(MARKS)
    for content in ("c1", "c 2"):
        assert redis.get(mark(learner, content)) == ""
        assert 604800 - 60 < int(str(redis.ttl(mark(learner, content)))) <= 604800


def test_a_completion_that_is_marked_is_dropped(site: Site) -> None:
    learner = enrol(site, cached_course(site, {"u1": ["c1", "c2", "c3"]}))
    site.servers.redis(MARKS).set(mark(learner, "c1"), "", ex=600)
    handle(site, update(learner, {"c1": 2, "c2": 2}), update(learner, {"c2": 2}))
    handle(site, update(learner, {"c1": 2, "c2": 2}))
    assert consumption(site, learner) == {"c2": (2, 1, 1)}
    assert audit_names([m.value for m in site.audits(learner.user)]) == [("complete", "c2"), ("start", "c2")]
    row = enrolment(site, learner)
    assert row is not None
    assert (row["progress"], row["contentstatus"]) == (1, {"c2": 2})


def test_all_contents_of_several_events_count_once_each(site: Site) -> None:
    contents = [f"c{number}" for number in range(30)]
    learner = enrol(site, cached_course(site, {"u1": contents[:15], "u2": contents[15:]}))
    # One behind the other in one partition at once: at most two batches, mostly one.
    handle(
        site,
        *(update(learner, {content: 2}) for content in contents),
        *(update(learner, {content: 2, "c29": 2}) for content in contents),
        update(learner, [{"contentId": "c7", "status": 2}] * 3),
    )
    assert consumption(site, learner) == dict.fromkeys(contents, (2, 1, 1))
    audits = audit_names([m.value for m in site.audits(learner.user)])
    assert audits == sorted(
        [
            *(("start", c) for c in contents),
            *(("complete", c) for c in contents),
            ("enrol-complete", learner.user),
        ]
    )


def test_a_stored_row_without_status_counts_as_in_progress(site: Site) -> None:
    learner = enrol(site, cached_course(site, {"u1": ["c1", "c2"]}))
    has_consumed(site, learner, "c1", progress=40)
    handle(site, update(learner, {"c2": 2}))
    row = enrolment(site, learner)
    assert row is not None
    assert row["contentstatus"] == {"c1": 1, "c2": 2}
    assert row["progress"] == 1
    assert consumption(site, learner)["c1"] == (None, None, None)


def test_counts_are_added_to_what_is_stored_and_the_status_never_falls(site: Site) -> None:
    learner = enrol(site, cached_course(site, {"u1": ["c1", "c2", "c3", "c4"]}))
    has_consumed(site, learner, "c1", status=2, viewcount=3, completedcount=1)
    has_consumed(site, learner, "c2", status=1, viewcount=1)
    has_consumed(site, learner, "c3", status=3, viewcount=7, completedcount=7)
    handle(site, update(learner, {"c1": 2, "c2": 2, "c3": 2, "c4": 2}))
    assert consumption(site, learner) == {"c1": (2, 4, 2), "c2": (2, 2, 1), "c3": (3, 8, 8), "c4": (2, 1, 1)}
    audits = audit_names([m.value for m in site.audits(learner.user)])
    assert [audit for audit in audits if audit[0] != "enrol-complete"] == [
        ("complete", "c2"),
        ("complete", "c4"),
        ("start", "c4"),
    ]


def test_rows_and_columns_that_are_not_meant_stay_as_they_are(site: Site) -> None:
    learner = enrol(site, cached_course(site, {"u1": ["c1", "c2"]}))
    others = {
        "progress": 55,
        "lastaccesstime": "2022-02-21 05:54:43:853+0000",
        "lastcompletedtime": "2022-02-21 05:54:43:853+0000",
        "lastupdatedtime": "2022-02-21 05:54:43:853+0000",
        "last_access_time": LONG_AGO,
        "last_completed_time": LONG_AGO,
        "last_updated_time": LONG_AGO,
        "completionpercentage": 55.5,
        "progressdetails": '{"mimeType": "video/mp4"}',
        "datetime": LONG_AGO,
    }
    has_consumed(site, learner, "c1", status=1, **others)
    has_consumed(site, learner, "c2", status=2, viewcount=1, completedcount=1, **others)
    elsewhere = learner._replace(batch=unique("batch"))
    has_consumed(site, elsewhere, "c1", status=1, **others)
    before = consumption_rows(site, learner), consumption_rows(site, elsewhere)
    written = "contentid, WRITETIME(status) AS status, WRITETIME(viewcount) AS viewcount"
    key = {"userid": learner.user, "courseid": learner.course, "batchid": learner.batch}
    times = {row["contentid"]: row for row in site.rows(CONSUMPTION, written, **key)}

    handle(site, update(learner, {"c1": 2}))

    expected = before[0]["c1"] | {"status": 2, "viewcount": 1, "completedcount": 1}
    assert consumption_rows(site, learner) == {"c1": expected, "c2": before[0]["c2"]}
    assert consumption_rows(site, elsewhere) == before[1]
    after = {row["contentid"]: row for row in site.rows(CONSUMPTION, written, **key)}
    assert after["c2"] == times["c2"], "the row of a content that is not in the event was written again"


def test_the_course_aggregate_leaves_other_keys_and_columns(site: Site) -> None:
    learner = enrol(site, cached_course(site, {"u1": ["c1", "c2", "c3"]}, optional=["c3"]))
    stored: Json = {
        "activity_type": "Course",
        "activity_id": learner.course,
        "user_id": learner.user,
        "context_id": f"cb:{learner.batch}",
        "agg": {"completedCount": 9, "score:c1": 3},
        "aggregates": {"completedCount": 0.0, "score:c1": 2.5, "max_score:c1": 4.0},
        "agg_last_updated": {"completedCount": LONG_AGO, "score:c1": LONG_AGO},
        "agg_details": ['{"attempt_id": "a1"}'],
    }
    site.put(AGGREGATES, stored)
    handle(site, update(learner, {"c1": 2, "c3": 2}))
    row = aggregate(site, learner, learner.course)
    assert row is not None
    assert is_now(row["agg_last_updated"].pop("completedCount"))
    assert row == stored | {
        "aggregates": {"completedCount": 1.0, "score:c1": 2.5, "max_score:c1": 4.0},
        "agg_last_updated": {"score:c1": LONG_AGO},
    }


def test_units_above_whatever_the_learner_has_touched_are_counted(site: Site) -> None:
    course = cached_course(
        site,
        {"u1": ["c1", "c2"], "u1.1": ["c2"], "u2": ["c3", "c4", "c5"], "u3": ["c6"], "u4": ["c2", "c7"]},
        optional=["c4"],
    )
    learner = enrol(site, course)
    has_consumed(site, learner, "c3", status=2)
    has_consumed(site, learner, "c4", status=2)
    has_consumed(site, learner, "c5", status=1)
    handle(site, update(learner, {"c2": 2}))
    units = ["u1", "u1.1", "u2", "u3", "u4"]
    assert completed_counts(site, learner, course, *units) == {
        course: 2,
        "u1": 1,
        "u1.1": 1,
        "u2": 1,
        "u4": 1,
    }
    unit = aggregate(site, learner, "u2")
    assert unit is not None
    assert unit["aggregates"] == {"completedCount": 1.0}
    assert unit["agg_last_updated"].keys() == {"completedCount"}
    assert is_now(unit["agg_last_updated"]["completedCount"])
    assert unit["agg"] is unit["agg_details"] is None


def test_an_enrolment_in_progress_has_its_columns_set_and_keeps_the_others(site: Site) -> None:
    course = cached_course(site, {"u1": ["c1", "c2", "c3"], "u2": ["c4"]}, optional=["c3"])
    others = {
        "active": True,
        "addedby": "someone",
        "certificates": [{"name": "old"}],
        "completionpercentage": 3,
        "enrolleddate": "2022-02-21 05:54:43:853+0000",
        "enrolled_date": LONG_AGO,
        "issued_certificates": [{"name": "other", "identifier": "id"}],
        "lastreadcontentid": "c9",
        "lastreadcontentstatus": 1,
        "lastcontentaccesstime": LONG_AGO,
        "certstatus": 1,
    }
    learner = enrol(site, course, contentstatus={"c8": 1}, datetime=LONG_AGO, **others)
    has_consumed(site, learner, "c2", status=1)
    handle(site, update(learner, {"c1": 2, "c3": 2, "elsewhere": 2}))
    row = enrolment(site, learner)
    assert row is not None
    assert is_now(row.pop("datetime"))
    assert row == enrolment_key(learner) | others | {
        "progress": 1,
        "status": 1,
        "contentstatus": {"c1": 2, "c2": 1, "c3": 2, "elsewhere": 2},
        "completedon": None,
    }
    assert site.certificate_requests(learner.user) == []


def test_the_last_required_content_completes_the_enrolment(site: Site) -> None:
    learner = enrol(site, cached_course(site, {"u1": ["c1", "c2", "c3"]}, optional=["c3"]))
    has_consumed(site, learner, "c1", status=2)
    handle(site, update(learner, {"c2": 2}))
    row = enrolment(site, learner)
    assert row is not None
    assert (row["status"], row["progress"], row["contentstatus"]) == (2, 2, {"c1": 2, "c2": 2})
    assert is_now(row["completedon"])
    assert is_now(row["datetime"])


def test_a_completion_date_that_is_set_never_changes(site: Site) -> None:
    learner = enrol(site, cached_course(site, {"u1": ["c1"]}), completedon=LONG_AGO)
    handle(site, update(learner, {"c1": 2}))
    row = enrolment(site, learner)
    assert row is not None
    assert (row["status"], row["completedon"]) == (2, LONG_AGO)


def test_a_completed_enrolment_is_left_alone(site: Site) -> None:
    course = cached_course(site, {"u1": ["c1", "c2"]})
    learner = enrol(site, course, status=2, completedon=LONG_AGO)
    written = "WRITETIME(status) AS status, WRITETIME(progress) AS progress"
    key = {"userid": learner.user, "courseid": learner.course, "batchid": learner.batch}
    before = enrolment(site, learner), site.rows(ENROLMENTS, written, **key)
    handle(site, update(learner, {"c1": 2}), update(learner, {"c1": 2, "c2": 2}), sync(learner))
    assert (enrolment(site, learner), site.rows(ENROLMENTS, written, **key)) == before
    assert site.certificate_requests(learner.user) == []
    assert ("enrol-complete", learner.user) not in audit_names([m.value for m in site.audits(learner.user)])
    assert consumption(site, learner) == {"c1": (2, 1, 1), "c2": (2, 1, 1)}
    assert completed_counts(site, learner, course, "u1") == {course: 2, "u1": 2}


def test_no_enrolment_is_made(site: Site) -> None:
    course = cached_course(site, {"u1": ["c1"]})
    learner = Learner(unique("user"), course, unique("batch"))
    handle(site, update(learner, {"c1": 2}), sync(learner))
    assert enrolment(site, learner) is None
    assert site.certificate_requests(learner.user) == []
    assert consumption(site, learner) == {"c1": (2, 1, 1)}
    assert completed_counts(site, learner, course) == {course: 1}


def test_a_course_of_optional_contents_alone_is_completed_by_any_update(site: Site) -> None:
    learner = enrol(site, cached_course(site, {"u1": ["c1", "c2"]}, optional=["c1", "c2"]))
    handle(site, update(learner, {"elsewhere": 2}))
    row = enrolment(site, learner)
    assert row is not None
    assert (row["status"], row["progress"]) == (2, 0)
    assert len(site.certificate_requests(learner.user)) == 1


def test_numbers_and_actions_may_be_written_differently(site: Site) -> None:
    learner = enrol(site, cached_course(site, {"u1": ["c1", "c2", "c3", "c4"]}))
    handle(
        site,
        update(learner, {"c1": 2.0}, action="Batch-Enrolment-UPDATE"),
        update(learner, {"c2": "2", "c3": "1"}, iteration="1"),
        update(learner, [{"contentId": "c4", "status": 2, "progress": 100, "unknown": {"a": [None]}}]),
    )
    assert consumption(site, learner) == {"c1": (2, 1, 1), "c2": (2, 1, 1), "c4": (2, 1, 1)}


def test_one_learner_in_two_batches_and_two_courses_has_progress_of_each(site: Site) -> None:
    one, two = cached_course(site, {"u1": ["c1", "c2"]}), cached_course(site, {"u1": ["c1", "c3"]})
    first = enrol(site, one)
    learners = [first, first._replace(batch=unique("batch")), first._replace(course=two)]
    for learner in learners[1:]:
        site.put(ENROLMENTS, enrolment_key(learner) | {"active": True, "status": 0})
    contents: list[dict[str, object]] = [{"c1": 2, "c2": 2}, {"c2": 2}, {"c3": 2}]
    handle(site, *(update(learner, each) for learner, each in zip(learners, contents, strict=True)))
    for learner, each, status in zip(learners, contents, (2, 1, 1), strict=True):
        assert consumption(site, learner) == dict.fromkeys(each, (2, 1, 1))
        row = enrolment(site, learner)
        assert row is not None
        assert (row["progress"], row["status"]) == (len(each), status)
        assert completed_counts(site, learner, learner.course) == {learner.course: len(each)}
    assert len(site.certificate_requests(first.user)) == 1


@pytest.mark.parametrize(
    "odd", ['वर्ग 7: "अ" | it\'s', "x" * 500], ids=["script, quotes and bars", "500 characters"]
)
def test_ids_may_hold_anything_that_can_be_printed(site: Site, odd: str) -> None:
    course = cached_course(site, {f"u {odd}": [f"c {odd}"[:500]]}, course=f"{odd[:400]} {unique('do')}")
    learner = Learner(f"{unique('user')} {odd}"[:500], course, f"b {odd}"[:500])
    site.put(ENROLMENTS, enrolment_key(learner) | {"active": True, "status": 0})
    handle(site, update(learner, {f"c {odd}"[:500]: 2}))
    row = enrolment(site, learner)
    assert row is not None
    assert row["status"] == 2
    assert marks(site, learner, f"c {odd}"[:500]) == {f"c {odd}"[:500]}
    [request] = site.certificate_requests(learner.user)
    assert request.key == learner.user


def test_a_course_that_was_published_again_counts_by_its_new_shape_within_a_second(site: Site) -> None:
    course = cached_course(site, {"u1": ["c1", "c2", "c3"]})
    learner = enrol(site, course)
    handle(site, update(learner, {"c1": 2}))
    cache = site.servers.redis(RELATION_CACHE)
    cache.srem(f"{course}:{course}:leafnodes", "c1")
    cache.srem(f"{course}:u1:leafnodes", "c1")
    cache.sadd(f"{course}:{course}:optionalnodes", "c3")
    time.sleep(1)
    handle(site, update(learner, {"c2": 2}))
    assert completed_counts(site, learner, course, "u1") == {course: 1, "u1": 1}
    row = enrolment(site, learner)
    assert row is not None
    assert (row["status"], row["progress"]) == (2, 1)
