"""What a case comes to: what is wrong, in the order in which it has to be mended, or what the learner has yet to do."""

import shlex
from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum

import msgspec

from lern.errors import Refused, Rejection
from lern.explaining.evidence import Evidence

_SHOWN = 10


class Code(StrEnum):
    """The kinds of verdict."""

    COURSE_UNKNOWN = "course-unknown"
    COURSE_RETIRED = "course-retired"
    HIERARCHY_INVALID = "hierarchy-invalid"
    NOT_COMPUTABLE = "not-computable"
    CACHE_LOST = "cache-lost"
    CACHE_DIFFERS = "cache-differs"
    NOT_ENROLLED = "not-enrolled"
    NOT_ACTIVE = "not-active"
    ROWS_DIFFER = "rows-differ"
    SCORES_DIFFER = "scores-differ"
    NOTHING_STORED = "nothing-stored"
    CONTENTS_MISSING = "contents-missing"
    COURSE_GROWN = "course-grown"
    NO_CERTIFICATE = "no-certificate"
    ALL_RIGHT = "all-right"


class Verdict(msgspec.Struct, frozen=True):
    """One finding, and the command that mends it where one does."""

    code: Code
    sentence: str
    command: str | None = None


def verdicts(case: Evidence) -> list[Verdict]:
    """All findings; at least one. The first is what has to be done first."""
    return [*_of_the_course(case), *_of_the_rows(case), *_of_the_learner(case)] or [_all_right(case)]


def _of_the_course(case: Evidence) -> Iterator[Verdict]:
    course = case.key.course
    rebuild = f"lern cache rebuild --course {shlex.quote(course)}"
    if isinstance(case.outcome, Rejection):
        yield _rejected(case.outcome)
    if isinstance(case.tree, Refused) and case.tree is not case.outcome:
        if not isinstance(case.outcome, Refused) or case.outcome.code != case.tree.code:
            reason = f"The hierarchy of the course cannot be read ({case.tree.reason})"
            yield Verdict(Code.HIERARCHY_INVALID, f"{reason}: mend the course and publish it again.")
    elif case.drift and not case.is_cached:
        yield Verdict(Code.CACHE_LOST, "The relation cache has lost the course: rebuild it.", rebuild)
    elif case.drift:
        sets = "one set differs" if len(case.drift) == 1 else f"{len(case.drift)} sets differ"
        then = f"lern reconcile --course {shlex.quote(course)}"
        yield Verdict(
            Code.CACHE_DIFFERS,
            f"The relation cache is not what the hierarchy says ({sets}), so progress is computed for another shape of the"
            " course: rebuild the cache, then compute progress again.",
            f"{rebuild} && {then}",
        )


def _is_misshapen(case: Evidence) -> bool:
    """Whether the jobs see another course than there is; what they compute is of no interest then."""
    return case.is_cached and bool(case.drift)


def _rejected(error: Rejection) -> Verdict:
    match error.code:
        case "ERR_COLLECTION_RETIRED":
            return Verdict(
                Code.COURSE_RETIRED, "The course is retired: its progress is not computed any more."
            )
        case "ERR_LEAF_NODES_MISSING":
            said = "Neither the relation cache nor content_hierarchy has leaf nodes of the course"
            return Verdict(Code.COURSE_UNKNOWN, f"{said}: publish it again, or look whether its id is right.")
        case "ERR_HIERARCHY_INVALID" | "ERR_HIERARCHY_CYCLE":
            said = f"The hierarchy of the course cannot be read ({error.reason})"
            return Verdict(Code.HIERARCHY_INVALID, f"{said}: mend the course and publish it again.")
        case _:
            return Verdict(Code.NOT_COMPUTABLE, f"Progress cannot be computed: {error.reason}.")


def _of_the_rows(case: Evidence) -> Iterator[Verdict]:
    key = case.key
    if case.enrolment is None:
        others = f" The learner is enrolled in {_listed(case.others)} of this course." if case.others else ""
        stored = " What was consumed in it counts once there is an enrolment." if case.consumption else ""
        yield Verdict(
            Code.NOT_ENROLLED,
            f"The learner is not enrolled in this batch: enrol, or look at the right batch.{others}{stored}",
        )
    elif case.enrolment.get("active") is False:
        yield Verdict(
            Code.NOT_ACTIVE, "The enrolment is not active: the learner was unenrolled and has to enrol again."
        )
    if case.enrolment is not None and case.differences and not _is_misshapen(case):
        what = _listed([one.what for one in case.differences])
        whose = " ".join(
            f"--{name} {shlex.quote(its)}" for name, its in zip(_OPTIONS, _ids(case), strict=True)
        )
        yield Verdict(
            Code.ROWS_DIFFER,
            f"What is stored is not what the consumption comes to ({what}): compute it again.",
            f"lern reconcile {whose}",
        )
    if wrong := [name for name, (stored, wanted) in case.scores().items() if stored != wanted]:
        said = f"The scores are not those of the attempts ({_listed(wrong)})"
        yield Verdict(
            Code.SCORES_DIFFER,
            f"{said}: send an assessment event of {key.user} without `events`, which computes them again.",
        )


_OPTIONS = ("course", "batch", "user")


def _ids(case: Evidence) -> tuple[str, ...]:
    return case.key.course, case.key.batch, case.key.user


def _of_the_learner(case: Evidence) -> Iterator[Verdict]:
    if case.enrolment is None or case.course is None or case.differences or _is_misshapen(case):
        return
    missing, required = case.missing, len(case.required)
    if case.is_completed and missing:
        yield Verdict(
            Code.COURSE_GROWN,
            f"The course was completed{_on(case)}; {_listed(missing)} came after that or lost its completion, and is"
            " not needed: a completed course stays completed.",
        )
    elif missing and not case.consumption:
        yield Verdict(
            Code.NOTHING_STORED,
            f"Nothing of what the learner did in this batch is stored, so all {required} required contents are missing."
            " If that cannot be, look for failed records of the updater.",
            "lern tail activity-aggregate-updater --failed --from-beginning --until-idle 2",
        )
    elif missing:
        is_ = "is" if len(missing) == 1 else "are"
        yield Verdict(
            Code.CONTENTS_MISSING,
            f"{len(missing)} of {required} required contents {is_} not completed: {_listed(missing)}."
            " The learner has to complete what is missing.",
        )
    if case.is_completed and not case.enrolment.get("issued_certificates"):
        yield Verdict(
            Code.NO_CERTIFICATE,
            f"The course was completed{_on(case)}, and no certificate is recorded with the enrolment: if the batch has one,"
            " look at the jobs that issue it.",
        )


def _all_right(case: Evidence) -> Verdict:
    return Verdict(
        Code.ALL_RIGHT,
        f"Everything is as it should be: the course was completed{_on(case)}, and its certificate is recorded."
        if case.is_completed
        else "Everything is as it should be.",
    )


def _on(case: Evidence) -> str:
    completed = (case.enrolment or {}).get("completedon")
    return f" on {completed:%Y-%m-%d}" if isinstance(completed, datetime) else ""


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
