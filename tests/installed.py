"""A world of the model on real stores: how it gets there, how events change it, and how it is read back."""

import json
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from tests import events
from tests.fakes import turn
from tests.generated import LEARNERS, RESOURCES, STRANGERS
from tests.model import Content, Enrolment, Update, Who, World, hierarchy

from lern.adapters.embedded import Embedded
from lern.counts import Count
from lern.job import Context
from lern.jobs import activity_aggregate_updater, enrolment_reconciliation, relation_cache_updater
from lern.ports import Partition, Platform
from lern.settings.model import JobSettings


class Place(Protocol):
    """Where the rows of a world are."""

    def platform(self, settings: JobSettings) -> Platform:
        """The ports of a job."""

    def put(self, table: str, row: Mapping[str, object]) -> None:
        """Writes one row."""

    def row(self, table: str, **key: str) -> dict[str, Any] | None:
        """One row, in the types of Python."""

    def begin(self) -> None:
        """Nothing of what was sent so far counts."""

    def sent(self) -> list[bytes]:
        """All audits and certificate requests since `begin`."""


class File:
    """On an embedded file, its topics included."""

    def __init__(self, embedded: Embedded) -> None:
        self._embedded = embedded
        self._starts: dict[Partition, int] = {}
        self.row = embedded.row

    def begin(self) -> None:
        """As `Place.begin`."""
        log = self._embedded.log()
        topics = ("audit", "certificates")
        log.create(topics, 4)
        self._starts = {Partition(topic, at): log.end(topic, at) for topic in topics for at in range(4)}

    def platform(self, settings: JobSettings) -> Platform:
        """As `Place.platform`."""
        return Platform(
            facts=self._embedded.facts(),
            stores=self._embedded.stores(settings),
            journal=None,
            consumer=self._embedded.consumer("in", "group"),
            transaction=self._embedded.transaction,
        )

    def put(self, table: str, row: Mapping[str, object]) -> None:
        """As `Place.put`."""
        self._embedded.put(table, row)

    def sent(self) -> list[bytes]:
        """As `Place.sent`."""
        log = self._embedded.log()
        return [
            record.value or b""
            for partition, start in self._starts.items()
            for record in log.fetch(partition, start, 10_000)
        ]


class Installed:
    """A world, installed: its course and learners get ids that nobody else has in that place."""

    def __init__(self, place: Place, world: World) -> None:
        place.begin()
        self._place = place
        self._prefix = prefix = f"{uuid.uuid4().hex}-"
        self._course = replace(world.course, id=f"{prefix}{world.course.id}")
        self._settings = events.settings(dedup=world.dedup, filtered=world.filtered, modules=world.modules)
        self._platform = place.platform(self._settings)
        with self._platform.transaction():
            self._put(world)
        published = events.records([events.publish(self._course.id)])
        turn(relation_cache_updater.JOB, published, self._platform, events.context(self._settings))

    def _put(self, world: World) -> None:
        tree = {"identifier": self._course.id, "hierarchy": hierarchy(self._course).decode()}
        self._place.put("content_hierarchy", tree)
        for who, contents in world.consumption.items():
            for content, row in contents.items():
                counts = {"viewcount": row.views or None, "completedcount": row.completions or None}
                key = {**self._key(who), "contentid": content}
                self._place.put("user_content_consumption", {**key, "status": row.status, **counts})
        for who, enrolment in world.enrolments.items():
            stored = {"status": enrolment.status, "progress": enrolment.progress, "contentstatus": {}}
            completed = None if enrolment.completed is None else time(enrolment.completed)
            self._place.put("user_enrolments", {**self._key(who), **stored, "completedon": completed})

    def handle(self, first: int, batch: Sequence[Update], number: int) -> dict[Count, int]:
        """One turn; returns what it counted."""
        values = [self._message(update) for update in batch]
        context = Context(self._settings, time(number), events.ids())
        records = events.records(values, first)
        return turn(activity_aggregate_updater.JOB, records, self._platform, context).counts()

    def reconcile(self, whose: Sequence[Who], number: int) -> None:
        """One turn of enrolment-reconciliation."""
        values = [events.user_sync(f"{self._prefix}{who.user}", self._course.id, who.batch) for who in whose]
        context = Context(self._settings, time(number), events.ids())
        turn(enrolment_reconciliation.JOB, events.records(values), self._platform, context)

    def _message(self, update: Update) -> bytes:
        user, batch = f"{self._prefix}{update.who.user}", update.who.batch
        if update.completed is None:
            return events.sync(user, self._course.id, batch)
        return events.update(*update.completed, user=user, course=self._course.id, batch=batch)

    def world(self, like: World) -> World:
        """What is stored now, as a world."""
        found = World(like.course, like.dedup, like.filtered, like.modules)
        for who in LEARNERS:
            for content in [*RESOURCES, *STRANGERS]:
                if row := self._place.row("user_content_consumption", **self._key(who), contentid=content):
                    read = Content(row["status"], row["viewcount"] or 0, row["completedcount"] or 0)
                    found.consumption.setdefault(who, {})[content] = read
            if row := self._place.row("user_enrolments", **self._key(who)):
                completed = row["completedon"] and round((row["completedon"] - time(0)).total_seconds() / 60)
                found.enrolments[who] = Enrolment(
                    row["status"], row["progress"], row["contentstatus"] or {}, completed
                )
            user = f"{self._prefix}{who.user}"
            for node in like.course.collections():
                activity = self._course.id if node is like.course else node.id
                key = {"activity_id": activity, "user_id": user, "context_id": f"cb:{who.batch}"}
                if row := self._place.row("user_activity_agg", activity_type="Course", **key):
                    found.counts[node.id, who] = row["aggregates"]["completedCount"]
        found.said = Counter(self._told(json.loads(value)) for value in self._place.sent())
        return found

    def _told(self, event: Any) -> tuple[str, ...]:  # JSON
        """A certificate request or an audit, as the model names it."""
        edata = event["edata"]
        if edata.get("action") == "issue-certificate":
            [user] = edata["userIds"]
            return ("certificate", user.removeprefix(self._prefix), edata["batchId"])
        who = (event["actor"]["id"].removeprefix(self._prefix), event["context"]["cdata"][0]["id"])
        return (edata["type"], *who, *([event["object"]["id"]] if edata["type"] != "enrol-complete" else []))

    def _key(self, who: Who) -> dict[str, str]:
        return {
            "userid": f"{self._prefix}{who.user}",
            "courseid": self._course.id,
            "batchid": who.batch,
        }


def time(number: int) -> datetime:
    """The time of a turn."""
    return events.NOW + timedelta(minutes=number)


def check_turn_by_turn(
    there: Installed, world: World, history: Sequence[Update], cuts: Sequence[int]
) -> None:
    """Holds what is stored against the model after each turn of a history that is cut into batches."""
    first = 0
    for number, size in enumerate(cuts, start=1):
        batch = history[first : first + size]
        if not batch:
            break
        counted = there.handle(first, batch, number)
        world.handle(batch)
        check_same(there.world(world), world)
        assert counted.get(Count.SUCCESS, 0) + counted.get(Count.SKIPPED, 0) == len(batch)
        first += size


def check_same(found: World, expected: World) -> None:
    """Everything that learners have is as it should be."""
    assert found.consumption == {who: rows for who, rows in expected.consumption.items() if rows}
    assert found.enrolments == expected.enrolments
    assert found.counts == expected.counts
    assert found.said == expected.said
