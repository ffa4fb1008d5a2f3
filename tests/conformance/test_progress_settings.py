"""The switches of the activity job, courses it does not know, and older tables; specification, jobs 2."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from tests.conformance.conftest import NewSite
from tests.conformance.doubles import Search
from tests.conformance.events import COLLECTION, Learner, audit_names, sync, update
from tests.conformance.learning import (
    cached_course,
    completed_counts,
    consumption,
    consumption_rows,
    enrol,
    enrolment,
    has_consumed,
    marks,
)
from tests.conformance.process import Running, run
from tests.conformance.servers import (
    AGGREGATES,
    ASSESSMENTS,
    CONSUMPTION,
    COURSE_TABLES,
    ENROLMENTS,
    RELATION_CACHE,
    Json,
    Keyspaces,
    Servers,
    eventually,
    unique,
)
from tests.conformance.site import ACTIVITY, Site

LONG_AGO = datetime(2022, 2, 21, 5, 54, 43, 853000, tzinfo=UTC)
LISTS = 0
"""The Redis database of the course service's lists of enrolments, in these tests."""


@pytest.fixture(scope="module")
def search() -> Iterator[Search]:
    """The search service."""
    with Search() as search:
        yield search


@pytest.fixture(scope="module")
def other_site(new_site: NewSite, search: Search) -> Site:
    """An installation where every switch is the other way round."""
    return new_site(
        {
            "activity.module.aggs.enabled": "false",
            "activity.input.dedup.enabled": "false",
            "activity.filter.processed.enrolments": "false",
            "redis.enrolments.cache.index": str(LISTS),
            "service.search.basePath": search.base,
        }
    )


@pytest.fixture(scope="module")
def job(other_site: Site) -> Iterator[Running]:
    """The activity job at work there."""
    with Running(other_site, [ACTIVITY]) as running:
        yield running


@pytest.fixture
def site(other_site: Site, job: Running) -> Site:
    """That installation, at work."""
    return other_site


def handle(site: Site, *values: bytes) -> None:
    """Sends events in order, and waits until they are handled."""
    site.send(ACTIVITY, values, partition=3)
    site.settle()


def failures_of(site: Site, learner: Learner) -> list[Json]:
    """The failed records of a learner's events."""
    return [m.value for m in site.failed() if m.value.get("edata", {}).get("userId") == learner.user]


def tree(course: str, *contents: str) -> Json:
    """The hierarchy of a course of one unit."""
    leaves = [{"identifier": content, "mimeType": "video/mp4"} for content in contents]
    unit = {"identifier": "u1", "mimeType": COLLECTION, "visibility": "Parent", "children": leaves}
    return {"identifier": course, "mimeType": COLLECTION, "visibility": "Default", "children": [unit]}


def test_without_module_aggregates_only_the_course_is_counted(site: Site) -> None:
    learner = enrol(site, cached_course(site, {"u1": ["c1", "c2"]}))
    handle(site, update(learner, {"c1": 2}))
    assert completed_counts(site, learner, learner.course, "u1") == {learner.course: 1}


def test_without_deduplication_every_completion_counts_and_none_is_marked(site: Site) -> None:
    learner = enrol(site, cached_course(site, {"u1": ["c1", "c2"]}))
    handle(site, update(learner, {"c1": 2}))
    handle(site, update(learner, {"c1": 2}))
    assert consumption(site, learner) == {"c1": (2, 2, 2)}
    assert marks(site, learner, "c1") == set()
    assert audit_names([m.value for m in site.audits(learner.user)]) == [("complete", "c1"), ("start", "c1")]


def test_without_the_filter_a_missing_enrolment_is_written(site: Site) -> None:
    learner = Learner(unique("user"), cached_course(site, {"u1": ["c1", "c2"]}), unique("batch"))
    handle(site, update(learner, {"c1": 2}))
    row = enrolment(site, learner)
    assert row is not None
    assert (row["status"], row["progress"], row["contentstatus"]) == (1, 1, {"c1": 2})


