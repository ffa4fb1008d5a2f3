"""How a process behaves: dry runs, its end, its endpoints, several of them, and servers that come later."""

import json
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.conformance.conftest import NewSite
from tests.conformance.doubles import Road, closed_road
from tests.conformance.events import COLLECTION, Learner, sync, update
from tests.conformance.learning import aggregate, cached_course, consumption, enrol, enrolment, mark, marks
from tests.conformance.process import Running, config, run
from tests.conformance.servers import MARKS, RELATION_CACHE, Servers, eventually, unique
from tests.conformance.site import ACTIVITY, RELATIONS, Site


def many(site: Site, learners: int, contents: int) -> tuple[list[Learner], list[bytes]]:
    """Learners of one course, and an event for each of their contents, theirs one behind the other."""
    course = cached_course(site, {"u1": [f"c{number}" for number in range(contents)]})
    enrolled = [enrol(site, course) for _ in range(learners)]
    return enrolled, [update(each, {f"c{number}": 2}) for each in enrolled for number in range(contents)]


def all_complete(site: Site, learners: list[Learner], contents: int) -> None:
    """Every content was counted once, and everything was told once."""
    done = {f"c{number}": (2, 1, 1) for number in range(contents)}
    for learner in learners:
        assert consumption(site, learner) == done
        row = enrolment(site, learner)
        assert row is not None
        assert (row["status"], row["progress"]) == (2, contents)
    audits = [m.value for m in site.servers.read(site.audit_topic)]
    assert len(audits) == len(learners) * (2 * contents + 1)
    assert len({(a["actor"]["id"], a["object"]["id"], a["edata"]["type"]) for a in audits}) == len(audits)
    assert len(site.servers.read(site.certificate_topic)) == len(learners)
    assert site.failed() == []


# --- Dry run ----------------------------------------------------------------------------------------------------


def lines(output: str) -> list[dict[str, Any]]:
    """The JSON documents, one a line."""
    return [json.loads(line) for line in output.splitlines()]


def traces(site: Site, learner: Learner, rebuilt: str) -> object:
    """Everything that handling the events of the dry run would change."""
    topics = [site.audit_topic, site.certificate_topic, site.failed_topic(ACTIVITY)]
    return (
        [site.servers.ends(topic) for topic in topics],
        consumption(site, learner),
        enrolment(site, learner),
        aggregate(site, learner, learner.course),
        marks(site, learner, "c1", "c2"),
        list(site.servers.redis(RELATION_CACHE).scan_iter(f"{rebuilt}:*", count=10_000)),
        list(site.servers.redis(MARKS).scan_iter(f"*{site.env}*", count=10_000)),
        site.servers.positions(site.group(ACTIVITY), site.input(ACTIVITY)),
    )


def test_a_dry_run_prints_what_would_be_done_and_changes_nothing(new_site: NewSite) -> None:
    site = new_site()
    learner = enrol(site, cached_course(site, {"u1": ["c1", "c2"]}))
    rebuilt = unique("do")
    leaf = {"identifier": "r1", "mimeType": "video/mp4"}
    site.put_hierarchy(rebuilt, {"identifier": rebuilt, "mimeType": COLLECTION, "children": [leaf]})
    other = enrol(site, rebuilt)
    before = traces(site, learner, rebuilt)
    events = [update(learner, {"c1": 2}), b"no JSON", update(learner, {"c2": 2}), update(other, {"r1": 1})]
    site.send(ACTIVITY, [*events, update(other, {"r1": 2}), b'{"edata": {"action": "x"}}'], partition=0)

    with Running(site, [ACTIVITY], "--dry-run") as running:
        shown = eventually(lambda: lines(running.output), lambda shown: len(shown) >= 4)
        assert site.servers.members(site.group(ACTIVITY)) == 0
        assert running.end() == 0

    assert traces(site, learner, rebuilt) == before
    assert site.servers.members(site.group(ACTIVITY)) == 0
    assert {line["job"] for line in shown} == {ACTIVITY}
    assert sorted(offset for line in shown for offset in line["offsets"]) == list(range(6))
    [completing] = [line for line in shown if line["offsets"] == [0, 2]]
    assert set(completing["marks"]) == {mark(learner, "c1"), mark(learner, "c2")}
    told = sorted((m["topic"], m["value"]["edata"].get("type", "")) for m in completing["messages"])
    assert told == sorted(
        [(site.audit_topic, kind) for kind in ("start", "complete") * 2]
        + [(site.audit_topic, "enrol-complete"), (site.certificate_topic, "")]
    )
    [failing] = [line for line in shown if line["offsets"] == [1]]
    assert [m["topic"] for m in failing["messages"]] == [site.failed_topic(ACTIVITY)]

    run(site, ACTIVITY)
    assert traces(site, learner, rebuilt) != before
    assert consumption(site, learner) == {"c1": (2, 1, 1), "c2": (2, 1, 1)}
    site.send(ACTIVITY, [sync(learner)], partition=0)
    done = run(site, ACTIVITY, "--dry-run")
    assert [line["offsets"] for line in lines(done.stdout)] == [[6]]


