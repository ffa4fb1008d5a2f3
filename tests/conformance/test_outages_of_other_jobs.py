"""Each server is down in the middle of attempts, reconciliations and merges: nothing is lost, doubled or given up."""

import time
from typing import TYPE_CHECKING

import pytest
from tests.conformance.assessing import START, new_learner, scores, told, totals
from tests.conformance.conftest import NewSite
from tests.conformance.events import Learner, account_merge, answer, assessed, user_sync
from tests.conformance.learning import cached_course, enrol, enrolment, has_consumed
from tests.conformance.merging import counts, persons, view
from tests.conformance.process import Running
from tests.conformance.servers import eventually
from tests.conformance.site import ASSESSMENT, MERGE, RECONCILIATION, Site

if TYPE_CHECKING:
    from tests.conftest import Outage

_JOBS = (ASSESSMENT, RECONCILIATION, MERGE)
_DOWN_SECONDS = 12.0
_EACH = 30
"""Learners of each job; half of their events come before the outage, half while the server is down or after it."""


class Work:
    """What the jobs get to do."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.quizzed = [new_learner() for _ in range(_EACH)]
        course = cached_course(site, {"u1": ["c1"], "u2": ["c2"]})
        self.wronged = [enrol(site, course, progress=7) for _ in range(_EACH)]
        for learner in self.wronged:
            has_consumed(site, learner, "c1", status=2)
        self.pairs = [persons("old", "new") for _ in range(_EACH)]
        for number, pair in enumerate(self.pairs):
            for views, user in enumerate(pair, 1):
                view(site, Learner(user, "do_1", "b1"), "c1", views + number)

    def send(self, half: int) -> None:
        """Sends one half of all events."""
        some = slice(half * _EACH // 2, (half + 1) * _EACH // 2)
        made = [
            assessed(learner, "quiz", "a1", START, [answer("q1", 0.5, 2)]) for learner in self.quizzed[some]
        ]
        self.site.send(ASSESSMENT, made)
        self.site.send(RECONCILIATION, [user_sync(learner) for learner in self.wronged[some]])
        self.site.send(MERGE, [account_merge(*pair) for pair in self.pairs[some]])

    def check(self) -> None:
        """Everything is there, once."""
        for learner in self.quizzed:
            assert totals(self.site, learner) == {("quiz", "a1"): "0.5/2.0"}
            assert scores(self.site, learner)["score:quiz"] == 0.5
            assert told(self.site, learner) == ["a1"]
        for learner in self.wronged:
            row = enrolment(self.site, learner)
            assert row is not None
            assert (row["progress"], row["status"]) == (1, 1)
        for number, (_, new) in enumerate(self.pairs):
            assert counts(self.site, new) == {("do_1", "b1", "c1"): (3 + 2 * number, 0)}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("server", ["redis", "kafka", "cassandra"])
def test_an_outage_is_waited_out(new_site: NewSite, outage: "Outage", server: str) -> None:
    site = new_site({"threshold.batch.read.size": "1"})
    work = Work(site)
    with Running(site, _JOBS) as running:
        running.wait_until_ready()
        work.send(0)
        outage.stop(server)
        stopped = time.monotonic()
        if server != "kafka":
            work.send(1)
        status, state = eventually(running.ready, lambda found: found[0] == 503, _DOWN_SECONDS)
        assert status == 503, state
        assert server in str(state)
        time.sleep(max(0.0, stopped + _DOWN_SECONDS - time.monotonic()))
        assert running.alive
        outage.start(server)
        site.servers.wait_for_cassandra()
        if server == "kafka":
            work.send(1)
        for job in _JOBS:
            site.settle(job, 90)
        assert eventually(running.ready, lambda found: found[0] == 200)[0] == 200
        for job in _JOBS:
            assert "failed" not in running.counts(job)
        assert "Traceback" not in running.errors
    work.check()
