"""enrolment-reconciliation: progress from what is stored; rules of the specification, jobs, section 3."""

import random
import time
from datetime import UTC, datetime, timedelta

import pytest
from tests.conformance import bad
from tests.conformance.bad import Fate
from tests.conformance.conftest import NewSite
from tests.conformance.damage import Damaged
from tests.conformance.events import (
    Learner,
    audit_names,
    audit_of_completion,
    certificate_request,
    sync,
    user_sync,
    without_moment,
)
from tests.conformance.learning import (
    aggregate,
    cached_course,
    completed_counts,
    consumption,
    enrol,
    enrolment,
    has_consumed,
)
from tests.conformance.process import Running, run
from tests.conformance.servers import MARKS, RELATION_CACHE, eventually, unique
from tests.conformance.site import ACTIVITY, RECONCILIATION, Site
from tests.conformance.test_bad_input import between, by_offset, check

LONG_AGO = datetime(2022, 2, 21, 5, 54, 43, 853000, tzinfo=UTC)
_KILLS = 5


def handle(site: Site, *values: bytes) -> None:
    """Sends requests, and runs the job until they are handled."""
    site.send(RECONCILIATION, values, partition=0)
    run(site, RECONCILIATION)
    assert site.behind(RECONCILIATION) == 0


def test_progress_is_that_of_the_stored_contents_without_optional_ones(site: Site) -> None:
    course = cached_course(site, {"u1": ["c1", "c2"], "u2": ["c3"], "u3": ["c4"]}, optional=["c2"])
    learner = enrol(site, course, progress=7, contentstatus={"c9": 1}, addedby="someone")
    for content, status in {"c1": 2, "c2": 2, "c3": None}.items():
        has_consumed(site, learner, content, status=status)
    whole = enrol(site, course, completedon=LONG_AGO)
    for content in ("c1", "c3", "c4"):
        has_consumed(site, whole, content, status=2, viewcount=4, completedcount=2)
    none, nobody = enrol(site, course, progress=7, status=1), Learner(unique("user"), course, unique("batch"))

    handle(site, *(user_sync(one, "USER-enrolment-Sync") for one in (learner, whole, none, nobody, whole)))

    row = enrolment(site, learner)
    assert row is not None
    assert (row["status"], row["progress"], row["contentstatus"]) == (1, 1, {"c1": 2, "c2": 2, "c3": 1})
    assert (row["completedon"], row["addedby"]) == (None, "someone")
    assert abs(datetime.now(UTC) - row["datetime"]) < timedelta(minutes=1)
    assert completed_counts(site, learner, course, "u1", "u2", "u3") == {course: 1, "u1": 1, "u2": 0}
    assert consumption(site, learner)["c1"] == (2, None, None)
    assert site.audits(learner.user) == site.certificate_requests(learner.user) == []

    row = enrolment(site, whole)
    assert row is not None
    assert (row["status"], row["progress"], row["completedon"]) == (2, 3, LONG_AGO)
    assert consumption(site, whole) == dict.fromkeys(("c1", "c3", "c4"), (2, 4, 2))
    now = round(time.time() * 1000)
    [request], [audit] = site.certificate_requests(whole.user), site.audits(whole.user)
    assert request.key == audit.key == whole.user
    assert without_moment(request.value, now) == certificate_request(whole)
    assert without_moment(audit.value, now) == audit_of_completion(whole)

    row = enrolment(site, none)
    assert row is not None
    assert (row["progress"], row["status"], row["contentstatus"]) == (0, 1, None)
    assert enrolment(site, nobody) is None
    assert aggregate(site, none, course) is aggregate(site, nobody, course) is None


def test_this_job_and_the_updaters_sync_give_the_same_rows(site: Site) -> None:
    both = [Damaged.made(site, 10) for _ in range(2)]
    site.send(ACTIVITY, [sync(one) for one in both[0].learners], partition=0)
    run(site, ACTIVITY)
    handle(site, *(user_sync(one) for one in both[1].learners))
    for one in both:
        assert one.seen() == one.expected()
        assert one.told() == (one.completed, one.completed)


def test_a_dry_run_changes_nothing(site: Site) -> None:
    damaged = Damaged.made(site, 5)
    before = damaged.seen()
    site.send(RECONCILIATION, [user_sync(one) for one in damaged.learners], partition=0)
    done = run(site, RECONCILIATION, "--dry-run")
    assert '"progress":4' in done.stdout
    assert damaged.seen() == before
    assert damaged.told() == ([], [])
    assert site.behind(RECONCILIATION) == 5
    run(site, RECONCILIATION)
    assert damaged.seen() == damaged.expected()


