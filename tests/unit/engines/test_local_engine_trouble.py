"""The engine of one process in trouble: what fails is held apart or ends visibly, and loses nothing."""

import json
import threading
import time
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import structlog
from tests import toy
from tests.at_work import (
    FailingTables,
    FailingTopic,
    Listener,
    assignment,
    eventually,
    idle,
    running,
    topic_of,
)

from lern.cli.logs import configure_logs
from lern.engines.local import run
from lern.errors import Unavailable
from lern.job import Context, Outcome
from lern.ports import Partition
from lern.settings.model import BatchSettings


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """What is logged meanwhile, as structlog holds it."""
    with structlog.testing.capture_logs() as entries:
        yield entries
    structlog.reset_defaults()


def test_a_job_that_does_not_end_in_time_is_reported() -> None:
    topic, stop, release = topic_of(b"a:1"), threading.Event(), threading.Event()

    def decide(key: str, events: Sequence[toy.Word], known: toy.Words, made: Context) -> Outcome:
        stop.set()
        release.wait(3)
        return toy.decide(key, events, known, made)

    job = assignment(topic, job=replace(toy.JOB, decide=decide))
    try:
        assert not run([job], stop, grace=0.1)
    finally:
        release.set()
        eventually(lambda: topic.closed)


def test_a_job_that_ends_by_a_fault_ends_all_and_says_so() -> None:
    faulty = FailingTopic(poll_errors=[RuntimeError("broken")])
    other = topic_of(b"a:1")

    assert not run([assignment(faulty), assignment(other)], threading.Event(), until_idle=60)

    assert faulty.closed
    assert other.closed


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_job_whose_end_cannot_even_be_logged_ends_all_too() -> None:
    """Standard error may be gone."""

    class Broken:
        def msg(self, _text: str) -> None:
            raise BrokenPipeError

        error = warning = info = msg

    structlog.configure(processors=[structlog.processors.JSONRenderer()], logger_factory=lambda *_: Broken())
    stop, ended = threading.Event(), []
    faulty = FailingTopic(poll_errors=[RuntimeError("broken")])
    thread = threading.Thread(target=lambda: ended.append(run([assignment(faulty)], stop)), daemon=True)
    try:
        thread.start()
        eventually(lambda: not thread.is_alive())
        assert ended in ([], [False])
    finally:
        stop.set()
        thread.join(3)
        structlog.reset_defaults()


def test_a_dependency_that_is_down_holds_its_partition_and_not_the_others() -> None:
    topic, listener = topic_of(b"down:1"), Listener()
    topic.put(b"a:1", b"a:2", partition=1)
    tables = FailingTables(unit="down")
    with running(assignment(topic, tables, BatchSettings(1, 0.01), listener)):
        eventually(lambda: len(listener.waits) >= 2)
        topic.put(b"b:3", partition=1)
        eventually(lambda: topic.positions.get(Partition("in", 1)) == 3)
        assert Partition("in", 0) not in topic.positions
        assert not topic.to("failed")
        assert listener.recoveries == 0

        tables.times = 0
        eventually(lambda: topic.positions.get(Partition("in", 0)) == 1)
        eventually(lambda: listener.recoveries == 1)

    assert json.loads(tables.units["down"]) == ["1"]
    assert [message.key for message in topic.to("out")].count(b"down") == 1
    assert {error.dependency for error in listener.waits} == {"cassandra"}


def test_retries_become_rarer() -> None:
    topic, listener = topic_of(b"down:1"), Listener()
    with running(assignment(topic, FailingTables(unit="down"), BatchSettings(1, 0.0), listener)):
        time.sleep(0.8)

    assert 2 <= len(listener.waits) <= 5


def test_waiting_for_a_dependency_is_not_idleness() -> None:
    topic = topic_of(b"down:1")
    tables = FailingTables(unit="down", times=2)

    assert idle(assignment(topic, tables), seconds=0.05)

    assert topic.positions == {("in", 0): 1}


def test_a_fault_in_a_turn_holds_its_partition_visibly_and_loses_nothing() -> None:
    topic, listener = topic_of(b"a:1"), Listener()
    topic.put(b"b:1", partition=1)
    tables = FailingTables(unit="a", times=2, error=RuntimeError(toy.PRIVATE))

    assert idle(assignment(topic, tables, listener=listener))

    assert topic.positions == {("in", 0): 1, ("in", 1): 1}
    assert [error.dependency for error in listener.waits] == ["internal"] * 2
    assert all("RuntimeError" in str(error) and toy.PRIVATE not in str(error) for error in listener.waits)
    assert not topic.to("failed")
    assert listener.recoveries == 1


@pytest.mark.parametrize("word", ["fault", "down"])
def test_the_text_of_a_fault_is_not_logged_since_it_may_hold_anything(
    word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs("info")
    topic = topic_of(f"a:{word}".encode())
    tables = FailingTables(unit="a", times=1, error=RuntimeError(toy.PRIVATE))

    assert idle(assignment(topic, tables))

    text = capsys.readouterr().err
    assert "Error" in text
    assert toy.PRIVATE not in text


@pytest.mark.parametrize("where", ["poll_errors", "lag_errors"])
def test_a_log_that_is_down_for_a_moment_ends_nothing(where: str) -> None:
    topic, listener = FailingTopic(), Listener()
    topic.put(b"a:1")
    setattr(topic, where, [Unavailable("kafka", "down")])

    assert idle(assignment(topic, listener=listener))

    assert topic.positions == {("in", 0): 1}
    if where == "poll_errors":
        assert listener.waits
        assert listener.recoveries == 1
