"""`lern reconcile` on the real servers: damaged rows of a batch, mended; spec, jobs, section 3."""

import json
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.conformance.conftest import NewSite
from tests.conformance.damage import Damaged
from tests.conformance.events import update
from tests.conformance.learning import cached_course, enrol, enrolment, has_consumed
from tests.conformance.load import Feed, Load, Outcome
from tests.conformance.process import LERN, Running, config, environment, lern
from tests.conformance.servers import ENROLMENTS, eventually, unique
from tests.conformance.site import ACTIVITY, RECONCILIATION, Site

if TYPE_CHECKING:
    from tests.conftest import Outage


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where positions are kept."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "lern"


def reconcile(
    site: Site, damaged: Damaged, *options: object, code: int = 0
) -> subprocess.CompletedProcess[str]:
    """One command to its end."""
    one = damaged.learners[0]
    whose = ("--course", one.course, "--batch", one.batch)
    done = lern("reconcile", *whose, *options, *config(site, RECONCILIATION))
    assert done.returncode == code, done.stderr
    return done


def right(damaged: Damaged) -> int:
    """How many learners have the progress that they must have."""
    query = f"SELECT userid, progress FROM {damaged.site.table(ENROLMENTS)}"  # noqa: S608  # names of the tests
    mine = {one.user for one in damaged.learners}
    return sum(
        row["userid"] in mine and row["progress"] != 77 for row in damaged.site.servers.cql.execute(query)
    )


def test_a_batch_is_mended_and_told_of_once(site: Site, state: Path) -> None:
    damaged, other = Damaged.made(site, 300), Damaged.made(site, 5)
    before = damaged.seen(), other.seen()

    dry = reconcile(site, damaged, "--dry-run")
    assert (damaged.seen(), other.seen()) == before
    assert damaged.told() == ([], [])
    lines = {line["user"]: line for line in map(json.loads, dry.stdout.splitlines())}
    assert len(lines) == 300
    for user, (status, progress, *_) in damaged.expected().items():
        assert lines[user]["batch"] == damaged.learners[0].batch
        assert lines[user]["progress"] == {"before": 77, "after": progress}
        assert lines[user]["status"] == {"before": 1, "after": status}

    done = reconcile(site, damaged)
    assert damaged.seen() == damaged.expected()
    assert damaged.told() == (damaged.completed, damaged.completed)
    assert "enrolments: 300, changed: 300, of these completed: 60, failed: 0" in done.stderr
    assert other.seen() == before[1]
    assert list(state.iterdir()) == []

    again = reconcile(site, damaged)
    assert "changed: 0, of these completed: 0" in again.stderr
    assert reconcile(site, damaged, "--dry-run").stdout == ""
    assert damaged.told() == (damaged.completed, damaged.completed)


def test_one_learner_is_mended_in_all_batches_or_in_one(site: Site) -> None:
    damaged = Damaged.made(site, 10)
    one = damaged.learners[1]
    before = damaged.seen()
    reconcile(site, damaged, "--user", one.user)
    assert damaged.seen() == before | {one.user: damaged.expected()[one.user]}
    whose = ("--course", one.course, "--user", damaged.learners[2].user)
    assert lern("reconcile", *whose, *config(site, RECONCILIATION)).returncode == 0
    assert damaged.seen()[damaged.learners[2].user] == damaged.expected()[damaged.learners[2].user]
    reconcile(site, damaged, "--user", unique("user"), code=1)


@pytest.mark.timeout(240)
def test_after_kills_a_run_goes_on_where_it_was(site: Site, state: Path) -> None:
    damaged = Damaged.made(site, 300)
    one = damaged.learners[0]
    command = ["reconcile", "--course", one.course, "--batch", one.batch, *config(site, RECONCILIATION)]
    resumed = []
    for _ in range(3):
        before = right(damaged)
        process = subprocess.Popen(
            [LERN, *command, "--rate", "50", "--resume"],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=environment(),
        )
        assert eventually(lambda: right(damaged), before.__lt__, 40) > before
        process.kill()
        resumed.append(process.communicate(timeout=20)[1].decode())
    assert 0 < right(damaged) < 300
    [position] = [json.loads(file.read_text()) for file in state.iterdir()]
    assert 0 < position["done"] < 300

    last = reconcile(site, damaged, "--resume")
    assert f"going on behind {position['done']} enrolments" in last.stderr
    assert f"going on behind {position['done']} enrolments" not in resumed[0]
    assert damaged.seen() == damaged.expected()
    audits, requests = damaged.told()
    assert set(audits) == set(requests) == set(damaged.completed)
    # At worst, one page that was being told of is told of again at each kill.
    assert max(Counter(requests).values()) <= 4
    assert list(state.iterdir()) == []


