"""Computing progress from what is stored: the part that all progress jobs share.

Source: jobs, section 2 steps 4 to 10, and section 3.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from lern.counts import Count
from lern.domain.hierarchy import CourseRelations, relations
from lern.domain.model import (
    Consumption,
    ContentId,
    CourseId,
    Enrolment,
    EnrolmentKey,
    Relation,
    RelationKey,
)
from lern.domain.progress import Course, CourseProgress, course_progress, enrolment_change
from lern.errors import Refused, Rejection
from lern.job import Context, ForgetEnrolmentList, Message, Outcome, SetAggregates, SetEnrolment, Write
from lern.jobs.relation_cache_updater import rebuild
from lern.ports import Facts
from lern.wire import outgoing

Sets = Mapping[RelationKey, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Known:
    """The facts that progress is computed from."""

    consumption: Mapping[EnrolmentKey, Mapping[ContentId, Consumption]]
    enrolments: Mapping[EnrolmentKey, Enrolment]
    courses: Mapping[CourseId, Course]
    missing: Collection[CourseId]
    """Courses whose leaf nodes were not in the relation cache."""
    rejected: Mapping[CourseId, Rejection]
    """Why the events of a course cannot be handled."""
    rebuilt: Mapping[EnrolmentKey, CourseRelations]
    """Relations that were missing in the cache, each with the one enrolment whose outcome carries them there."""

    def course(self, key: EnrolmentKey) -> Course:
        """The course of an enrolment; raises the reason why there is none."""
        if key.course in self.rejected:
            raise self.rejected[key.course]
        return self.courses[key.course]


def read(facts: Facts, contents: Mapping[EnrolmentKey, Collection[ContentId]]) -> Known:
    """Reads all that is needed for these enrolments, whose learners have just consumed `contents`."""
    consumption = facts.progress.consumption(contents.keys())
    enrolments = facts.progress.enrolments(contents.keys())

    touched: dict[CourseId, set[ContentId]] = {}
    for key, new in contents.items():
        touched.setdefault(key.course, set()).update(new, consumption.get(key, ()))
    sets = dict(facts.relations.members(list(_course_keys(touched))))

    missing = [course for course in touched if not sets.get(RelationKey(course, course, Relation.LEAF_NODES))]
    found, rejected = _find_missing(facts, missing)
    sets.update((key, members) for course in found.values() for key, members in course.sets.items())
    units = list(_unit_keys(touched, sets))
    sets.update(facts.relations.members([key for key in units if key.course not in found]))

    return Known(
        consumption=consumption,
        enrolments=enrolments,
        courses={
            course: _course(course, ids, sets) for course, ids in touched.items() if course not in rejected
        },
        missing=missing,
        rejected=rejected,
        rebuilt={
            next(key for key in contents if key.course == course): tree for course, tree in found.items()
        },
    )


def recompute(
    key: EnrolmentKey,
    consumption: Mapping[ContentId, Consumption],
    course: Course,
    known: Known,
    context: Context,
) -> Outcome:
    """Aggregates and enrolment of one learner whose contents are in the given state.

    Without any content, the progress of an enrolment that exists becomes 0, and nothing else is written.
    """
    statuses = {content: state.status for content, state in consumption.items()}
    progress = course_progress(course, statuses)
    before = known.enrolments.get(key)
    change = enrolment_change(
        before,
        progress.is_complete,
        context.now,
        filter_processed=context.settings.activity.filter_processed_enrolments,
    )

    writes: list[Write] = []
    if consumption:
        writes += _aggregates(key, progress, context)
    if change and consumption:
        writes.append(
            SetEnrolment(key, progress.completed, context.now, statuses, change.status, change.completed_on)
        )
    elif change and before:
        writes.append(SetEnrolment(key, 0, context.now))
    found = Count.CACHE_MISSES if key.course in known.missing else Count.CACHE_HITS
    counts = {Count.DB_READS: 2, Count.DB_UPDATES: len(writes), found: 1}

    if change and writes:
        counts[Count.PROCESSED_ENROLMENTS] = 1
        if context.settings.redis and context.settings.redis.enrolments:
            writes.append(ForgetEnrolmentList(key.user))
    completed = bool(change and change.newly_completed and consumption)
    if completed:
        counts |= {Count.COMPLETED_ENROLMENTS: 1, Count.CERTIFICATE_REQUESTS: 1}
    if key in known.rebuilt:
        restored = rebuild(known.rebuilt[key])
        counts[Count.CACHE_WRITES] = len(restored)
        writes += restored
    return Outcome(writes, _announce(key, context) if completed else (), counts=counts)


def _aggregates(key: EnrolmentKey, progress: CourseProgress, context: Context) -> Iterator[SetAggregates]:
    """The completed counts of the course and, where units are wanted, of each touched unit."""
    counts: dict[str, int] = {key.course: progress.completed}
    if context.settings.activity.module_aggregates:
        counts = {**progress.units, **counts}
    for activity, completed in counts.items():
        yield SetAggregates(
            activity, key.user, key.context, {"completedCount": float(completed)}, context.now
        )


def _announce(key: EnrolmentKey, context: Context) -> list[Message]:
    """The events that tell others of a completed course."""
    user = key.user.encode()
    topics = context.settings.topics
    return [
        Message(
            topics.certificate_requests, user, outgoing.issue_certificate(key, context.now, context.new_id)
        ),
        Message(topics.audit, user, outgoing.enrolment_completed(key, context.now, context.new_id)),
    ]


def _course_keys(touched: Mapping[CourseId, Collection[ContentId]]) -> Iterator[RelationKey]:
    for course, contents in touched.items():
        yield RelationKey(course, course, Relation.LEAF_NODES)
        yield RelationKey(course, course, Relation.OPTIONAL_NODES)
        for content in contents:
            yield RelationKey(course, content, Relation.ANCESTORS)


def _units(course: CourseId, contents: Collection[ContentId], sets: Sets) -> set[str]:
    """The units above any of these contents."""
    above = set[str]().union(
        *(sets.get(RelationKey(course, content, Relation.ANCESTORS), ()) for content in contents)
    )
    return above - {course}


def _unit_keys(touched: Mapping[CourseId, Collection[ContentId]], sets: Sets) -> Iterator[RelationKey]:
    for course, contents in touched.items():
        for unit in _units(course, contents, sets):
            yield RelationKey(course, unit, Relation.LEAF_NODES)
            yield RelationKey(course, unit, Relation.OPTIONAL_NODES)


def _course(course: CourseId, contents: Collection[ContentId], sets: Sets) -> Course:
    """The shape of a course, from the sets that were read."""

    def members(node: str, relation: Relation) -> frozenset[str]:
        return sets.get(RelationKey(course, node, relation), frozenset())

    def required(node: str) -> frozenset[str]:
        return members(node, Relation.LEAF_NODES) - members(node, Relation.OPTIONAL_NODES)

    return Course(
        leaves=members(course, Relation.LEAF_NODES),
        required=required(course),
        ancestors={content: members(content, Relation.ANCESTORS) - {course} for content in contents},
        units={unit: required(unit) for unit in _units(course, contents, sets)},
    )


def _find_missing(
    facts: Facts, courses: Collection[CourseId]
) -> tuple[dict[CourseId, CourseRelations], dict[CourseId, Rejection]]:
    """Courses whose leaf nodes are not in the cache: their relations from the hierarchy, or why there are none."""
    found: dict[CourseId, CourseRelations] = {}
    rejected: dict[CourseId, Rejection] = {}
    statuses = facts.collections.statuses(courses) if courses else {}
    for course in courses:
        if statuses.get(course) == "Retired":
            rejected[course] = Refused(
                "ERR_COLLECTION_RETIRED", f"collection {course} is retired", Count.RETIRED
            )
    wanted = [course for course in courses if course not in rejected]
    hierarchies = facts.hierarchies.hierarchies(wanted) if wanted else {}
    for course in wanted:
        try:
            tree = relations(course, hierarchies[course]) if course in hierarchies else CourseRelations()
        except Refused as refusal:
            rejected[course] = refusal
            continue
        if tree.sets.get(RelationKey(course, course, Relation.LEAF_NODES)):
            found[course] = tree
        else:
            rejected[course] = Refused(
                "ERR_LEAF_NODES_MISSING", f"leaf nodes are missing for published collection {course}"
            )
    return found, rejected
