"""`lern explain` on the real servers: the facts of a damaged case, and a verdict whose command mends it."""

import json
import shlex
from typing import Any

from tests.conformance.events import Learner
from tests.conformance.learning import cached_course, enrol, enrolment, has_consumed
from tests.conformance.process import config, lern
from tests.conformance.servers import unique
from tests.conformance.site import RECONCILIATION, Site


def explained(site: Site, learner: Learner) -> Any:  # JSON
    whose = ("--user", learner.user, "--course", learner.course, "--batch", learner.batch)
    done = lern("explain", *whose, *config(site, RECONCILIATION))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_damaged_case_is_explained_and_mended_by_the_command_that_is_shown(site: Site) -> None:
    learner = enrol(
        site, cached_course(site, {"u1": ["c1", "c2"], "u2": ["c3"]}, optional=["c2"]), progress=7
    )
    has_consumed(site, learner, "c1", status=2, viewcount=3, completedcount=1)

    found = explained(site, learner)

    facts = {fact["name"]: fact for section in found["sections"] for fact in section["facts"]}
    table = f"{site.table('user_enrolments')} ({learner.user}, {learner.course}, {learner.batch}) progress"
    assert (facts["progress"]["value"], facts["progress"]["expected"]) == (7, 1)
    assert facts["progress"]["source"] == table
    assert facts["c1 (required)"]["value"] == "2 (completed), views 3, completions 1"
    assert facts["c3 (required)"]["value"] == "nothing stored"
    redis = f"redis 10 {learner.course}:{learner.course}:leafnodes"
    assert facts["required contents that are completed"]["source"] == redis
    [verdict] = found["verdicts"]
    assert verdict["code"] == "rows-differ"

    done = lern(*shlex.split(verdict["command"])[1:], *config(site, RECONCILIATION))

    assert done.returncode == 0, done.stderr
    row = enrolment(site, learner)
    assert row is not None
    assert row["progress"] == 1
    [verdict] = explained(site, learner)["verdicts"]
    assert verdict["code"] == "contents-missing"
    assert "c3" in verdict["sentence"]


def test_a_learner_in_another_batch_and_an_unknown_course(site: Site) -> None:
    learner = enrol(site, cached_course(site, {"u1": ["c1"]}))
    [verdict] = explained(site, learner._replace(batch=unique("batch")))["verdicts"]
    assert verdict["code"] == "not-enrolled"
    assert learner.batch in verdict["sentence"]
    unknown = explained(site, learner._replace(course=unique("do")))["verdicts"]
    assert [verdict["code"] for verdict in unknown] == ["course-unknown", "not-enrolled"]