@pytest.mark.timeout(300)
def test_an_outage_ends_a_run_and_the_next_goes_on(site: Site, outage: "Outage") -> None:
    damaged = Damaged.made(site, 300)
    one = damaged.learners[0]
    command = ["reconcile", "--course", one.course, "--batch", one.batch, "--rate", "50"]
    process = subprocess.Popen(
        [LERN, *command, *config(site, RECONCILIATION)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=environment(),
    )
    assert eventually(lambda: right(damaged), (60).__le__, 40) >= 60, "the second page has not begun"
    outage.stop("cassandra", kill=True)
    errors = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 1
    assert "enrolments; --resume goes on" in errors
    assert "error: cassandra: " in errors

    outage.start("cassandra")
    site.servers.wait_for_cassandra()
    last = reconcile(site, damaged, "--resume")
    assert "going on behind" in last.stderr
    assert eventually(damaged.seen, damaged.expected().__eq__) == damaged.expected()
    audits, requests = damaged.told()
    assert set(audits) == set(requests) == set(damaged.completed)


def test_the_rate_is_kept(site: Site) -> None:
    damaged = Damaged.made(site, 60)
    started = time.monotonic()
    reconcile(site, damaged, "--rate", 20)
    assert time.monotonic() - started >= 3
    assert damaged.seen() == damaged.expected()


def test_what_cannot_be_mended_is_told_and_the_rest_goes_on(site: Site) -> None:
    learner = enrol(site, unique("do"), progress=7)
    has_consumed(site, learner, "c1", status=2)
    whose = ("--course", learner.course, "--batch", learner.batch)
    done = lern("reconcile", *whose, *config(site, RECONCILIATION))
    assert done.returncode == 1
    assert f"learner {learner.user}, batch {learner.batch}: ERR_LEAF_NODES_MISSING" in done.stderr
    row = enrolment(site, learner)
    assert row is not None
    assert row["progress"] == 7


@pytest.mark.timeout(240)
def test_beside_a_running_job_nothing_is_lost(new_site: NewSite, undisturbed: Outcome) -> None:
    site = new_site({"threshold.batch.read.size": "1"})
    load = Load(site)
    load.prepare()
    with Running(site, [ACTIVITY]) as running:
        running.wait_until_ready()
        with Feed(load, 300) as feed:
            for _ in range(3):
                done = lern("reconcile", "--course", load.course, *config(site, RECONCILIATION))
                assert done.returncode == 0, done.stderr
            feed.wait()
        site.settle(seconds=60)
    lern("reconcile", "--course", load.course, *config(site, RECONCILIATION))
    seen = load.seen()
    assert seen.consumption == undisturbed.consumption
    assert seen.enrolments == undisturbed.enrolments
    assert seen.aggregates == undisturbed.aggregates
    # Nobody keeps two programs apart: both may tell of the same completion, and none is missing.
    assert set(seen.told) == set(undisturbed.told)


def test_an_update_after_it_goes_on_from_what_it_left(site: Site) -> None:
    course = cached_course(site, {"u1": ["c1", "c2"]})
    learner = enrol(site, course, progress=7)
    has_consumed(site, learner, "c1", status=2)
    whose = ("--course", course, "--user", learner.user)
    assert lern("reconcile", *whose, *config(site, RECONCILIATION)).returncode == 0
    site.send(ACTIVITY, [update(learner, {"c2": 2})], partition=0)
    done = lern("run", ACTIVITY, *config(site, ACTIVITY), "--until-idle", 1)
    assert done.returncode == 0, done.stderr
    row = enrolment(site, learner)
    assert row is not None
    assert (row["progress"], row["status"]) == (2, 2)
