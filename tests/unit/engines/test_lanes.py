"""When a partition's messages are due, how long to wait for more, and what becomes of a lost partition."""

import pytest
from tests.events import records
from tests.fakes import Topic

from lern.engines.lanes import Lane, Lanes
from lern.job import Record
from lern.ports import Partition
from lern.settings.model import BatchSettings

MB = 2**20
ONE, TWO = Partition("in", 0), Partition("in", 1)


def assigned(*partitions: int) -> Topic:
    topic = Topic()
    for number in partitions or (0,):
        topic.put(partition=number)
    return topic


def lanes(topic: Topic, size: int = 3, interval: float = 1.0) -> Lanes:
    return Lanes(topic, BatchSettings(read_size=size, read_interval=interval))


def some(count: int, first: int = 0, partition: int = 0, size: int = 1) -> list[Record]:
    return records([b"x" * size] * count, first, partition=partition)


def due(of: Lanes, now: float, *, drain: bool = False) -> list[Partition]:
    return [lane.partition for lane in of.due(now, drain=drain)]


def lane(of: Lanes, partition: Partition = ONE) -> Lane:
    return next(each for each in of if each.partition == partition)


def test_a_full_batch_is_due_at_once() -> None:
    waiting = lanes(assigned(), size=3)

    waiting.add(some(2), 100.0)
    assert due(waiting, 100.0) == []
    waiting.add(some(1, first=2), 100.0)
    assert due(waiting, 100.0) == [ONE]


def test_an_unfilled_batch_is_due_when_its_oldest_message_has_waited_the_interval() -> None:
    waiting = lanes(assigned(), interval=1.0)

    waiting.add(some(1), 100.0)
    waiting.add(some(1, first=1), 100.9)

    assert due(waiting, 100.99) == []
    assert due(waiting, 101.0) == [ONE]


def test_messages_left_over_by_a_batch_have_waited_since_they_came() -> None:
    waiting = lanes(assigned(), size=2, interval=1.0)
    waiting.add(some(3), 100.0)

    lane(waiting).done(2)

    assert due(waiting, 100.95) == []
    assert due(waiting, 101.0) == [ONE]


def test_nothing_is_never_due() -> None:
    waiting = lanes(assigned())
    waiting.add([], 100.0)

    assert due(waiting, 1000.0, drain=True) == []
    assert waiting.is_empty


def test_draining_makes_an_unfilled_batch_due_at_once() -> None:
    waiting = lanes(assigned())
    waiting.add(some(1), 100.0)

    assert due(waiting, 100.0, drain=True) == [ONE]


def test_many_bytes_are_due_at_once_however_few_messages_they_are() -> None:
    waiting = lanes(assigned(), size=1000)

    waiting.add(some(2, size=3 * MB), 100.0)
    assert due(waiting, 100.0) == []
    waiting.add(some(1, first=2, size=3 * MB), 100.0)
    assert due(waiting, 100.0) == [ONE]


def test_a_batch_has_at_most_so_many_messages() -> None:
    waiting = lanes(assigned())
    waiting.add(some(5), 100.0)

    assert [record.offset for record in lane(waiting).batch(3)] == [0, 1, 2]


def test_one_by_one_each_message_is_due_at_once_and_alone() -> None:
    waiting = Lanes(assigned(), BatchSettings(read_size=1000, read_interval=60.0), one_by_one=True)

    waiting.add(some(2), 100.0)

    assert due(waiting, 100.0) == [ONE]
    assert lane(waiting).batch(waiting.largest_batch) == some(1)
    assert waiting.wait(100.0, 5.0) == 0.0


def test_a_batch_has_at_most_eight_megabytes() -> None:
    waiting = lanes(assigned())
    waiting.add(some(3, size=5 * MB), 100.0)

    assert len(lane(waiting).batch(1000)) == 1


def test_a_batch_has_at_least_one_message() -> None:
    waiting = lanes(assigned())
    waiting.add(some(2, size=9 * MB), 100.0)

    assert len(lane(waiting).batch(1000)) == 1


def test_the_longest_waiting_partition_is_first() -> None:
    waiting = lanes(assigned(0, 1), size=1)
    waiting.add(some(1, partition=1), 100.0)
    waiting.add(some(1, partition=0), 100.1)

    assert due(waiting, 100.2) == [TWO, ONE]


def test_what_is_done_is_gone_and_does_not_come_back() -> None:
    waiting = lanes(assigned(), size=1)
    waiting.add(some(3), 100.0)

    lane(waiting).done(2)
    waiting.add(some(3), 100.0)

    assert [record.offset for record in lane(waiting).records] == [2, 2]


def test_a_plan_that_went_further_than_was_read_drops_what_comes_late() -> None:
    """An earlier turn may have been carried out to offset 10 while only three messages were read again."""
    waiting = lanes(assigned(), size=1)
    waiting.add(some(3), 100.0)

    lane(waiting).done(10)
    waiting.add(some(8, first=3), 100.0)

    assert [record.offset for record in lane(waiting).records] == [10]
    assert lane(waiting).bytes == 1