@pytest.mark.timeout(240)
def test_wrong_requests_fail_or_are_skipped_and_all_good_ones_are_handled(new_site: NewSite) -> None:
    site = new_site()
    damaged = Damaged.made(site, 200)
    victim = enrol(site, damaged.learners[0].course, progress=7)
    wrong = bad.of_reconciliation(victim)
    good = [user_sync(one) for one in damaged.learners]
    with Running(site, [RECONCILIATION]) as running:
        site.send(RECONCILIATION, between(good[: len(wrong)], wrong) + good[len(wrong) :], partition=1)
        site.settle(RECONCILIATION, seconds=90)
        counts, log = running.counts(RECONCILIATION), running.errors
    failed = by_offset(site.failed(RECONCILIATION), 1)
    for number, one in enumerate(wrong):
        if one.fate is Fate.SKIPPED:
            assert 2 * number + 1 not in failed, one.name
        else:
            check(failed.pop(2 * number + 1), one, RECONCILIATION)
    assert failed == {}
    assert damaged.seen() == damaged.expected()
    assert counts["success"] == len(good)
    assert counts["total"] == len(good) + len(wrong)
    assert "Asha" not in log
    row = enrolment(site, victim)
    assert row is not None
    assert row["progress"] == 7


def test_a_course_that_nobody_knows_is_a_failed_record(site: Site) -> None:
    learner = enrol(site, unique("do"), progress=7)
    has_consumed(site, learner, "c1", status=2)
    handle(site, user_sync(learner))
    [record] = [m for m in site.failed(RECONCILIATION) if m.value["edata"]["userId"] == learner.user]
    assert record.value["jobName"] == RECONCILIATION
    assert record.value["failInfo"]["errorCode"] == "ERR_LEAF_NODES_MISSING"
    row = enrolment(site, learner)
    assert row is not None
    assert row["progress"] == 7


def test_a_lost_relation_cache_is_made_again_from_the_hierarchy(site: Site) -> None:
    course = unique("do")
    leaf = {"identifier": "c1", "mimeType": "video/mp4"}
    tree = {"identifier": course, "mimeType": "application/vnd.ekstep.content-collection", "children": [leaf]}
    site.put_hierarchy(course, tree)
    learner = enrol(site, course)
    has_consumed(site, learner, "c1", status=2)
    handle(site, user_sync(learner))
    row = enrolment(site, learner)
    assert row is not None
    assert (row["status"], row["progress"]) == (2, 1)
    assert site.servers.redis(RELATION_CACHE).smembers(f"{course}:{course}:leafnodes") == {"c1"}
    assert audit_names([m.value for m in site.audits(learner.user)]) == [("enrol-complete", learner.user)]


@pytest.mark.timeout(300)
def test_kills_lose_no_completion_and_tell_none_twice(new_site: NewSite) -> None:
    site = new_site({"threshold.batch.read.size": "1"})
    damaged = Damaged.made(site, 200 * _KILLS)
    draw = random.Random(3)
    in_a_turn = 0
    for number in range(_KILLS):
        for one in damaged.learners[number::_KILLS]:
            site.servers.producer.produce(site.input(RECONCILIATION), user_sync(one), one.user)
        assert site.servers.producer.flush(60) == 0
        before = handled(site)
        with Running(site, [RECONCILIATION]) as running:
            assert eventually(lambda: handled(site), before.__lt__, 60) > before
            time.sleep(draw.uniform(0, 0.1))
            running.kill()
        # An outcome that is being put in place is in the journal: this kill was in the middle of a turn.
        journal = f"lern:journal:{site.group(RECONCILIATION)}:*"
        in_a_turn += any(True for _ in site.servers.redis(MARKS).scan_iter(journal, count=100_000))
    run(site, RECONCILIATION, idle=2, seconds=110)
    assert site.behind(RECONCILIATION) == 0
    assert damaged.seen() == damaged.expected()
    assert damaged.told() == (damaged.completed, damaged.completed)
    assert site.failed(RECONCILIATION) == []
    assert in_a_turn, "no kill came in the middle of a turn"


def handled(site: Site) -> int:
    """How many requests are committed."""
    group, topic = site.group(RECONCILIATION), site.input(RECONCILIATION)
    return sum(site.servers.positions(group, topic, stable=False).values())
