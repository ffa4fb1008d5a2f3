"""relation-cache-updater: what other jobs need to know of a course's tree, computed when the course is published.

For every collection of the tree its leaf nodes and optional nodes, for every resource its ancestors go to the
relation cache as sets; every unit goes to the collection cache as JSON. A set that has become empty is removed.
Handling an event twice writes the same sets, so nothing needs to be journalled. Source: jobs, section 1.
"""

from collections.abc import Mapping, Sequence

from lern.counts import Count
from lern.domain.hierarchy import CourseRelations, relations
from lern.domain.model import CourseId
from lern.job import Context, Job, Outcome, ReplaceRelation, SetUnit, Write
from lern.ports import Facts
from lern.wire import publish
from lern.wire.publish import PublishEvent

Hierarchies = Mapping[CourseId, bytes]


def read(events: Mapping[CourseId, Sequence[PublishEvent]], facts: Facts, _context: Context) -> Hierarchies:
    """The hierarchies of all published courses."""
    return facts.hierarchies.hierarchies(events.keys())


def decide(
    course: CourseId, events: Sequence[PublishEvent], known: Hierarchies, _context: Context
) -> Outcome:
    """Replaces all relations of one course; a course without a hierarchy is skipped."""
    hierarchy = known.get(course)
    if hierarchy is None:
        return Outcome(
            warnings=[f"course {course} has no hierarchy"],
            counts={Count.SKIPPED: len(events), Count.DB_READS: 1},
        )
    writes = rebuild(relations(course, hierarchy))
    return Outcome(
        writes=writes,
        counts={Count.SUCCESS: len(events), Count.DB_READS: 1, Count.CACHE_WRITES: len(writes)},
    )


def rebuild(found: CourseRelations) -> list[Write]:
    """The writes that bring the caches to what was found."""
    sets = [ReplaceRelation(key, members) for key, members in found.sets.items()]
    return [*sets, *(SetUnit(unit, json) for unit, json in found.units.items())]


JOB: Job[PublishEvent, CourseId, Hierarchies] = Job(
    name="relation-cache-updater",
    title="A published course's tree becomes leaf nodes, optional nodes, ancestors and units in the caches",
    inputs="kafka.input.topic",
    outputs=("kafka.output.failed.topic",),
    tables=("content_hierarchy",),
    decode=publish.decode,
    group=lambda event: event.course,
    read=read,
    decide=decide,
    journalled=False,
)