# --- Its end ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_ends_it_soon_with_whole_batches(new_site: NewSite, number: signal.Signals) -> None:
    site = new_site()
    learners, events = many(site, 400, 20)
    site.send(ACTIVITY, events, partition=0)
    with Running(site, [ACTIVITY]) as running:
        assert eventually(lambda: len(events) - site.behind(ACTIVITY), lambda done: done > 0) > 0
        started = time.monotonic()
        assert running.end(number) == 0
        assert time.monotonic() - started < 10
    group = site.group(ACTIVITY)
    left = eventually(lambda: site.servers.members(group), lambda members: members == 0, 3)
    assert left == 0, f"it has not left the group: {running.errors}"
    done = site.servers.positions(group, site.input(ACTIVITY))[0]
    assert 0 < done < len(events), "the signal came too late to show anything"
    for place in {0, max(done // 20 - 1, 0), done // 20, min(done // 20 + 1, 399), 399}:
        learner, handled = learners[place], min(max(done - 20 * place, 0), 20)
        assert consumption(site, learner) == {f"c{n}": (2, 1, 1) for n in range(handled)}, (done, place)
    assert len(site.servers.read(site.audit_topic)) == 2 * done + done // 20
    finished = run(site, ACTIVITY)
    assert site.behind(ACTIVITY) == 0, finished.stderr
    all_complete(site, learners, 20)


def test_until_idle_ends_when_everything_is_handled(new_site: NewSite) -> None:
    site = new_site()
    learners, events = many(site, 20, 10)
    site.send(ACTIVITY, events)
    run(site, ACTIVITY, "--set", "threshold.batch.read.interval=60", idle=1)
    assert site.behind(ACTIVITY) == 0
    all_complete(site, learners, 10)


# --- Its endpoints ----------------------------------------------------------------------------------------------


def test_an_idle_process_is_ready(new_site: NewSite) -> None:
    with Running(new_site(), [RELATIONS, ACTIVITY]) as running:
        status, body = eventually(running.ready, lambda state: state[0] == 200, 20)
        assert status == 200, body
        assert running.get("/healthz")[0] == 200
        assert running.get("/nowhere")[0] == 404


def test_counters_and_lag_agree_with_what_was_sent(new_site: NewSite) -> None:
    site = new_site({"threshold.batch.read.interval": "2"})
    learners, events = many(site, 3, 4)
    nobody = Learner(unique("user"), learners[0].course, unique("batch"))
    sent = [
        *events,
        update(learners[0], {"c0": 2}),  # handled before: skipped, or part of the same batch
        update(nobody, {"c0": 2}),
        update(learners[1], {"c0": 1}),
        b'{"edata": {"action": "another"}}',
        *[b"no JSON"] * 3,
        update(Learner(nobody.user, unique("do"), "b"), {"c0": 2}),
    ]
    with Running(site, [ACTIVITY]) as running:
        assert eventually(lambda: running.get("/healthz")[0], lambda status: status == 200) == 200
        assert running.lag(ACTIVITY) == 0
        site.send(ACTIVITY, sent, partition=2)
        assert eventually(lambda: running.lag(ACTIVITY), lambda lag: lag > 0, 5) == len(sent)
        site.settle()
        assert eventually(lambda: running.lag(ACTIVITY), lambda lag: lag == 0, 5) == 0
        counts = eventually(lambda: running.counts(ACTIVITY), lambda c: c.get("total") == len(sent), 5)
        metrics = running.metrics()
    assert counts["total"] == len(sent)
    assert counts["failed"] == len(site.failed()) == 4
    assert counts["skipped"] == 2
    assert counts["success"] == len(sent) - 4 - 2
    assert counts["update_events"] == counts["success"]
    assert counts["processed_enrolments"] == 3
    assert counts["completed_enrolments"] == counts["certificate_requests"] == 3
    handled = metrics["lern_batch_messages_sum", frozenset({("job", ACTIVITY)})]
    assert handled == len(sent)


# --- Several processes --------------------------------------------------------------------------------------------


@pytest.mark.timeout(240)
def test_two_processes_share_the_work_and_one_takes_over_when_the_other_is_killed(new_site: NewSite) -> None:
    site = new_site()
    learners, events = many(site, 100, 10)
    half = len(events) // 2
    group = site.group(ACTIVITY)
    with Running(site, [ACTIVITY]) as one, Running(site, [ACTIVITY]) as two:
        assert eventually(lambda: site.servers.members(group), lambda members: members >= 2) >= 2
        time.sleep(3)  # until both have their partitions
        for number, event in enumerate(events[:half]):
            site.servers.producer.produce(site.input(ACTIVITY), event, partition=number // 10 % 4)
        site.servers.producer.flush(30)
        site.settle()
        totals = [running.counts(ACTIVITY).get("total", 0) for running in (one, two)]
        assert min(totals) > 0
        assert sum(totals) == half
        for number, event in enumerate(events[half:]):
            site.servers.producer.produce(site.input(ACTIVITY), event, partition=number // 10 % 4)
        site.servers.producer.flush(30)
        one.kill()
        site.settle(seconds=60)
        assert two.counts(ACTIVITY)["total"] > totals[1]
        assert two.alive
    all_complete(site, learners, 10)


def test_a_process_that_has_no_partitions_leaves_the_group_too(new_site: NewSite) -> None:
    site = new_site(partitions=1)
    group = site.group(ACTIVITY)
    with Running(site, [ACTIVITY]) as one:
        one.wait_until_ready()
        time.sleep(2)
        alone = site.servers.members(group)
        with Running(site, [ACTIVITY]) as two:
            assert (
                eventually(lambda: site.servers.members(group), lambda members: members == 2 * alone) > alone
            )
            time.sleep(2)
            assert two.end() == 0
            assert (
                eventually(lambda: site.servers.members(group), lambda members: members == alone, 3) == alone
            )
        assert one.end() == 0
        assert eventually(lambda: site.servers.members(group), lambda members: members == 0, 3) == 0


# --- Servers that come later --------------------------------------------------------------------------------------


@pytest.fixture
def road(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Road]:
    """A closed road to the server that the test names."""
    host, port = servers.cassandra
    targets = {"kafka": servers.kafka, "cassandra": f"{host}:{port}", "redis": servers.redis_address}
    with closed_road(targets[request.param]) as road:
        yield road


@pytest.mark.parametrize(
    ("road", "keys"),
    [
        ("kafka", ["kafka.broker-servers={0.address}"]),
        ("cassandra", ["lms-cassandra.port={0.port}"]),
        ("redis", ["redis.port={0.port}", "dedup-redis.port={0.port}"]),
    ],
    ids=["kafka", "cassandra", "redis"],
    indirect=["road"],
)
def test_a_server_that_comes_later_is_waited_for(
    new_site: NewSite, road: Road, keys: list[str], request: pytest.FixtureRequest
) -> None:
    name = str(request.node.callspec.id)
    site = new_site()
    learners, events = many(site, 2, 3)
    site.send(ACTIVITY, events)
    options = [option for key in keys for option in ("--set", key.format(road))]
    with Running(site, [ACTIVITY], *options) as running:
        down = eventually(running.ready, lambda found: found[0] == 503 and name in not_up(found[1]))
        assert down[0] == 503
        assert name in not_up(down[1])
        time.sleep(4)
        assert running.alive
        assert running.get("/healthz")[0] == 200
        assert site.behind(ACTIVITY) == len(events)
        road.open()
        site.settle()
        assert eventually(running.ready, lambda found: found[0] == 200)[0] == 200
        assert running.end() == 0
    all_complete(site, learners, 3)


def not_up(state: Any) -> str:
    """What /readyz has to say about dependencies that are not up."""
    dependencies = state["dependencies"] if state else {}
    return str([name for name, how in dependencies.items() if how != "up"])


def test_one_file_for_both_jobs_of_one_process_may_be_overridden(new_site: NewSite) -> None:
    site = new_site()
    learner = enrol(site, cached_course(site, {"u1": ["c1"]}))
    file = site.folder / "both.conf"
    file.write_text(
        f'include "base-config.conf"\njobs {{ {RELATIONS} {{ lms-cassandra.keyspace = {site.keyspaces.hierarchy} }}\n'
        f"{ACTIVITY} {{ lms-cassandra.keyspace = {site.keyspaces.courses} }} }}\n"
    )
    site.send(ACTIVITY, [update(learner, {"c1": 2})])
    run(site, ACTIVITY, "--config", file)
    assert consumption(site, learner) == {"c1": (2, 1, 1)}
    assert config(site, ACTIVITY)[1] != str(file)
