"""Any history of views, completions and merges, against sets of what happened: merging accounts is the union."""

import random
from collections import defaultdict
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from tests.accounts import CONSUMPTION, consumed, counts, merged
from tests.fakes import Tables

USERS, CONTENTS = "abcd", ("do_1", "do_2")


class Seen(NamedTuple):
    """A learner has looked at a content, and perhaps completed it."""

    user: str
    content: str
    completed: bool


class Merge(NamedTuple):
    """One account becomes part of another."""

    source: str
    target: str


_seen = st.builds(Seen, st.sampled_from(USERS), st.sampled_from(CONTENTS), st.booleans())
_merges = st.permutations(USERS).map(lambda users: Merge(*users[:2]))
histories = st.lists(_seen | _merges, max_size=30)


def happens(tables: Tables, seen: Seen) -> None:
    """As activity-aggregate-updater writes it: one more than what is stored."""
    key = (seen.user, "course_1", "batch_1", seen.content)
    row = tables.rows.setdefault(CONSUMPTION, {}).setdefault(key, consumed(seen.user, seen.content))
    row["viewcount"] = row.get("viewcount", 0) + 1
    row["completedcount"] = row.get("completedcount", 0) + seen.completed


def run(history: list[Seen | Merge]) -> Tables:
    tables = Tables()
    for event in history:
        if isinstance(event, Merge):
            merged(tables, event)
        else:
            happens(tables, event)
    return tables


@given(histories)
def test_every_view_counts_once_in_every_account_that_it_has_come_to(history: list[Seen | Merge]) -> None:
    views: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    completions: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    for number, event in enumerate(history):
        if isinstance(event, Merge):
            for content in CONTENTS:
                for sets in (views, completions):
                    sets[event.target, content] |= sets[event.source, content]
        else:
            views[event.user, event.content].add(number)
            completions[event.user, event.content].update({number} if event.completed else ())

    tables = run(history)

    for user in USERS:
        found = {key[2]: value for key, value in counts(tables, user).items()}
        for content in CONTENTS:
            expected = (len(views[user, content]), len(completions[user, content]))
            assert found.get(content, (0, 0)) == expected


@given(histories, _merges)
def test_a_merge_twice_is_a_merge_once(history: list[Seen | Merge], merge: Merge) -> None:
    once, twice = run([*history, merge]), run([*history, merge, merge])

    assert (once.rows, once.origins) == (twice.rows, twice.origins)


@given(histories, _merges)
def test_counts_never_fall(history: list[Seen | Merge], merge: Merge) -> None:
    before, after = run(history), run([*history, merge])

    for user in USERS:
        for key, value in counts(before, user).items():
            assert all(new >= old for new, old in zip(counts(after, user)[key], value, strict=True))


@given(histories, _merges, st.randoms(use_true_random=False))
def test_the_order_of_rows_makes_no_difference(
    history: list[Seen | Merge], merge: Merge, draw: random.Random
) -> None:
    one, other = run(history), run(history)
    rows = list(other.rows.get(CONSUMPTION, {}).items())
    draw.shuffle(rows)
    other.rows[CONSUMPTION] = dict(rows)

    merged(one, merge)
    merged(other, merge)

    assert one.rows.get(CONSUMPTION, {}) == other.rows[CONSUMPTION]
    assert one.origins == other.origins


@given(histories, st.sampled_from(USERS))
def test_an_account_that_has_nothing_changes_nothing(history: list[Seen | Merge], target: str) -> None:
    before, after = run(history), run([*history, Merge("nobody", target)])

    assert (before.rows, before.origins) == (after.rows, after.origins)


@given(histories, _merges, st.integers(0, 10))
def test_a_crash_half_way_makes_no_difference(history: list[Seen | Merge], merge: Merge, writes: int) -> None:
    expected, crashed = run([*history, merge]), run(history)

    class Crash(Exception):
        """The process ends."""

    class Crashing(Tables):
        def apply(self, decided: object) -> None:
            crashed.apply(list(decided)[:writes])  # type: ignore[call-overload]  # writes
            raise Crash

    dying = Crashing(rows=crashed.rows, origins=crashed.origins)
    try:
        merged(dying, merge)
    except Crash:
        merged(crashed, merge)

    assert (crashed.rows, crashed.origins) == (expected.rows, expected.origins)
