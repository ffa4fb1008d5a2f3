"""Courses, learners and histories of any kind, on the embedded file, against the model of the rules."""

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.generated import LEARNERS, cuts, histories, worlds
from tests.installed import File, Installed, check_same, check_turn_by_turn
from tests.model import Update, World

from lern.adapters.embedded import Embedded

_SLOW = [HealthCheck.too_slow]  # the machine, at times


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[File]:
    embedded = Embedded(tmp_path_factory.mktemp("worlds") / "lern.db")
    yield File(embedded)
    embedded.close()


@given(worlds(), histories, cuts)
@settings(max_examples=150, deadline=None, suppress_health_check=_SLOW)
def test_the_job_does_what_the_model_says_turn_by_turn(
    file: File, world: World, history: list[Update], cuts: list[int]
) -> None:
    check_turn_by_turn(Installed(file, world), world, history, cuts)


@given(worlds())
@settings(max_examples=100, deadline=None, suppress_health_check=_SLOW)
def test_reconciliation_and_the_updaters_sync_do_the_same_which_is_what_the_model_says(
    file: File, world: World
) -> None:
    one, other = Installed(file, world), Installed(file, world)
    one.reconcile(LEARNERS, 1)
    reconciled = one.world(world)
    file.begin()
    other.handle(0, [Update(who, None) for who in LEARNERS], 1)
    world.handle([Update(who, None) for who in LEARNERS])

    check_same(reconciled, world)
    check_same(other.world(world), world)


@given(worlds(), histories, cuts)
@settings(max_examples=60, deadline=None, suppress_health_check=_SLOW)
def test_a_history_handled_twice_with_deduplication_is_handled_once(
    file: File, world: World, history: list[Update], cuts: list[int]
) -> None:
    world.dedup = True
    there = Installed(file, world)
    world.handle(history)
    there.handle(0, history, 1)
    once = there.world(world)

    for at, content in enumerate(update for update in history if update.completed is not None):
        there.handle(len(history) + at, [content], 2 + at)

    check_same(there.world(world), once)


@given(worlds(), histories, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None, suppress_health_check=_SLOW)
def test_the_order_of_completions_does_not_matter_for_what_is_stored(
    file: File, world: World, history: list[Update], random: Random
) -> None:
    completions = [update for update in history if update.completed is not None]
    shuffled = random.sample(completions, len(completions))
    found = []
    for order in (completions, shuffled):
        there = Installed(file, world)
        for at, update in enumerate(order):
            there.handle(at, [update], 1)
        found.append(there.world(world))

    if world.filtered:  # the map of statuses is left alone once the course is completed
        for result in found:
            for enrolment in result.enrolments.values():
                enrolment.contents = {}
    check_same(*found)


@given(worlds(), histories)
@settings(max_examples=80, deadline=None, suppress_health_check=_SLOW)
def test_progress_never_falls_a_completion_date_never_changes_and_no_count_exceeds_its_leaf_nodes(
    file: File, world: World, history: list[Update]
) -> None:
    there = Installed(file, world)
    there.handle(0, [Update(who, None) for who in LEARNERS], 1)  # what the rows say, not what is invented
    leaves = {node.id: len(node.leaves()) for node in world.course.collections()}
    before = there.world(world)
    for at, update in enumerate(update for update in history if update.completed is not None):
        there.handle(len(LEARNERS) + at, [update], 2 + at)
        after = there.world(world)
        for who, enrolment in before.enrolments.items():
            assert after.enrolments[who].progress >= enrolment.progress
            assert after.enrolments[who].status >= enrolment.status
            assert enrolment.completed in (None, after.enrolments[who].completed)
        for place, completed in before.counts.items():
            assert completed <= after.counts[place] <= leaves[place[0]]
        for who, contents in before.consumption.items():
            for content, row in contents.items():
                now = after.consumption[who][content]
                assert (now.status or 0) >= (row.status or 0)
                assert (now.views, now.completions) >= (row.views, row.completions)
        before = after
