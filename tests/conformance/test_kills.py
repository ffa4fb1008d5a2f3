"""SIGKILL at any moment: what comes of a load is what comes of it without."""

import contextlib
import random
import time

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from tests.conformance.conftest import NewSite
from tests.conformance.events import update
from tests.conformance.learning import cached_course, consumption, enrol
from tests.conformance.load import Feed, Load, Outcome
from tests.conformance.process import Running, run
from tests.conformance.servers import MARKS, eventually
from tests.conformance.site import ACTIVITY, Site

_KILLS = 10


def handled(site: Site) -> int:
    """How many messages are committed."""
    return sum(site.servers.positions(site.group(ACTIVITY), site.input(ACTIVITY), stable=False).values())


@pytest.mark.timeout(600)
def test_ten_kills_change_nothing(new_site: NewSite, undisturbed: Outcome) -> None:
    site = new_site({"threshold.batch.read.size": "1"})
    load = Load(site)
    load.prepare()
    draw = random.Random(7)
    chunk = len(load.events) // (_KILLS + 1)
    in_a_turn = 0
    for number in range(_KILLS):
        load.send(load.events[number * chunk : (number + 1) * chunk])
        before = handled(site)
        with Running(site, [ACTIVITY]) as running:
            assert eventually(lambda: handled(site), before.__lt__, 60) > before
            time.sleep(draw.uniform(0, 0.25))
            running.kill()
        # An outcome that is being put in place is in the journal: this kill was in the middle of a turn.
        in_a_turn += any(
            True
            for _ in site.servers.redis(MARKS).scan_iter(
                f"lern:journal:{site.group(ACTIVITY)}:*", count=100_000
            )
        )
    load.send(load.events[_KILLS * chunk :])
    run(site, ACTIVITY, idle=2, seconds=110)
    assert site.behind(ACTIVITY) == 0
    assert load.seen() == undisturbed
    assert in_a_turn >= 3, f"only {in_a_turn} of {_KILLS} kills came in the middle of a turn"


@pytest.mark.timeout(240)
def test_until_idle_waits_for_a_transaction_that_a_dead_process_left_open(new_site: NewSite) -> None:
    site = new_site(partitions=1)
    learner = enrol(site, cached_course(site, {"u1": ["c1"]}))
    site.send(ACTIVITY, [update(learner, {"c1": 2})])
    # A process that died between staging a turn's messages and committing them, played by a plain producer.
    settings = {"bootstrap.servers": site.servers.kafka, "log_level": 0}
    member = Consumer(settings | {"group.id": site.group(ACTIVITY)})
    dead = Producer(settings | {"transactional.id": site.env, "transaction.timeout.ms": 12_000})
    dead.init_transactions(10)
    dead.begin_transaction()
    dead.produce(site.audit_topic, b"{}")
    dead.flush(10)
    place = TopicPartition(site.input(ACTIVITY), 0, 1)
    dead.send_offsets_to_transaction([place], member.consumer_group_metadata(), 10)
    member.close()
    run(site, ACTIVITY, idle=2)
    assert consumption(site, learner) == {"c1": (2, 1, 1)}
    assert site.behind(ACTIVITY) == 0
    assert [m.key for m in site.servers.read(site.audit_topic)] == [learner.user] * 3


@pytest.mark.timeout(240)
def test_processes_that_come_and_go_change_nothing(new_site: NewSite, undisturbed: Outcome) -> None:
    site = new_site({"threshold.batch.read.size": "1"})
    load = Load(site)
    load.prepare()
    handled_by = 0
    with Feed(load, 200) as feed, contextlib.ExitStack() as processes:
        running = [processes.enter_context(Running(site, [ACTIVITY]))]
        for _ in range(4):
            time.sleep(2)
            running.append(processes.enter_context(Running(site, [ACTIVITY])))
            time.sleep(2)
            eldest = running.pop(0)
            handled_by += eldest.counts(ACTIVITY).get("total", 0) > 0
            assert eldest.end() == 0
        feed.wait()
        site.settle(seconds=60)
    assert handled_by >= 3
    assert load.seen() == undisturbed
