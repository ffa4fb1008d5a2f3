"""What is known of one learner in one batch: asked for once, and changed by nobody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lern.domain import scores
from lern.domain.hierarchy import CourseRelations, relations
from lern.domain.model import (
    AggregateKey,
    Attempt,
    Consumption,
    ContentId,
    CourseId,
    EnrolmentKey,
    Relation,
    RelationKey,
    Row,
    Status,
)
from lern.domain.progress import Course
from lern.engines.reconcile import Difference, compare
from lern.errors import Refused, Rejection
from lern.job import Context, Outcome, SetAggregates
from lern.jobs.enrolment_reconciliation import JOB
from lern.ports import Facts, Standing
from lern.settings.model import JobSettings
from lern.wire.course_batch import SyncEvent


@dataclass(frozen=True, slots=True)
class Drift:
    """One set of the relation cache that is not what the hierarchy says."""

    key: RelationKey
    cached: frozenset[str]
    wanted: frozenset[str]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The case."""

    key: EnrolmentKey
    settings: JobSettings
    course: Course | None
    """Its shape, as the jobs see it; None: they see none, and `outcome` says why."""
    is_cached: bool
    """Whether the relation cache has leaf nodes of the course."""
    tree: CourseRelations | Refused | None
    """What the hierarchy says, or why it cannot be read; None: there is none."""
    drift: Sequence[Drift]
    consumption: Mapping[ContentId, Consumption]
    enrolment: Row | None
    others: Sequence[str]
    """Other batches of the course that the learner is enrolled in."""
    aggregates: Mapping[str, Row]
    """The rows of the course and its units, by activity."""
    attempts: Sequence[Attempt]
    outcome: Outcome | Rejection
    """What computing the progress again would lead to."""
    differences: Sequence[Difference]
    """What that would change."""

    @property
    def required(self) -> frozenset[str]:
        """The contents that have to be completed."""
        return self.course.required if self.course else frozenset()

    @property
    def missing(self) -> list[str]:
        """Those of them that are not."""
        done = {content for content, its in self.consumption.items() if its.status >= Status.COMPLETED}
        return sorted(self.required - done)

    @property
    def is_completed(self) -> bool:
        """Whether the enrolment says that the course is completed."""
        return self.enrolment is not None and self.enrolment.get("status") == Status.COMPLETED

    def counted(self, activity: str) -> float | None:
        """The stored `completedCount` of the course or a unit."""
        row = self.aggregates.get(activity)
        return row.get("aggregates", {}).get("completedCount") if row else None

    def computed(self) -> dict[str, float]:
        """What the counts should be, by activity."""
        if isinstance(self.outcome, Rejection):
            return {}
        return {
            write.activity: write.values["completedCount"]
            for write in self.outcome.writes
            if isinstance(write, SetAggregates)
        }

    def best(self) -> Mapping[ContentId, Attempt]:
        """The attempt that counts for each assessment."""
        return scores.best(self.attempts)

    def scores(self) -> dict[str, tuple[float | None, float]]:
        """The aggregates that attempts lead to: as stored, and as they should be."""
        row = self.aggregates.get(self.key.course) or {}
        stored: Mapping[str, float] = row.get("aggregates", {})
        return {name: (stored.get(name), value) for name, value in scores.aggregates(self.attempts).items()}


def gather(key: EnrolmentKey, facts: Facts, context: Context) -> Evidence:
    """Asks for all facts of a case. Raises Unavailable."""
    course, outcome = _decided(key, facts, context)
    tree = _tree(key.course, facts)
    wanted = dict(tree.sets) if isinstance(tree, CourseRelations) else {}
    leaves = RelationKey(key.course, key.course, Relation.LEAF_NODES)
    cached = facts.relations.members([*wanted, *([] if leaves in wanted else [leaves])])
    rows = facts.accounts.enrolment_rows([key.user]).get(key.user, ())
    mine = [row for row in rows if row["courseid"] == key.course]
    enrolment = next((row for row in mine if row["batchid"] == key.batch), None)
    activities = {key.course, *(course.units if course else ())}
    found = facts.accounts.aggregate_rows([AggregateKey(one, key.user, key.context) for one in activities])
    aggregates = {place.activity: row for place, row in found.items()}
    return Evidence(
        key=key,
        settings=context.settings,
        course=course,
        is_cached=bool(cached.get(leaves)),
        tree=tree,
        drift=[
            Drift(one, cached[one], members)
            for one, members in sorted(wanted.items())
            if cached[one] != members
        ],
        consumption=facts.progress.consumption([key]).get(key, {}),
        enrolment=enrolment,
        others=sorted(row["batchid"] for row in mine if row is not enrolment),
        aggregates=aggregates,
        attempts=facts.attempts.attempts([key]).get(key, ()),
        outcome=outcome,
        differences=_differences(key, outcome, enrolment, aggregates),
    )


def _decided(key: EnrolmentKey, facts: Facts, context: Context) -> tuple[Course | None, Outcome | Rejection]:
    events = [SyncEvent(key)]
    try:
        known = JOB.read({key: events}, facts, context)
        return known.courses.get(key.course), JOB.decide(key, events, known, context)
    except Rejection as error:
        return None, error


def _tree(course: CourseId, facts: Facts) -> CourseRelations | Refused | None:
    hierarchy = facts.hierarchies.hierarchies([course]).get(course)
    try:
        return None if hierarchy is None else relations(course, hierarchy)
    except Refused as error:
        return error


def _differences(
    key: EnrolmentKey, outcome: Outcome | Rejection, enrolment: Row | None, aggregates: Mapping[str, Row]
) -> Sequence[Difference]:
    if isinstance(outcome, Rejection):
        return ()
    standing = enrolment and Standing(
        enrolment.get("progress"),
        enrolment.get("status"),
        enrolment.get("completedon"),
        enrolment.get("contentstatus", {}),
    )
    counts = {
        AggregateKey(activity, key.user, key.context): row["aggregates"]["completedCount"]
        for activity, row in aggregates.items()
        if "completedCount" in row.get("aggregates", {})
    }
    change, _ = compare(key, outcome, standing or None, counts)
    return change.differences if change else ()
