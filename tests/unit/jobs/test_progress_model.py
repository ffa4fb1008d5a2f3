"""Courses, learners and histories of any kind, on the embedded file, against the model of the rules."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests import events
from tests.fakes import turn
from tests.generated import LEARNERS, RESOURCES, STRANGERS, updates, worlds
from tests.model import Content, Enrolment, Update, Who, World, hierarchy

from lern.adapters.embedded import Embedded
from lern.counts import Count
from lern.job import Context
from lern.jobs import activity_aggregate_updater, enrolment_reconciliation, relation_cache_updater
from lern.ports import Partition, Platform

histories = st.lists(updates(), min_size=1, max_size=12)
cuts = st.lists(st.integers(1, 5), min_size=12, max_size=12)


class Installation:
    """A world on an embedded file."""

    def __init__(self, embedded: Embedded, world: World) -> None:
        self._embedded = embedded
        self._course = world.course
        self._settings = events.settings(dedup=world.dedup, filtered=world.filtered, modules=world.modules)
        self._platform = Platform(
            facts=embedded.facts(),
            stores=embedded.stores(self._settings),
            journal=None,
            consumer=embedded.consumer("in", "group"),
            transaction=embedded.transaction,
        )
        with embedded.transaction():
            self._put(world)
        published = events.records([events.publish(world.course.id)])
        turn(relation_cache_updater.JOB, published, self._platform, events.context(self._settings))

    def _put(self, world: World) -> None:
        tree = {"identifier": world.course.id, "hierarchy": hierarchy(world.course).decode()}
        self._embedded.put("content_hierarchy", tree)
        for who, contents in world.consumption.items():
            for content, row in contents.items():
                counts = {"viewcount": row.views or None, "completedcount": row.completions or None}
                key = {**self._key(who), "contentid": content}
                self._embedded.put("user_content_consumption", {**key, "status": row.status, **counts})
        for who, enrolment in world.enrolments.items():
            stored = {"status": enrolment.status, "progress": enrolment.progress, "contentstatus": {}}
            completed = None if enrolment.completed is None else time(enrolment.completed)
            self._embedded.put("user_enrolments", {**self._key(who), **stored, "completedon": completed})

    def handle(self, first: int, batch: Sequence[Update], number: int) -> dict[Count, int]:
        """One turn; returns what it counted."""
        values = [self._message(update) for update in batch]
        context = Context(self._settings, time(number), events.ids())
        records = events.records(values, first)
        return turn(activity_aggregate_updater.JOB, records, self._platform, context).counts()

    def reconcile(self, whose: Sequence[Who], number: int) -> None:
        """One turn of enrolment-reconciliation."""
        values = [events.user_sync(who.user, self._course.id, who.batch) for who in whose]
        context = Context(self._settings, time(number), events.ids())
        turn(enrolment_reconciliation.JOB, events.records(values), self._platform, context)

    def _message(self, update: Update) -> bytes:
        user, batch = update.who
        if update.completed is None:
            return events.sync(user, self._course.id, batch)
        return events.update(*update.completed, user=user, course=self._course.id, batch=batch)

    def world(self, like: World) -> World:
        """What the file holds now, as a world."""
        found = World(like.course, like.dedup, like.filtered, like.modules)
        for who in LEARNERS:
            for content in [*RESOURCES, *STRANGERS]:
                if row := self._row("user_content_consumption", **self._key(who), contentid=content):
                    read = Content(row["status"], row["viewcount"] or 0, row["completedcount"] or 0)
                    found.consumption.setdefault(who, {})[content] = read
            if row := self._row("user_enrolments", **self._key(who)):
                completed = row["completedon"] and round((row["completedon"] - time(0)).total_seconds() / 60)
                found.enrolments[who] = Enrolment(
                    row["status"], row["progress"], row["contentstatus"] or {}, completed
                )
            for node in like.course.collections():
                key = {"activity_id": node.id, "user_id": who.user, "context_id": f"cb:{who.batch}"}
                if row := self._row("user_activity_agg", activity_type="Course", **key):
                    found.counts[node.id, who] = row["aggregates"]["completedCount"]
        found.said = self._said()
        return found

    def _row(self, table: str, **key: str) -> dict[str, Any] | None:
        return self._embedded.row(table, **key)

    def _said(self) -> Counter[tuple[str, ...]]:
        log = self._embedded.log()
        return Counter(
            _told(json.loads(record.value or b""))
            for topic in ("audit", "certificates")
            for number in range(4)
            for record in log.fetch(Partition(topic, number), 0, 10_000)
        )

    def _key(self, who: Who) -> dict[str, str]:
        return {"userid": who.user, "courseid": self._course.id, "batchid": who.batch}


def _told(event: Any) -> tuple[str, ...]:  # JSON
    """A certificate request or an audit, as the model names it."""
    edata = event["edata"]
    if edata.get("action") == "issue-certificate":
        [user] = edata["userIds"]
        return ("certificate", user, edata["batchId"])
    who = (event["actor"]["id"], event["context"]["cdata"][0]["id"])
    return (edata["type"], *who, *([event["object"]["id"]] if edata["type"] != "enrol-complete" else []))


def time(number: int) -> datetime:
    """The time of a turn."""
    return events.NOW + timedelta(minutes=number)


@contextmanager
def installed(world: World) -> Iterator[Installation]:
    with TemporaryDirectory() as folder:
        embedded = Embedded(Path(folder) / "lern.db")
        try:
            yield Installation(embedded, world)
        finally:
            embedded.close()


def same(found: World, expected: World) -> None:
    assert found.consumption == {who: rows for who, rows in expected.consumption.items() if rows}
    assert found.enrolments == expected.enrolments
    assert found.counts == expected.counts
    assert found.said == expected.said


@given(worlds(), histories, cuts)
@settings(max_examples=200, deadline=None)
def test_the_job_does_what_the_model_says_turn_by_turn(
    world: World, history: list[Update], cuts: list[int]
) -> None:
    with installed(world) as installation:
        first = 0
        for number, size in enumerate(cuts, start=1):
            batch = history[first : first + size]
            if not batch:
                break
            counted = installation.handle(first, batch, number)
            world.handle(batch)
            same(installation.world(world), world)
            assert counted.get(Count.SUCCESS, 0) + counted.get(Count.SKIPPED, 0) == len(batch)
            first += size


@given(worlds())
@settings(max_examples=100, deadline=None)
def test_reconciliation_and_the_updaters_sync_do_the_same_which_is_what_the_model_says(world: World) -> None:
    with installed(world) as one, installed(world) as other:
        one.reconcile(LEARNERS, 1)
        other.handle(0, [Update(who, None) for who in LEARNERS], 1)
        world.handle([Update(who, None) for who in LEARNERS])

        same(one.world(world), world)
        same(other.world(world), world)


@given(worlds(), histories, cuts)
@settings(max_examples=40, deadline=None)
def test_a_history_handled_twice_with_deduplication_is_handled_once(
    world: World, history: list[Update], cuts: list[int]
) -> None:
    world.dedup = True
    with installed(world) as installation:
        world.handle(history)
        installation.handle(0, history, 1)
        once = installation.world(world)

        for at, content in enumerate(update for update in history if update.completed is not None):
            installation.handle(len(history) + at, [content], 2 + at)

        same(installation.world(world), once)


@given(worlds(), histories, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_completions_does_not_matter_for_what_is_stored(
    world: World, history: list[Update], random: Random
) -> None:
    completions = [update for update in history if update.completed is not None]
    shuffled = random.sample(completions, len(completions))
    found = []
    for order in (completions, shuffled):
        with installed(world) as installation:
            for at, update in enumerate(order):
                installation.handle(at, [update], 1)
            found.append(installation.world(world))

    if world.filtered:  # the map of statuses is left alone once the course is completed
        for result in found:
            for enrolment in result.enrolments.values():
                enrolment.contents = {}
    same(*found)
