"""Events that go out: requests from job to job and AUDIT telemetry (contracts, section 3)."""

from collections.abc import Callable
from datetime import datetime

import msgspec

from lern.domain.model import ContentId, EnrolmentKey

_encode = msgspec.json.Encoder().encode


class Outgoing(msgspec.Struct, rename="camel", gc=False):
    """The base of what goes out: camelCase outside."""


class Typed(Outgoing):
    """An identified thing with its type: actor, correlation."""

    id: str
    type: str


class Pdata(Outgoing):
    """Who produced an event."""

    ver: str
    id: str


class JobContext(Outgoing):
    """The context of a job request."""

    pdata: Pdata


class IssueCertificate(Outgoing):
    """`edata` of a request to issue the certificates that a learner has earned."""

    user_ids: list[str]
    batch_id: str
    course_id: str
    action: str = "issue-certificate"
    iteration: int = 1
    trigger: str = "auto-issue"
    re_issue: bool = False
    attempt_id: str | msgspec.UnsetType = msgspec.UNSET


class SyncEnrolment(Outgoing):
    """`edata` of a request to compute the progress of an enrolment again."""

    batch_id: str
    user_id: str
    course_id: str
    action: str = "batch-enrolment-sync"
    iteration: int = 1
    reset: tuple[str, ...] = ("completionPercentage", "status", "progress")


class JobRequest(Outgoing):
    """The envelope of requests from job to job."""

    ets: int
    mid: str
    actor: Typed
    context: JobContext
    object: Typed
    edata: IssueCertificate | SyncEnrolment
    eid: str = "BE_JOB_REQUEST"


_PLATFORM = JobContext(Pdata("1.0", "org.sunbird.platform"))
_CERTIFICATE_ACTOR = Typed("Course Certificate Generator", "System")
_SYNC_ACTOR = Typed("Course Batch Updater", "System")


def issue_certificate(
    enrolment: EnrolmentKey,
    now: datetime,
    new_id: Callable[[], str],
    *,
    attempt: str | msgspec.UnsetType = msgspec.UNSET,
) -> bytes:
    """A request to look whether this learner has earned certificates of the batch.

    `attempt`: what a score says of the attempt that led to it; left out where progress did.
    """
    millis = milliseconds(now)
    return _encode(
        JobRequest(
            ets=millis,
            mid=f"LP.{millis}.{new_id()}",
            actor=_CERTIFICATE_ACTOR,
            context=_PLATFORM,
            object=Typed(f"{enrolment.batch}_{enrolment.course}", "CourseCertificateGeneration"),
            edata=IssueCertificate([enrolment.user], enrolment.batch, enrolment.course, attempt_id=attempt),
        )
    )


def enrolment_sync(enrolment: EnrolmentKey, now: datetime, new_id: Callable[[], str]) -> bytes:
    """A request to compute the progress of an enrolment again from what is stored."""
    millis = milliseconds(now)
    return _encode(
        JobRequest(
            ets=millis,
            mid=f"LP.{millis}.{new_id()}",
            actor=_SYNC_ACTOR,
            context=_PLATFORM,
            object=Typed(f"{enrolment.batch}_{enrolment.user}", "CourseBatchEnrolment"),
            edata=SyncEnrolment(enrolment.batch, enrolment.user, enrolment.course),
        )
    )


class AuditPdata(Outgoing):
    """Who produced an AUDIT event."""

    ver: str
    id: str
    pid: str


class AuditContext(Outgoing):
    """Where an AUDIT event belongs."""

    channel: str
    env: str
    sid: str
    did: str
    pdata: AuditPdata
    cdata: list[Typed]


class Rollup(Outgoing):
    """The course above an audited object."""

    l1: str


class AuditObject(Outgoing):
    """What an AUDIT event is about."""

    id: str
    type: str
    rollup: Rollup


class AuditData(Outgoing):
    """What happened, and which properties changed."""

    type: str
    props: list[str]


class Audit(Outgoing):
    """AUDIT telemetry, version 3.0."""

    ets: int
    mid: str
    actor: Typed
    context: AuditContext
    object: AuditObject
    edata: AuditData
    syncts: int
    eid: str = "AUDIT"
    ver: str = "3.0"
    tags: list[str] = []


_UPDATER = AuditPdata("3.0", "org.sunbird.learning.platform", "course-progress-updater")
_STARTED = AuditData("start", ["viewcount"])
_COMPLETED = AuditData("complete", ["viewcount", "completedcount"])
_ENROLMENT_COMPLETED = AuditData("enrol-complete", ["status", "completedon"])


def content_started(
    enrolment: EnrolmentKey, content: ContentId, now: datetime, new_id: Callable[[], str]
) -> bytes:
    """AUDIT `start`: the learner has opened a content for the first time."""
    subject = AuditObject(content, "Content", Rollup(enrolment.course))
    return _audit(enrolment, subject, _STARTED, [_batch(enrolment)], now, new_id)


def content_completed(
    enrolment: EnrolmentKey, content: ContentId, now: datetime, new_id: Callable[[], str]
) -> bytes:
    """AUDIT `complete`: the learner has completed a content for the first time."""
    subject = AuditObject(content, "Content", Rollup(enrolment.course))
    return _audit(enrolment, subject, _COMPLETED, [_batch(enrolment)], now, new_id)


def enrolment_completed(enrolment: EnrolmentKey, now: datetime, new_id: Callable[[], str]) -> bytes:
    """AUDIT `enrol-complete`: the learner has completed the course."""
    subject = AuditObject(enrolment.user, "User", Rollup(enrolment.course))
    correlation = [_batch(enrolment), Typed(enrolment.course, "Course")]
    return _audit(enrolment, subject, _ENROLMENT_COMPLETED, correlation, now, new_id)


def _batch(enrolment: EnrolmentKey) -> Typed:
    return Typed(enrolment.batch, "CourseBatch")


def _audit(
    enrolment: EnrolmentKey,
    subject: AuditObject,
    data: AuditData,
    correlation: list[Typed],
    now: datetime,
    new_id: Callable[[], str],
) -> bytes:
    millis = milliseconds(now)
    return _encode(
        Audit(
            ets=millis,
            mid=f"LP.AUDIT.{new_id()}",
            actor=Typed(enrolment.user, "User"),
            context=AuditContext("in.sunbird", "Course", new_id(), new_id(), _UPDATER, correlation),
            object=subject,
            edata=data,
            syncts=millis,
        )
    )


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970, UTC."""
    return round(moment.timestamp() * 1000)
