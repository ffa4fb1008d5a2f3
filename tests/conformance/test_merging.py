"""merge-user-courses from outside: what one account did becomes part of another's, field by field."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.conformance.conftest import NewSite
from tests.conformance.events import Learner, account_merge
from tests.conformance.learning import cached_course, completed_counts, enrolment, enrolment_key
from tests.conformance.merging import EARLIER, LATER, counts, persons, view, whole
from tests.conformance.process import Running, config, lern, run
from tests.conformance.servers import (
    AGGREGATES,
    ASSESSMENTS,
    CONSUMPTION,
    COURSE_TABLES,
    ENROLMENTS,
    Keyspaces,
    Servers,
    unique,
)
from tests.conformance.site import ACTIVITY, MERGE, Site

_BY_COURSE = COURSE_TABLES[ASSESSMENTS].replace(
    "((user_id, course_id), batch_id, content_id, attempt_id)",
    "(course_id, batch_id, user_id, content_id, attempt_id)",
)


@pytest.fixture(scope="module")
def other_site(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Site]]:
    """An installation with another table of attempts."""
    made: list[Keyspaces] = []

    def make(attempts: str) -> Site:
        names = Keyspaces(unique("courses"), unique("hierarchy"))
        servers.create_keyspaces(names, {**COURSE_TABLES, ASSESSMENTS: attempts})
        made.append(names)
        return Site(servers, tmp_path_factory.mktemp("site"), names)

    yield make
    for names in made:
        servers.drop_keyspaces(names)


_OLD_CONTENT: dict[str, Any] = {
    "completedcount": 1,
    "completionpercentage": 12.5,
    "datetime": LATER,
    "lastaccesstime": "2022-02-21 11:24:43:853+0530",
    "lastcompletedtime": "2023-05-09 10:38:57:232+0000",
    "lastupdatedtime": "not a time",
    "last_access_time": EARLIER,
    "last_completed_time": LATER,
    "progress": 100,
    "progressdetails": '{"page": 7}',
    "status": 2,
    "viewcount": 3,
}
_OWN_CONTENT: dict[str, Any] = {
    "datetime": EARLIER,
    "lastaccesstime": "2022-02-21 08:00:00:000+0000",
    "lastcompletedtime": "2023-05-09 16:00:00:000+0530",
    "lastupdatedtime": "2021-01-01 00:00:00:000+0000",
    "last_access_time": LATER,
    "last_updated_time": EARLIER,
    "progress": 40,
    "progressdetails": '{"page": 3}',
    "status": 1,
    "viewcount": 2,
}
_MERGED_CONTENT = {
    **_OLD_CONTENT,
    "lastaccesstime": _OWN_CONTENT["lastaccesstime"],  # half past five in India is before eight in Greenwich
    "lastupdatedtime": _OWN_CONTENT["lastupdatedtime"],
    "last_access_time": LATER,
    "last_updated_time": EARLIER,
    "progressdetails": '{"page": 3}',
    "viewcount": 5,
}
_OLD_ENROLMENT: dict[str, Any] = {
    "active": True,
    "addedby": "someone",
    "certificates": [{"name": "old"}],
    "completedon": LATER,
    "contentstatus": {"c1": 2, "c2": 2},
    "datetime": LATER,
    "enrolled_date": EARLIER,
    "issued_certificates": [{"name": "merit", "identifier": "1-2", "token": "T"}],
    "progress": 2,
    "status": 2,
}
_QUESTIONS = """[{id: 'q1', assess_ts: 1683617553712, max_score: 1.0, score: 0.5, type: 'MCQ', title: 'Fractions',
    resvalues: [{'1': '{"text": "A"}'}], params: [{'options': '[]'}, {}], description: '', duration: 1.10}, {id: 'q2'}]"""


def attempt(site: Site, learner: Learner, number: str, score: float) -> None:
    """An attempt at an assessment with its questions."""
    site.servers.cql.execute(
        f"INSERT INTO {site.table(ASSESSMENTS)} (user_id, course_id, batch_id, content_id, attempt_id, created_on,"  # noqa: S608  # names of the tests
        f" last_attempted_on, total_score, grand_total, question)"
        f" VALUES (%s, %s, %s, 'exam', %s, 1683617553712, 1683617553999, %s, '0.5/1.0', {_QUESTIONS})",
        (*learner, number, score),
    )


def two_accounts(site: Site) -> tuple[Learner, Learner]:
    """The old and the new account of a person, both in the first batch, the old one in a second course too."""
    old, new = persons("old", "new")
    course = cached_course(site, {"u1": ["c1", "c2"], "u2": ["c3"]})
    theirs, own = Learner(old, course, unique("batch")), Learner(new, course, "")
    own = own._replace(batch=theirs.batch)
    second = Learner(old, unique("do"), unique("batch"))
    site.put(CONSUMPTION, enrolment_key(theirs) | {"contentid": "c1"} | _OLD_CONTENT)
    site.put(CONSUMPTION, enrolment_key(theirs) | {"contentid": "c2"} | _OLD_CONTENT)
    site.put(CONSUMPTION, enrolment_key(own) | {"contentid": "C1"} | _OWN_CONTENT)
    site.put(CONSUMPTION, enrolment_key(own) | {"contentid": "c3", "status": 1})
    site.put(ENROLMENTS, enrolment_key(theirs) | {"status": 1, "progress": 2, "active": True})
    site.put(ENROLMENTS, enrolment_key(own) | {"status": 1, "progress": 0, "active": True})
    site.put(ENROLMENTS, enrolment_key(second) | _OLD_ENROLMENT)
    attempt(site, theirs, "a1", 0.5)
    attempt(site, theirs, "a2", 1.0)
    attempt(site, own, "a2", 0.25)
    key = {"activity_type": "Course", "context_id": f"cb:{theirs.batch}"}
    site.put(
        AGGREGATES,
        key
        | {"activity_id": course, "user_id": old}
        | {
            "agg": {"completedCount": 2},
            "aggregates": {"completedCount": 2.0, "score:exam": 1.0, "max_score:exam": 1.0},
            "agg_last_updated": dict.fromkeys(("completedCount", "score:exam", "max_score:exam"), LATER),
            "agg_details": [json.dumps({"attempt_id": "a1", "content_id": "exam"})],
        },
    )
    site.put(
        AGGREGATES,
        key
        | {"activity_id": course, "user_id": new}
        | {"aggregates": {"completedCount": 0.0, "score:exam": 0.25}}
        | {"agg_last_updated": {"completedCount": EARLIER, "score:exam": EARLIER}},
    )
    site.put(
        AGGREGATES,
        key | {"activity_id": "u1", "user_id": old} | {"aggregates": {"completedCount": 2.0}},
    )
    return theirs, own


def check_merged(site: Site, old: Learner, new: Learner, since: datetime, *, attempts: bool = True) -> None:
    """The rows of the account that stays."""
    rows = whole(site, new.user, new.course, new.batch, "u1", "u2")
    contents = {row["contentid"]: row for row in rows[CONSUMPTION]}
    assert contents.keys() == {"C1", "c2", "c3"}
    assert {name: contents["C1"][name] for name in _MERGED_CONTENT} == _MERGED_CONTENT
    assert {name: contents["c2"][name] for name in _OLD_CONTENT} == _OLD_CONTENT
    assert (contents["c3"]["status"], contents["c3"]["viewcount"]) == (1, None)

    enrolments = {row["courseid"]: row for row in rows[ENROLMENTS]}
    second = enrolments.pop(next(course for course in enrolments if course != new.course))
    assert {name: second[name] for name in _OLD_ENROLMENT} == _OLD_ENROLMENT
    assert (enrolments[new.course]["status"], enrolments[new.course]["progress"]) == (1, 0)

    course, unit = rows[AGGREGATES]
    assert course["aggregates"] == {"completedCount": 2.0, "score:exam": 0.25, "max_score:exam": 1.0}
    assert course["agg"] == {"completedCount": 2}
    times = course["agg_last_updated"]
    assert since - timedelta(milliseconds=1) <= times.pop("completedCount") <= datetime.now(UTC)
    assert times == {"score:exam": EARLIER, "max_score:exam": LATER}
    assert [json.loads(text)["attempt_id"] for text in course["agg_details"]] == ["a1"]
    assert (unit["activity_id"], unit["aggregates"]) == ("u1", {"completedCount": 2.0})

    if attempts:
        theirs = whole(site, old.user, old.course, old.batch)[ASSESSMENTS]
        own = rows[ASSESSMENTS]
        assert [row["attempt_id"] for row in own] == ["a1", "a2"]
        assert own[0] == theirs[0]
        assert [question.id for question in own[0]["question"]] == ["q1", "q2"]
        assert (own[1]["total_score"], theirs[1]["total_score"]) == (0.25, 1.0)


def test_a_merge_field_by_field(new_site: NewSite) -> None:
    site = new_site()
    old, new = two_accounts(site)
    before, since = whole(site, old.user, old.course, old.batch, "u1"), datetime.now(UTC)

    site.send(MERGE, [account_merge(old.user, new.user)])
    with Running(site, [MERGE]) as running:
        site.settle(MERGE)
        counted = running.counts(MERGE)

    check_merged(site, old, new, since)
    assert whole(site, old.user, old.course, old.batch, "u1") == before
    assert site.failed(MERGE) == []
    assert (counted["total"], counted["success"]) == (1, 1)
    # Two contents, an enrolment, an attempt, two aggregates.
    assert counted["db_updates"] == 6
    assert "skipped" not in counted


def test_every_enrolment_of_the_account_that_stays_is_asked_to_be_computed_again(new_site: NewSite) -> None:
    site = new_site()
    old, new = two_accounts(site)

    site.send(MERGE, [account_merge(old.user, new.user)])
    run(site, MERGE)

    messages = site.servers.read(site.input(ACTIVITY))
    assert [message.key for message in messages] == [new.user] * 2
    assert len({message.partition for message in messages}) == 1
    found = {message.value["edata"]["courseId"]: message.value for message in messages}
    event = found[new.course]
    millis = re.fullmatch(r"LP\.(\d{13})\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", event.pop("mid"))
    assert millis
    assert int(millis[1]) == event.pop("ets")
    assert event == {
        "eid": "BE_JOB_REQUEST",
        "actor": {"id": "Course Batch Updater", "type": "System"},
        "context": {"pdata": {"ver": "1.0", "id": "org.sunbird.platform"}},
        "object": {"id": f"{new.batch}_{new.user}", "type": "CourseBatchEnrolment"},
        "edata": {
            "action": "batch-enrolment-sync",
            "iteration": 1,
            "batchId": new.batch,
            "userId": new.user,
            "courseId": new.course,
            "reset": ["completionPercentage", "status", "progress"],
        },
    }
    assert len(found) == 2

    run(site, ACTIVITY)
    row = enrolment(site, new)
    assert row is not None
    # C1 is not c1 to the course, which holds ids as they are.
    assert (row["status"], row["progress"]) == (1, 1)
    assert completed_counts(site, new, new.course, "u1") == {new.course: 1.0, "u1": 1.0}


@pytest.mark.parametrize("attempts", [_BY_COURSE, None], ids=["by course", "no table"])
def test_installations_with_another_table_of_attempts_or_none(
    other_site: Callable[..., Site], attempts: str | None
) -> None:
    site = other_site(attempts or COURSE_TABLES[ASSESSMENTS])
    old, new = two_accounts(site)
    if attempts is None:
        site.servers.cql.execute(f"DROP TABLE {site.table(ASSESSMENTS)}")
    since = datetime.now(UTC)

    site.send(MERGE, [account_merge(old.user, new.user)])
    run(site, MERGE)

    assert site.failed(MERGE) == []
    if attempts is None:
        site.servers.cql.execute(f"CREATE TABLE {site.table(ASSESSMENTS)} ({COURSE_TABLES[ASSESSMENTS]})")
    check_merged(site, old, new, since, attempts=attempts is not None)


def test_the_same_merge_again_leaves_the_same_rows(new_site: NewSite) -> None:
    site = new_site(partitions=1)
    old, new = two_accounts(site)
    event = account_merge(old.user, new.user)
    site.send(MERGE, [event])
    run(site, MERGE)
    once = whole(site, new.user, new.course, new.batch, "u1", "u2")

    # The same message, another one that says the same, and several that wait together.
    site.send(MERGE, [event, account_merge(old.user, new.user), event])
    run(site, MERGE)

    assert whole(site, new.user, new.course, new.batch, "u1", "u2") == once
    assert len(site.servers.read(site.input(ACTIVITY))) == 8


def test_chains_and_ways_over_a_third_account_count_every_view_once(new_site: NewSite) -> None:
    site = new_site(partitions=1)
    a, b, c = persons("a", "b", "c")
    place = (unique("do"), unique("batch"))
    learners = {user: Learner(user, *place) for user in (a, b, c)}
    for learner, views in zip(learners.values(), (1, 10, 100), strict=True):
        view(site, learner, "c1", views, completions=1)
    key = (*place, "c1")

    site.send(MERGE, [account_merge(a, b), account_merge(b, c)])
    run(site, MERGE)
    assert [counts(site, user)[key] for user in (a, b, c)] == [(1, 1), (11, 2), (111, 3)]

    view(site, learners[a], "c1", 2, completions=2)
    site.send(MERGE, [account_merge(a, c), account_merge(b, c), account_merge(c, a), account_merge(a, b)])
    run(site, MERGE)
    assert [counts(site, user)[key] for user in (a, b, c)] == [(112, 4)] * 3
    assert site.failed(MERGE) == []


def test_two_thousand_contents(new_site: NewSite) -> None:
    site = new_site()
    old, new = persons("old", "new")
    course, batch = unique("do"), unique("batch")
    rows = [
        {"userid": user, "courseid": course, "batchid": batch, "contentid": f"do_{number:020}"}
        | {"status": 2, "viewcount": number, "completedcount": 1, "lastaccesstime": f"{number}"}
        for number in range(2_000)
        for user in ([old, new] if number % 2 else [old])
    ]
    site.put(CONSUMPTION, *rows)

    site.send(MERGE, [account_merge(old, new)])
    run(site, MERGE)

    assert counts(site, new) == {
        (course, batch, f"do_{number:020}"): (number + number % 2 * number, 1 + number % 2)
        for number in range(2_000)
    }


_BAD = [
    (account_merge("", "new"), "edata.fromAccountId"),
    (account_merge("old", " "), "edata.toAccountId"),
    (account_merge("old", None), "edata.toAccountId"),
    (account_merge(["old"], "new"), "edata.fromAccountId"),
    (account_merge("same", "same"), "edata.toAccountId"),
    (b'{"edata": {"toAccountId": "new"}}', "edata.fromAccountId"),
    (b'{"edata": {}}', "edata."),
    (b'{"other": 1}', "edata"),
]


def test_what_names_no_two_accounts_fails_and_the_rest_goes_on(new_site: NewSite) -> None:
    site = new_site(partitions=1)
    old, new = two_accounts(site)
    since = datetime.now(UTC)

    site.send(MERGE, [*(value for value, _ in _BAD), b"no JSON", b"\xff", account_merge(old.user, new.user)])
    with Running(site, [MERGE]) as running:
        site.settle(MERGE)
        counted = running.counts(MERGE)

    check_merged(site, old, new, since)
    *records, text, raw = site.failed(MERGE)
    for record, (value, field) in zip(records, _BAD, strict=True):
        info = record.value.pop("failInfo")
        assert info["errorCode"] == record.headers["lern-error-code"] == "ERR_MERGE_USER_COURSES_SAMZA"
        assert info["error"].startswith(field)
        assert record.value.pop("jobName") == MERGE
        assert record.value == json.loads(value)
    assert [one.value["failInfo"]["errorCode"] for one in (text, raw)] == ["ERR_INVALID_EVENT"] * 2
    assert (counted["total"], counted["success"]) == (len(_BAD) + 3, 1)
    assert (counted["failed"], counted["skipped"]) == (len(_BAD) + 2, len(_BAD))


def test_a_dry_run_prints_what_would_be_done_and_changes_nothing(new_site: NewSite) -> None:
    site = new_site(partitions=1)
    old, new = two_accounts(site)
    before = whole(site, new.user, new.course, new.batch, "u1", "u2")

    site.send(MERGE, [account_merge(old.user, new.user)])
    [line] = map(json.loads, run(site, MERGE, "--dry-run").stdout.splitlines())

    kinds = [write["type"] for write in line["writes"]]
    assert (kinds.count("PutRow"), kinds.count("SetContributions")) == (6, 2)
    assert {message["key"] for message in line["messages"]} == {new.user}
    assert whole(site, new.user, new.course, new.batch, "u1", "u2") == before
    assert site.behind(MERGE) == 1
    assert site.servers.read(site.input(ACTIVITY)) == []
    run(site, MERGE)
    assert site.behind(MERGE) == 0


def test_the_list_of_enrolments_that_the_course_service_keeps_is_dropped(new_site: NewSite) -> None:
    site = new_site({"redis.enrolments.cache.index": "4"})
    old, new = two_accounts(site)
    redis = site.servers.redis(4)
    for user in (old.user, new.user):
        redis.set(f"{user}:user-enrolments", "[]")

    site.send(MERGE, [account_merge(old.user, new.user)])
    run(site, MERGE)

    assert redis.get(f"{new.user}:user-enrolments") is None
    assert redis.get(f"{old.user}:user-enrolments") == "[]"


def test_lern_jobs_names_what_the_job_reads_and_writes(new_site: NewSite) -> None:
    site = new_site()
    done = lern("jobs", *config(site, MERGE))
    assert done.returncode == 0, done.stderr
    listed = {row["job"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert listed[MERGE]["reads"] == site.input(MERGE)
    assert listed[MERGE]["writes"] == [site.input(ACTIVITY), site.failed_topic(MERGE)]