def test_more_than_the_read_size_is_handled_together_when_it_is_there() -> None:
    waiting = lanes(assigned(), size=2)
    waiting.add(some(1500), 100.0)

    assert waiting.largest_batch == 1000
    assert len(lane(waiting).batch(waiting.largest_batch)) == 1000


def test_a_read_size_above_a_thousand_is_the_size_of_batches() -> None:
    assert lanes(assigned(), size=5000).largest_batch == 5000


@pytest.mark.parametrize("waits", [some(1000), some(2, size=5 * MB)], ids=["messages", "bytes"])
def test_a_partition_with_a_whole_batch_is_paused_and_goes_on_when_there_is_room(waits: list[Record]) -> None:
    topic = assigned(0, 1)
    waiting = lanes(topic, size=2)

    waiting.add(waits, 100.0)
    waiting.apply_backpressure()
    assert topic.paused == {ONE}

    lane(waiting).done(1)
    waiting.apply_backpressure()
    assert topic.paused == set()


def test_delays_grow_to_a_few_seconds_and_start_again_after_a_success() -> None:
    waiting = lanes(assigned(), size=1)
    waiting.add(some(2), 0.0)
    delays = []
    for _ in range(20):
        lane(waiting).failed(0.0)
        delays.append(lane(waiting).retry_at)

    assert 0.05 < delays[0] < 0.2
    assert all(later > earlier for earlier, later in zip(delays[:5], delays[2:7], strict=True))
    assert 3.0 < delays[-1] < 7.0

    lane(waiting).done(1)
    lane(waiting).failed(0.0)
    assert lane(waiting).retry_at < 0.2


def test_delays_of_two_partitions_differ() -> None:
    """So that they do not all come back at the same moment."""
    waiting = lanes(assigned(*range(10)))
    for each in [*waiting]:
        each.failed(0.0)
    waiting.add([], 0.0)
    for each in waiting:
        each.failed(0.0)

    assert len({each.retry_at for each in waiting}) > 1


def test_a_failed_batch_waits_alone() -> None:
    waiting = lanes(assigned(0, 1), size=1)
    waiting.add([*some(1), *some(1, partition=1)], 100.0)

    lane(waiting, ONE).failed(100.0)

    assert due(waiting, 100.01) == [TWO]
    assert set(due(waiting, 106.3)) == {ONE, TWO}
    assert due(waiting, 100.01, drain=True) == [TWO]


def test_waiting_for_input_ends_when_a_batch_is_due() -> None:
    waiting = lanes(assigned(0, 1), size=2, interval=1.0)
    assert waiting.wait(100.0, longest=0.25) == 0.25

    waiting.add(some(1), 100.0)
    assert waiting.wait(100.5, longest=0.25) == 0.25
    assert waiting.wait(100.9, longest=0.25) == pytest.approx(0.1)
    assert waiting.wait(102.0, longest=0.25) == 0.0

    waiting.add(some(2, partition=1), 100.0)
    assert waiting.wait(100.0, longest=0.25) == 0.0


def test_waiting_for_input_ends_when_a_failed_batch_may_be_tried_again() -> None:
    waiting = lanes(assigned(), size=1)
    waiting.add(some(1), 100.0)

    lane(waiting).failed(100.0)

    assert 0.05 < waiting.wait(100.0, longest=10.0) < 0.2
    assert waiting.wait(101.0, longest=10.0) == 0.0


def test_a_lost_partition_is_dropped_with_all_it_holds() -> None:
    topic = assigned(0, 1)
    waiting = lanes(topic)
    waiting.add([*some(2), *some(2, partition=1)], 100.0)

    topic.lose(0)
    waiting.add(some(1, first=2), 100.0)

    assert [each.partition for each in waiting] == [TWO]


def test_a_partition_that_was_lost_and_regained_starts_anew() -> None:
    """Also when it was lost and regained between two looks."""
    topic = assigned()
    waiting = lanes(topic)
    waiting.add(some(2), 100.0)
    lane(waiting).done(1)
    assert not lane(waiting).fresh

    topic.regain(0)
    waiting.add(some(1), 200.0)

    assert [record.offset for record in lane(waiting).records] == [0]
    assert lane(waiting).fresh
    assert due(waiting, 200.9) == []
    assert due(waiting, 201.0) == [ONE]


def test_an_interrupted_turn_is_looked_for_after_an_assignment_and_after_a_failure() -> None:
    waiting = lanes(assigned())
    waiting.add(some(2), 100.0)
    assert lane(waiting).fresh

    lane(waiting).done(1)
    assert not lane(waiting).fresh

    lane(waiting).failed(100.0)
    assert lane(waiting).fresh
