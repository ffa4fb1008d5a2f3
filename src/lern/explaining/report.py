"""A case as sections of facts, each with where it stands; ids only, no names."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import StrEnum

import msgspec

from lern.domain.hierarchy import CourseRelations
from lern.domain.model import (
    BatchId,
    ContentId,
    CourseId,
    EnrolmentKey,
    Relation,
    RelationKey,
    Status,
    UserId,
)
from lern.errors import Refused, Rejection
from lern.explaining.evidence import Evidence
from lern.explaining.verdicts import Verdict, verdicts
from lern.settings.model import Profile

_WORDS = EnrolmentKey(UserId("learner"), CourseId("course"), BatchId("batch"))
_STATUS = {0: "not started", 1: "in progress", 2: "completed"}


class State(StrEnum):
    """How a fact is to be taken."""

    RIGHT = "right"
    WRONG = "wrong"
    """It differs from what it should be."""
    MISSING = "missing"
    """The learner has yet to do it."""
    NOTE = "note"


class Fact(msgspec.Struct, frozen=True):
    """One line."""

    name: str
    value: object
    source: str
    """Table and key, or a Redis key."""
    state: State = State.NOTE
    expected: object = None
    """What it should be, where it is wrong."""


class Section(msgspec.Struct, frozen=True):
    """Facts about one thing."""

    title: str
    source: str
    """Where most of them stand, the ids in it as words."""
    facts: Sequence[Fact]


class Report(msgspec.Struct, frozen=True):
    """The page."""

    user: str
    course: str
    batch: str
    sections: Sequence[Section]
    verdicts: Sequence[Verdict]


def report(case: Evidence) -> Report:
    """Lays a case out."""
    sources = _Sources(case)
    words = _Sources(replace(case, key=_WORDS))
    relation = words.relation("node", Relation.LEAF_NODES).replace(Relation.LEAF_NODES.value, "relation")
    sections = (
        Section("Contents", words.content("content"), list(_contents(case, sources))),
        Section("Units", words.aggregate("unit"), list(_units(case, sources))),
        Section("Relation cache against hierarchy", relation, list(_relations(case, sources))),
        Section("Enrolment", words.enrolment(), list(_enrolment(case, sources))),
        Section("Attempts", words.attempt("content", "attempt"), list(_attempts(case, sources))),
        Section("Certificates", words.enrolment("issued_certificates"), list(_certificates(case, sources))),
    )
    key = case.key
    shown = [section for section in sections if section.facts]
    return Report(key.user, key.course, key.batch, shown, verdicts(case))


class _Sources:
    """Where facts stand."""

    def __init__(self, case: Evidence) -> None:
        self._case = case
        self._tables = case.settings.tables
        self._is_embedded = case.settings.profile is Profile.EMBEDDED

    def enrolment(self, column: str = "") -> str:
        return self._row(self._tables.user_enrolments, *self._case.key, column=column)

    def content(self, content: str) -> str:
        return self._row(self._tables.content_consumption, *self._case.key, content)

    def aggregate(self, activity: str, key: str = "completedCount") -> str:
        user, context = self._case.key.user, self._case.key.context
        return self._row(
            self._tables.user_activity_agg, "Course", activity, user, context, column=f"aggregates[{key}]"
        )

    def attempt(self, content: str, attempt: str) -> str:
        user, course, batch = self._case.key
        return self._row(self._tables.assessment_aggregator, user, course, batch, content, attempt)

    def hierarchy(self) -> str:
        return self._row(self._tables.content_hierarchy, self._case.key.course)

    def relation(self, node: str, relation: Relation) -> str:
        key = RelationKey(self._case.key.course, node, relation).redis_key
        if self._is_embedded:
            return f"relation_cache ({key})"
        redis = self._case.settings.redis
        return f"redis {redis.relations.database if redis else ''} {key}"

    def course(self, relation: Relation) -> str:
        """Where the jobs take the shape of the course from."""
        return (
            self.relation(self._case.key.course, relation)
            if self._case.is_cached or not self._case.course
            else self.hierarchy()
        )

    def _row(self, table: str, *key: str, column: str = "") -> str:
        name = table.partition(".")[2] if self._is_embedded else table
        return f"{name} ({', '.join(key)}){f' {column}' if column else ''}"


def _contents(case: Evidence, sources: _Sources) -> Iterator[Fact]:
    course = case.course
    if course:
        done = len(case.required) - len(case.missing)
        state = State.MISSING if case.missing else State.RIGHT
        yield Fact(
            "required contents that are completed",
            f"{done} of {len(case.required)}",
            sources.course(Relation.LEAF_NODES),
            state,
        )
        optional = course.leaves - course.required
        if optional:
            source = sources.course(Relation.OPTIONAL_NODES)
            yield Fact("optional contents", sorted(optional), source)
    missing = set(case.missing)
    known = sorted({*case.consumption, *missing}, key=lambda content: (content not in missing, content))
    for content in known:
        its = case.consumption.get(ContentId(content))
        what = "required" if content in case.required else "optional"
        if course and content not in course.leaves:
            what = "not part of the course"
        told = "nothing stored"
        if its:
            told = f"{_status(its.status)}, views {its.views}, completions {its.completions}"
        state = State.MISSING if content in missing else State.RIGHT if what == "required" else State.NOTE
        yield Fact(f"{content} ({what})", told, sources.content(content), state)


def _units(case: Evidence, sources: _Sources) -> Iterator[Fact]:
    computed = case.computed()
    activities = [case.key.course, *sorted(case.course.units if case.course else ())]
    for activity in activities:
        stored, wanted = case.counted(activity), computed.get(activity)
        if stored is None and wanted is None:
            continue
        its = case.required
        if case.course and activity != case.key.course:
            its = case.course.units[activity]
        name = "the course" if activity == case.key.course else f"unit {activity}"
        is_right = wanted is None or stored == wanted
        yield Fact(
            name,
            f"{_number(stored)} of {len(its)}" if stored is not None else None,
            sources.aggregate(activity),
            State.RIGHT if is_right else State.WRONG,
            None if is_right else f"{_number(wanted)} of {len(its)}",
        )


def _relations(case: Evidence, sources: _Sources) -> Iterator[Fact]:
    if case.tree is None:
        yield Fact("hierarchy", "none", sources.hierarchy())
    elif isinstance(case.tree, Refused):
        yield Fact("hierarchy", case.tree.reason, sources.hierarchy(), State.WRONG)
    if not case.is_cached:
        source = sources.relation(case.key.course, Relation.LEAF_NODES)
        yield Fact("leaf nodes of the course", "none in the cache", source, State.WRONG)
    if isinstance(case.tree, CourseRelations) and not case.drift:
        yield Fact(
            "sets that are as the hierarchy says",
            f"all {len(case.tree.sets)}",
            sources.hierarchy(),
            State.RIGHT,
        )
    if not case.is_cached:
        return
    for drift in case.drift:
        source = sources.relation(drift.key.node, drift.key.relation)
        lacking, surplus = sorted(drift.wanted - drift.cached), sorted(drift.cached - drift.wanted)
        told = [f"lacks {', '.join(lacking)}"] * bool(lacking) + [
            f"has {', '.join(surplus)} too much"
        ] * bool(surplus)
        name = f"{drift.key.relation.value} of {drift.key.node}"
        yield Fact(name, "; ".join(told), source, State.WRONG, sorted(drift.wanted))


def _enrolment(case: Evidence, sources: _Sources) -> Iterator[Fact]:
    row = case.enrolment
    if row is None:
        yield Fact("enrolment", "none", sources.enrolment(), State.WRONG)
        if case.others:
            yield Fact("other batches of the course", list(case.others), sources.enrolment())
        return
    wrong = {one.what: one.after for one in case.differences}
    for column in ("status", "progress", "completedon", "contentstatus", "active", "datetime"):
        value, state = row.get(column), State.RIGHT
        if column in wrong or (column == "active" and value is False):
            state = State.WRONG
        elif column in {"active", "datetime"} or isinstance(case.outcome, Rejection):
            state = State.NOTE
        expected = wrong.get(column)
        if column == "contentstatus":
            value, expected = _statuses(value), _statuses(expected) if column in wrong else None
        if column == "status":
            value, expected = _status(value), _status(expected) if column in wrong else None
        yield Fact(column, value, sources.enrolment(column), state, expected)
    if case.others:
        yield Fact("other batches of the course", list(case.others), sources.enrolment())


def _attempts(case: Evidence, sources: _Sources) -> Iterator[Fact]:
    best = case.best()
    for attempt in case.attempts:
        counts = best[attempt.content] is attempt
        when = f", on {attempt.attempted_on:%Y-%m-%d %H:%M}" if attempt.attempted_on else ""
        told = f"{attempt.score:g} of {attempt.max_score:g}{when}{': this one counts' * counts}"
        source = sources.attempt(attempt.content, attempt.attempt)
        yield Fact(f"{attempt.content}, attempt {attempt.attempt}", told, source)
    for name, (stored, wanted) in case.scores().items():
        is_right = stored == wanted
        yield Fact(
            name,
            _number(stored),
            sources.aggregate(case.key.course, name),
            State.RIGHT if is_right else State.WRONG,
            None if is_right else _number(wanted),
        )


def _certificates(case: Evidence, sources: _Sources) -> Iterator[Fact]:
    if case.enrolment is None:
        return
    source = sources.enrolment("issued_certificates")
    issued = case.enrolment.get("issued_certificates") or ()
    for one in issued:
        when = one.get("lastIssuedOn", "an unknown day")
        yield Fact("issued", f"{one.get('identifier', 'without identifier')}, on {when}", source, State.RIGHT)
    if not issued:
        yield Fact("issued", "none", source)


def _status(value: object) -> str | None:
    if value is None:
        return None
    return f"{value} ({_STATUS[value]})" if isinstance(value, int) and value in _STATUS else str(value)


def _statuses(value: object) -> str:
    statuses = value if isinstance(value, dict) else {}
    done = sum(its == Status.COMPLETED for its in statuses.values())
    return f"{len(statuses)} contents, {done} completed"


def _number(value: float | None) -> object:
    return int(value) if value is not None and value == int(value) else value