def test_without_the_filter_a_completed_enrolment_is_computed_again_but_never_reopened(site: Site) -> None:
    learner = enrol(
        site, cached_course(site, {"u1": ["c1", "c2", "c3"]}), status=2, progress=1, completedon=LONG_AGO
    )
    handle(site, update(learner, {"c1": 2, "c2": 2}))
    row = enrolment(site, learner)
    assert row is not None
    assert (row["status"], row["progress"], row["completedon"]) == (2, 2, LONG_AGO)
    assert row["contentstatus"] == {"c1": 2, "c2": 2}
    handle(site, update(learner, {"c3": 2}), sync(learner))
    row = enrolment(site, learner)
    assert row is not None
    assert (row["status"], row["progress"], row["completedon"]) == (2, 3, LONG_AGO)
    assert site.certificate_requests(learner.user) == []


def test_the_cached_list_of_enrolments_is_dropped_with_every_change(site: Site) -> None:
    lists = site.servers.redis(LISTS)
    learner = enrol(site, cached_course(site, {"u1": ["c1", "c2"]}))
    key, neighbour = f"{learner.user}:user-enrolments", f"{learner.user}x:user-enrolments"
    for event in (update(learner, {"c1": 2}), sync(learner)):
        lists.mset({key: "[]", neighbour: "[]"})
        handle(site, event)
        assert (lists.get(key), lists.get(neighbour)) == (None, "[]")
    lists.set(key, "[]")
    handle(site, update(learner, {"c2": 1}))
    assert lists.get(key) == "[]"


def test_a_retired_collection_is_one_failed_record(site: Site, search: Search, job: Running) -> None:
    course = unique("do")
    search.statuses[course] = "Retired"
    site.put_hierarchy(course, tree(course, "c1"))
    learner = enrol(site, course)
    retired = job.counts(ACTIVITY).get("retired", 0)
    handle(site, update(learner, {"c1": 2}))
    [failure] = failures_of(site, learner)
    assert course in failure["failInfo"]["error"]
    assert "retired" in failure["failInfo"]["error"]
    assert failure["jobName"] == ACTIVITY
    assert job.counts(ACTIVITY)["retired"] - retired == 1
    assert consumption(site, learner) == {}
    assert site.audits(learner.user) == []
    asked = [body for body in search.asked if course in str(body)]
    assert asked[0]["request"]["filters"]["status"] == ["Live", "Unlisted", "Retired"]
    assert asked[0]["request"]["fields"] == ["status"]
    handle(site, update(learner, {"c2": 2}))
    assert len([body for body in search.asked if course in str(body)]) == 1, "the status was not remembered"


@pytest.mark.parametrize("status", ["Live", "Unlisted", None], ids=["live", "unlisted", "unknown"])
def test_missing_leaf_nodes_are_computed_from_the_hierarchy(
    site: Site, search: Search, status: str | None
) -> None:
    course = unique("do")
    if status:
        search.statuses[course] = status
    site.put_hierarchy(course, tree(course, "c1", "c2"))
    learner = enrol(site, course)
    handle(site, update(learner, {"c1": 2}))
    assert failures_of(site, learner) == []
    assert completed_counts(site, learner, course) == {course: 1}
    cache = site.servers.redis(RELATION_CACHE)
    assert cache.smembers(f"{course}:{course}:leafnodes") == {"c1", "c2"}
    assert cache.smembers(f"{course}:u1:leafnodes") == {"c1", "c2"}
    assert cache.smembers(f"{course}:c1:ancestors") == {"u1", course}


