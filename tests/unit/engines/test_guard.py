"""Threads of one job never decide about the same learner at once."""

import threading
import time

import pytest
from tests.at_work import eventually

from lern.engines.guard import Guard


def test_what_shares_a_key_waits_and_what_does_not_goes_on() -> None:
    guard, order = Guard(), list[str]()

    def work(name: str, keys: set[str]) -> None:
        with guard.holding(keys):
            order.append(name)

    with guard.holding({"a", "b"}):
        sharing = threading.Thread(target=work, args=("sharing", {"b", "c"}))
        apart = threading.Thread(target=work, args=("apart", {"d"}))
        sharing.start()
        apart.start()
        eventually(lambda: order == ["apart"])
        time.sleep(0.02)
        assert order == ["apart"]
    sharing.join(3)
    apart.join(3)

    assert order == ["apart", "sharing"]


def test_a_turn_that_fails_lets_go_of_its_keys() -> None:
    guard = Guard()
    with pytest.raises(RuntimeError), guard.holding({"a"}):
        raise RuntimeError

    with guard.holding({"a"}):
        pass


def test_sums_of_many_threads_are_not_lost() -> None:
    """A sum that is read, waited for and written, as a turn does it with the views of a content."""
    guard, sums = Guard(), dict.fromkeys("abcd", 0)

    def work(keys: str) -> None:
        for _ in range(20):
            with guard.holding(keys):
                read = {key: sums[key] for key in keys}
                time.sleep(0.0001)
                for key in keys:
                    sums[key] = read[key] + 1

    threads = [threading.Thread(target=work, args=(keys,)) for keys in ("ab", "bc", "cd", "da")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert sums == dict.fromkeys("abcd", 40)
