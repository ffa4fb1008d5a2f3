"""`lern failed`: what has failed is found, and goes back to its topic once, whoever asks for it and whatever happens."""

import json
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest
from tests.conformance.conftest import NewSite
from tests.conformance.events import Learner, update
from tests.conformance.learning import cached_course, consumption, enrol
from tests.conformance.process import LERN, config, environment, lern, run
from tests.conformance.servers import MARKS, eventually, unique
from tests.conformance.site import ACTIVITY, RELATIONS, Site

_MANY = 4000


def command(site: Site, *words: str, code: int = 0) -> list[dict[str, Any]]:
    """`lern failed ...` with the file of the activity job; the JSON lines that it prints."""
    done = lern("failed", *words, *config(site, ACTIVITY), seconds=100)
    assert done.returncode == code, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def put_failed(site: Site, values: Sequence[bytes], topic: str | None = None) -> None:
    """Records of an original job: they have no headers."""
    for value in values:
        while True:
            try:
                site.servers.producer.produce(topic or site.failed_topic(ACTIVITY), value, b"key")
                break
            except BufferError:
                site.servers.producer.poll(0.1)
    assert site.servers.producer.flush(60) == 0


def numbers(site: Site) -> list[int]:
    """What came back to the input."""
    return [message.value["n"] for message in site.servers.read(site.input(ACTIVITY))]


def many(site: Site) -> None:
    put_failed(site, [b'{"n": %d, "jobName": "activity-aggregate-updater"}' % n for n in range(_MANY)])


@pytest.fixture
def waiting(new_site: NewSite) -> tuple[Site, Learner]:
    """An update of a course that is not cached has failed, and something that is no JSON."""
    site = new_site()
    learner = Learner(unique("user"), unique("do"), unique("batch"))
    enrolled = enrol(site, learner.course)
    site.send(ACTIVITY, [update(enrolled, {"c1": 2}), b"\xff no JSON"], key=enrolled.user)
    run(site, ACTIVITY)
    return site, enrolled


def test_what_failed_is_listed_shown_and_sent_again_once(waiting: tuple[Site, Learner]) -> None:
    site, learner = waiting
    groups = {one["code"]: one for one in command(site, "list")}
    assert {code: (one["job"], one["count"]) for code, one in groups.items()} == {
        "ERR_LEAF_NODES_MISSING": (ACTIVITY, 1),
        "ERR_INVALID_EVENT": (ACTIVITY, 1),
    }
    assert command(site, "list", "--since", "2999-01-01") == []
    assert len(command(site, "list", "--since", "10m")) == 2
    [shown] = command(site, "show", groups["ERR_LEAF_NODES_MISSING"]["example"])
    assert shown["message"]["edata"]["userId"] == learner.user
    assert shown["to"] == site.input(ACTIVITY)
    command(site, "show", f"{site.failed_topic(ACTIVITY)}/0/999", code=1)

    [planned] = command(site, "replay", "--dry-run", "--code", "ERR_LEAF_NODES_MISSING")
    assert (planned["key"], planned["to"]) == (learner.user, site.input(ACTIVITY))
    assert planned["message"] == shown["message"]
    assert site.behind(ACTIVITY) == 0

    cached_course(site, {"u1": ["c1"]}, course=learner.course)
    command(site, "replay")
    run(site, ACTIVITY)
    assert consumption(site, learner) == {"c1": (2, 1, 1)}
    failed = site.failed()
    assert sorted(record.headers["lern-attempts"] for record in failed) == ["1", "1", "2"]
    assert [record.value["raw"] for record in failed if "raw" in record.value] == ["/yBubyBKU09O"] * 2
    assert {record.key for record in failed} == {learner.user}

    fates = [one["fate"] for one in command(site, "replay")]
    assert sorted(fates) == ["sent again", "sent before", "sent before"]
    command(site, "replay", "--code", "ERR_LEAF_NODES_MISSING", code=1)
    command(site, "replay", "--code", "ERR_LEAF_NODES_MISSING", "--again")


def test_records_of_the_original_go_where_their_job_says(new_site: NewSite) -> None:
    site = new_site()
    why = {"errorCode": "PROCESSING_ERROR", "error": "java.lang.Exception: no\n at org.sunbird"}
    mine, others = {"edata": {"a": 1.50}}, {"edata": {"b": 2}}
    put_failed(
        site,
        [
            json.dumps({**mine, "jobName": ACTIVITY, "failInfo": why}).encode(),
            json.dumps({**others, "jobName": "post-publish-processor", "failInfo": why}).encode(),
        ],
    )
    groups = command(site, "list")
    assert {one["reason"] for one in groups} == {"java.lang.Exception: no"}

    fates = {one["job"]: one["fate"] for one in command(site, "replay")}

    assert fates == {ACTIVITY: "sent again", "post-publish-processor": "cannot be sent"}
    [back] = site.servers.read(site.input(ACTIVITY))
    assert (back.value, back.key, back.headers) == (mine, "key", {"lern-attempts": "1"})


def test_with_a_folder_of_settings_all_jobs_are_looked_at_or_one(new_site: NewSite) -> None:
    site = new_site()
    site.send(ACTIVITY, [b"{}"])
    site.send(RELATIONS, [b"{}"])
    run(site, ACTIVITY)
    run(site, RELATIONS)
    where = ("--config-dir", site.folder)

    both = lern("failed", "list", *where).stdout.splitlines()
    one = lern("failed", "list", "--job", RELATIONS, *where).stdout.splitlines()

    assert {json.loads(line)["job"] for line in both} == {ACTIVITY, RELATIONS}
    assert {json.loads(line)["job"] for line in one} == {RELATIONS}


@pytest.mark.timeout(240)
def test_a_replay_that_is_killed_loses_nothing_and_doubles_little(new_site: NewSite) -> None:
    site = new_site()
    many(site)
    with _replaying(site) as process:
        assert eventually(lambda: sum(site.servers.ends(site.input(ACTIVITY)).values()), (0).__lt__)
        process.kill()
    before = len(numbers(site))
    assert 0 < before < _MANY

    command(site, "replay")  # waits for the end of the dead process's turn

    found = numbers(site)
    assert set(found) == set(range(_MANY))
    assert len(found) - _MANY <= 200
    keys = site.servers.redis(MARKS).keys(f"lern:repl*{site.env}*")
    assert keys == [f"lern:replayed:{site.failed_topic(ACTIVITY)}:{_partition(site)}"]


@pytest.mark.timeout(240)
def test_operators_who_send_again_at_once_send_each_message_once(new_site: NewSite) -> None:
    site = new_site()
    many(site)
    both = [_replaying(site) for _ in range(2)]
    for process in both:
        process.communicate(timeout=100)

    assert sorted(numbers(site)) == list(range(_MANY))
    command(site, "replay", code=1)


def _replaying(site: Site) -> subprocess.Popen[bytes]:
    words = [str(LERN), "failed", "replay", *config(site, ACTIVITY)]
    return subprocess.Popen(words, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _partition(site: Site) -> int:
    return next(number for number, end in site.servers.ends(site.failed_topic(ACTIVITY)).items() if end)