def test_leaf_nodes_that_are_nowhere_are_a_failed_record_for_each_event(site: Site, search: Search) -> None:
    course, good = unique("do"), enrol(site, cached_course(site, {"u1": ["c1"]}))
    search.statuses[course] = "Live"
    learner = enrol(site, course)
    handle(site, update(learner, {"c1": 2}), update(good, {"c1": 2}), update(learner, {"c2": 2}))
    failures = failures_of(site, learner)
    assert len(failures) == 2
    for failure in failures:
        assert "leaf nodes" in failure["failInfo"]["error"]
        assert "missing" in failure["failInfo"]["error"]
        assert "published" in failure["failInfo"]["error"]
        assert course in failure["failInfo"]["error"]
    assert consumption(site, learner) == {}
    assert consumption(site, good) == {"c1": (2, 1, 1)}


def test_a_search_service_that_is_down_is_waited_for(new_site: NewSite) -> None:
    course = unique("do")
    with Search() as search:
        site = new_site({"service.search.basePath": search.base})
        search.broken = 503
        site.put_hierarchy(course, tree(course, "c1"))
        learner = enrol(site, course)
        good = enrol(site, cached_course(site, {"u1": ["c1"]}))
        with Running(site, [ACTIVITY]) as running:
            site.send(ACTIVITY, [update(learner, {"c1": 2})], partition=0)
            status, state = eventually(
                running.ready, lambda found: "search" in str(found[1]["jobs"] if found[1] else "")
            )
            assert status == 503
            assert "search" in state["jobs"][ACTIVITY]
            site.send(ACTIVITY, [update(good, {"c1": 2})], partition=1)
            assert eventually(lambda: consumption(site, good), bool) == {"c1": (2, 1, 1)}
            assert eventually(lambda: site.behind(ACTIVITY), lambda left: left == 1) == 1
            search.broken = None
            site.settle()
            assert eventually(running.ready, lambda found: found[0] == 200)[0] == 200
    assert consumption(site, learner) == {"c1": (2, 1, 1)}
    assert site.failed() == []


OLDER_TABLES = {
    CONSUMPTION: """userid text, courseid text, batchid text, contentid text, completedcount int,
        lastaccesstime text, progress int, status int, viewcount int, result text, score text,
        PRIMARY KEY (userid, courseid, batchid, contentid)""",
    ENROLMENTS: """userid text, courseid text, batchid text, active boolean, addedby text, completedon timestamp,
        completionpercentage int, contentstatus map<text, int>, datetime timestamp, enrolleddate text,
        delta text, progress int, status int, PRIMARY KEY (userid, courseid, batchid)""",
    AGGREGATES: """activity_type text, activity_id text, user_id text, context_id text, agg map<text, int>,
        aggregates map<text, double>, agg_last_updated map<text, timestamp>,
        PRIMARY KEY ((activity_type, activity_id, user_id), context_id)""",
}


def test_tables_may_lack_newer_columns_and_have_others(
    servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert OLDER_TABLES.keys() == COURSE_TABLES.keys() - {ASSESSMENTS}
    env = unique("e")
    keyspaces = Keyspaces(unique("courses"), f"{env}_hierarchy_store")
    servers.create_keyspaces(keyspaces, OLDER_TABLES)
    try:
        site = Site(servers, tmp_path_factory.mktemp("older"), keyspaces, env=env)
        learner = enrol(site, cached_course(site, {"u1": ["c1", "c2"]}), delta="d")
        has_consumed(site, learner, "c1", status=1, viewcount=1, score="9")
        site.send(ACTIVITY, [update(learner, {"c1": 2, "c2": 2})])
        run(site, ACTIVITY)
        assert consumption(site, learner) == {"c1": (2, 2, 1), "c2": (2, 1, 1)}
        assert consumption_rows(site, learner)["c1"]["score"] == "9"
        row = enrolment(site, learner)
        assert row is not None
        assert (row["status"], row["progress"], row["delta"]) == (2, 2, "d")
        assert completed_counts(site, learner, learner.course, "u1") == {learner.course: 2, "u1": 2}
        assert len(site.certificate_requests(learner.user)) == 1
    finally:
        servers.drop_keyspaces(keyspaces)
