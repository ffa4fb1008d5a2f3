"""What the jobs send on: audits, certificate requests, recomputations; specification, jobs 2 and contracts 3."""

import time

import pytest
from tests.conformance.events import (
    Learner,
    audit_names,
    audit_of_completion,
    audit_of_content,
    certificate_request,
    sync,
    update,
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
    marks,
)
from tests.conformance.servers import unique
from tests.conformance.site import ACTIVITY, Site

pytestmark = pytest.mark.usefixtures("jobs")


def handle(site: Site, *values: bytes) -> None:
    """Sends events in order, and waits until they are handled."""
    site.send(ACTIVITY, values, partition=2)
    site.settle()


def test_a_first_completion_is_audited_as_start_and_complete(site: Site) -> None:
    learner = enrol(site, cached_course(site, {"u1": ["c1", "c2"]}))
    handle(site, update(learner, {"c1": 2}))
    audits, now = site.audits(learner.user), round(time.time() * 1000)
    assert {audit.key for audit in audits} == {learner.user}
    assert [without_moment(audit.value, now) for audit in audits] == [
        audit_of_content(learner, "c1", "start"),
        audit_of_content(learner, "c1", "complete"),
    ]
    assert len({audit.value["mid"] for audit in audits}) == 2


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ({"status": 1}, ["complete", "start"]),
        ({"status": 1, "viewcount": 0, "completedcount": 0}, ["complete", "start"]),
        ({"status": 1, "viewcount": 2}, ["complete"]),
        ({"status": 2, "viewcount": 2, "completedcount": 1}, []),
        ({"status": 2, "completedcount": 1}, ["start"]),
        ({"status": 2}, ["complete", "start"]),
    ],
    ids=["as the course service writes it", "zeros", "viewed", "completed", "never viewed", "no counts"],
)
def test_start_and_complete_are_told_by_the_stored_counts(
    site: Site, stored: dict[str, int], said: list[str]
) -> None:
    learner = enrol(site, cached_course(site, {"u1": ["c1", "c2"]}))
    has_consumed(site, learner, "c1", **stored)
    handle(site, update(learner, {"c1": 2}))
    assert audit_names([m.value for m in site.audits(learner.user)]) == [(kind, "c1") for kind in said]


def test_completing_a_course_asks_once_for_a_certificate_and_says_so_once(site: Site) -> None:
    learner = enrol(site, cached_course(site, {"u1": ["c1", "c2"], "u2": ["c3"]}))
    handle(site, update(learner, {"c1": 2}), update(learner, {"c2": 2}))
    assert site.certificate_requests(learner.user) == []
    handle(site, update(learner, {"c3": 2}))
    handle(site, update(learner, {"c3": 2}), update(learner, {"elsewhere": 2}), sync(learner))
    now = round(time.time() * 1000)
    [request] = site.certificate_requests(learner.user)
    assert request.key == learner.user
    assert without_moment(request.value, now) == certificate_request(learner)
    [completion] = [m for m in site.audits(learner.user) if m.value["edata"]["type"] == "enrol-complete"]
    assert completion.key == learner.user
    assert without_moment(completion.value, now) == audit_of_completion(learner)


def test_a_recomputation_uses_what_is_stored_and_counts_nothing(site: Site) -> None:
    course = cached_course(site, {"u1": ["c1", "c2"], "u2": ["c3"]}, optional=["c2"])
    learner = enrol(site, course, progress=7, contentstatus={"c9": 1})
    for content, status in {"c1": 2, "c2": 2, "c3": 1}.items():
        has_consumed(site, learner, content, status=status)
    handle(site, sync(learner))
    row = enrolment(site, learner)
    assert row is not None
    assert (row["status"], row["progress"]) == (1, 1)
    assert row["contentstatus"] == {"c1": 2, "c2": 2, "c3": 1}
    assert completed_counts(site, learner, course, "u1", "u2") == {course: 1, "u1": 1, "u2": 0}
    assert consumption(site, learner) == {
        "c1": (2, None, None),
        "c2": (2, None, None),
        "c3": (1, None, None),
    }
    assert marks(site, learner, "c1", "c2", "c3") == set()
    assert site.audits(learner.user) == site.certificate_requests(learner.user) == []


def test_a_recomputation_that_completes_the_course_tells_it(site: Site) -> None:
    learner = enrol(site, cached_course(site, {"u1": ["c1", "c2"]}), status=1)
    for content in ("c1", "c2"):
        has_consumed(site, learner, content, status=2, viewcount=1, completedcount=1)
    handle(site, sync(learner), sync(learner))
    handle(site, sync(learner))
    row = enrolment(site, learner)
    assert row is not None
    assert (row["status"], row["progress"]) == (2, 2)
    assert row["completedon"] is not None
    assert len(site.certificate_requests(learner.user)) == 1
    assert audit_names([m.value for m in site.audits(learner.user)]) == [("enrol-complete", learner.user)]


def test_a_recomputation_without_anything_stored_sets_progress_to_0_and_nothing_else(site: Site) -> None:
    course = cached_course(site, {"u1": ["c1"]})
    learner = enrol(site, course, progress=7, status=1, contentstatus={"c1": 2})
    nobody = Learner(unique("user"), course, unique("batch"))
    handle(site, sync(learner), sync(nobody))
    row = enrolment(site, learner)
    assert row is not None
    assert (row["progress"], row["status"], row["contentstatus"]) == (0, 1, {"c1": 2})
    assert enrolment(site, nobody) is None
    for one in (learner, nobody):
        assert aggregate(site, one, course) is None
        assert consumption(site, one) == {}
    assert site.audits(learner.user) == site.certificate_requests(learner.user) == []


def test_an_update_and_a_recomputation_in_one_batch_agree(site: Site) -> None:
    learner = enrol(site, cached_course(site, {"u1": ["c1", "c2"]}))
    has_consumed(site, learner, "c1", status=2, viewcount=1, completedcount=1)
    handle(site, sync(learner), update(learner, {"c2": 2}), sync(learner))
    assert consumption(site, learner) == {"c1": (2, 1, 1), "c2": (2, 1, 1)}
    row = enrolment(site, learner)
    assert row is not None
    assert (row["status"], row["progress"]) == (2, 2)
    assert len(site.certificate_requests(learner.user)) == 1
    assert audit_names([m.value for m in site.audits(learner.user)]) == [
        ("complete", "c2"),
        ("enrol-complete", learner.user),
        ("start", "c2"),
    ]
