"""The engine of one process: batches in time, trouble held apart, an orderly end."""

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

from tests import toy
from tests.at_work import Listener, assignment, eventually, idle, running, topic_of
from tests.fakes import Tables

from lern.counts import Count
from lern.engines.turn import Plan
from lern.job import Context, Outcome
from lern.ports import Partition
from lern.settings.model import BatchSettings


def test_all_that_waits_is_handled_and_the_consumer_closed() -> None:
    topic, tables, listener = topic_of(b"a:1", b"bad", b"b:skip"), Tables(), Listener()
    topic.put(b"c:2", partition=1)

    assert idle(assignment(topic, tables, listener=listener))

    assert tables.units.keys() == {"a", "c"}
    assert topic.positions == {("in", 0): 3, ("in", 1): 1}
    assert listener.counts == {Count.TOTAL: 4, Count.SUCCESS: 2, Count.FAILED: 1, Count.SKIPPED: 1}
    assert listener.lags[-1] == {("in", 0): 0, ("in", 1): 0}
    assert topic.closed


def test_ending_when_idle_handles_a_batch_that_is_not_full() -> None:
    topic = topic_of(b"a:1")
    started = time.monotonic()

    assert idle(assignment(topic, batch=BatchSettings(read_size=100, read_interval=60.0)))

    assert topic.positions == {("in", 0): 1}
    assert time.monotonic() - started < 3


def test_jobs_that_feed_each_other_end_when_the_last_is_idle() -> None:
    """What one job sends late is still handled by the other."""
    first, second, tables = topic_of(b"a:1"), topic_of(b"z:9"), Tables()

    def decide(key: str, events: Sequence[toy.Word], known: toy.Words, made: Context) -> Outcome:
        time.sleep(0.3)
        second.put(b"from:first")
        return toy.decide(key, events, known, made)

    slow = replace(toy.JOB, name="slow", decide=decide)

    assert idle(assignment(first, job=slow), assignment(second, tables), seconds=0.15)

    assert tables.units.keys() == {"z", "from"}


def test_a_trickle_is_handled_by_the_age_of_the_oldest_message() -> None:
    """Messages that keep coming do not put off the batch."""
    topic, listener = topic_of(), Listener()
    topic.put()
    with running(assignment(topic, batch=BatchSettings(100, 0.2), listener=listener)):
        for number in range(30):
            topic.put(f"a:{number}".encode())
            time.sleep(0.02)
        assert len(listener.batches) >= 2

    assert max(listener.batches) > 1


def test_a_full_batch_does_not_wait_for_the_interval() -> None:
    topic, listener = topic_of(*[b"a:1"] * 10), Listener()
    with running(assignment(topic, batch=BatchSettings(10, 60.0), listener=listener)):
        eventually(lambda: listener.batches == [10], seconds=1.0)


def test_a_backlog_is_handled_without_pauses_between_batches() -> None:
    """A partition that was paused for its full batch goes on before the next poll, which would wait for nothing."""
    topic, listener = topic_of(*[b"a:1"] * 3_500), Listener()
    with running(assignment(topic, batch=BatchSettings(1000, 0.01), listener=listener)):
        eventually(lambda: sum(listener.batches) == 3_500, seconds=10)

    assert topic.polls[:4] == [frozenset()] * 4


def test_stopping_finishes_the_batch_at_hand_and_leaves_the_rest() -> None:
    topic, tables = topic_of(b"a:1"), Tables()
    entered, release = threading.Event(), threading.Event()

    def decide(key: str, events: Sequence[toy.Word], known: toy.Words, made: Context) -> Outcome:
        entered.set()
        assert release.wait(3)
        return toy.decide(key, events, known, made)

    with running(assignment(topic, tables, job=replace(toy.JOB, decide=decide))) as stop:
        assert entered.wait(3)
        topic.put(b"b:2")
        stop.set()
        release.set()

    assert tables.units.keys() == {"a"}
    assert topic.positions == {("in", 0): 1}
    assert topic.closed


def test_what_was_only_read_is_left_for_the_next_run() -> None:
    topic, tables = topic_of(b"a:1"), Tables()
    with running(assignment(topic, tables, batch=BatchSettings(100, 60.0))):
        eventually(lambda: topic.polls[1:])

    assert not topic.positions
    assert not tables.units


def test_a_partition_that_is_lost_while_it_waits_is_left_to_others() -> None:
    topic, tables = topic_of(b"a:1"), Tables()
    topic.put(b"b:1", partition=1)
    with running(assignment(topic, tables, batch=BatchSettings(2, 60.0))):
        eventually(lambda: len(topic.polls) > 1)
        topic.lose(0)
        topic.put(b"b:2", partition=1)
        eventually(lambda: topic.positions.get(Partition("in", 1)) == 2)
        topic.regain(0)
        topic.put(b"a:2")
        eventually(lambda: topic.positions.get(Partition("in", 0)) == 2)

    assert json.loads(tables.units["a"]) == ["1", "2"]


def test_a_dry_run_shows_plans_and_changes_nothing() -> None:
    topic, tables, shown = topic_of(b"a:1", b"bad"), Tables(), list[Plan]()
    job = replace(assignment(topic, tables), show=lambda _job, plan: shown.append(plan))

    assert idle(job)

    assert [step.outcome.counts for plan in shown for step in plan.steps] == [
        {Count.FAILED: 1},
        {Count.SUCCESS: 1},
    ]
    assert tables == Tables()
    assert not topic.sent
    assert not topic.positions
