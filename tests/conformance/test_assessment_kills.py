"""SIGKILL at any moment: what comes of attempts is what comes of them without."""

import json
import random
import time
from collections import Counter

import pytest
from tests.conformance.assessing import START, aggregate, new_learner, told, totals
from tests.conformance.conftest import NewSite
from tests.conformance.events import Learner, answer, assessed
from tests.conformance.process import Running, run
from tests.conformance.servers import MARKS, eventually
from tests.conformance.site import ASSESSMENT, Site

_KILLS = 6
_LEARNERS = 40


def handled(site: Site) -> int:
    """How many messages are committed."""
    return sum(site.servers.positions(site.group(ASSESSMENT), site.input(ASSESSMENT), stable=False).values())


def history(draw: random.Random, learner: Learner) -> list[tuple[str, int, int]]:
    """Attempts at one assessment: name, when, score; some come twice, some late."""
    events = [(f"a{draw.randrange(6)}", draw.randrange(100), draw.randrange(5)) for _ in range(20)]
    return [event for each in events for event in [each] * draw.choice((1, 1, 1, 2))]


@pytest.mark.timeout(400)
def test_kills_change_nothing(new_site: NewSite) -> None:
    site = new_site({"threshold.batch.read.size": "1"})
    draw = random.Random(11)
    histories = {learner: history(draw, learner) for learner in (new_learner() for _ in range(_LEARNERS))}
    values: list[tuple[int, bytes]] = []
    waiting = {learner: list(events) for learner, events in histories.items()}
    while waiting:
        learner = draw.choice(list(waiting))
        attempt, at, score = waiting[learner].pop(0)
        answers = [answer(f"q{number}", score / 4, 1) for number in range(4)]
        value = assessed(learner, "quiz", attempt, START + at, answers)
        values.append((list(histories).index(learner) % 4, value))
        if not waiting[learner]:
            del waiting[learner]
    chunk = len(values) // (_KILLS + 1)
    in_a_turn = 0
    for number in range(_KILLS):
        send(site, values[number * chunk : (number + 1) * chunk])
        before = handled(site)
        with Running(site, [ASSESSMENT]) as running:
            assert eventually(lambda: handled(site), before.__lt__, 60) > before
            time.sleep(draw.uniform(0, 0.1))
            running.kill()
        journals = site.servers.redis(MARKS).scan_iter(
            f"lern:journal:{site.group(ASSESSMENT)}:*", count=100_000
        )
        in_a_turn += any(True for _ in journals)
    send(site, values[_KILLS * chunk :])
    run(site, ASSESSMENT, idle=2, seconds=110)
    assert site.behind(ASSESSMENT) == 0
    assert site.failed(ASSESSMENT) == []
    requests: Counter[str] = Counter()
    for message in site.servers.read(site.certificate_topic):
        requests.update(message.value["edata"]["userIds"])
    for learner, events in histories.items():
        stored, count = expected(events)
        assert requests[learner.user] == count
        assert len(told(site, learner)) == count
        assert totals(site, learner) == {("quiz", name): f"{score:.1f}/4.0" for name, score in stored.items()}
        row = aggregate(site, learner)
        assert row is not None
        assert row["aggregates"] == {
            "score:quiz": float(max(stored.values())),
            "max_score:quiz": 4.0,
            "attempts_count:quiz": float(len(stored)),
        }
        assert [json.loads(text)["attempt_id"] for text in row["agg_details"]] == sorted(stored)
    assert in_a_turn, f"none of {_KILLS} kills came in the middle of a turn"


def send(site: Site, values: list[tuple[int, bytes]]) -> None:
    """Produces events, those of one learner to one partition."""
    for partition in range(4):
        site.send(ASSESSMENT, [value for at, value in values if at == partition], partition=partition)


def expected(events: list[tuple[str, int, int]]) -> tuple[dict[str, int], int]:
    """By the specification: the score of each attempt, and how many events were not skipped."""
    last: dict[str, tuple[int, int]] = {}
    count = 0
    for name, at, score in events:
        if name not in last or at > last[name][0]:
            last[name] = at, score
            count += 1
    return {name: score for name, (_, score) in last.items()}, count
