"""The messages that a platform sends to the jobs: those in order, and some that are not."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from lern.demo.course import BATCH, Course, Node
from lern.domain.model import Status, UserId
from lern.wire.outgoing import milliseconds

_encode = msgspec.json.Encoder().encode

Contents = Sequence[tuple[str, Status]]


def published(node: Node, at: datetime) -> bytes:
    """What the platform sends when it has published a course or a content."""
    edata = {
        "action": "post-publish-process",
        "iteration": 1,
        "identifier": node.identifier,
        "name": node.name,
        "mimeType": node.mime_type,
        "status": "Live",
    }
    return request("Publish Process", node.identifier, "Content", edata, at)


def studied(user: UserId, course: str, contents: Contents, at: datetime) -> bytes:
    """What the course service sends when a learner's app tells of contents."""
    edata = {
        "action": "batch-enrolment-update",
        "iteration": 1,
        "userId": user,
        "courseId": course,
        "batchId": BATCH,
        "contents": [{"contentId": content, "status": int(status)} for content, status in contents],
    }
    return request("Course Batch Updater", f"{BATCH}_{user}", "CourseBatchEnrolment", edata, at)


def malformed_publication(course: Course, at: datetime) -> bytes:
    """A name with quotation marks that are not escaped: a known fault of the program that sends these messages."""
    return published(course.root, at).replace(course.name.encode(), b'Mathematics, "Class 8"')


def malformed_studies(user: UserId, course: Course, at: datetime) -> list[bytes]:
    """One message of every kind that cannot be handled."""
    content = course.contents[0].identifier
    good = studied(user, course.identifier, [(content, Status.COMPLETED)], at)
    return [
        good[: len(good) * 2 // 3],
        good.replace(f'"userId":"{user}",'.encode(), b""),
        good.replace(b'"status":2', b'"status":"done"'),
        studied(user, "do_310000000000000000000", [(content, Status.COMPLETED)], at),
    ]


def request(actor: str, about: str, kind: str, edata: Mapping[str, object], at: datetime) -> bytes:
    """The common envelope."""
    millis = milliseconds(at)
    return _encode(
        {
            "eid": "BE_JOB_REQUEST",
            "ets": millis,
            "mid": f"LP.{millis}.{about}",
            "actor": {"id": actor, "type": "System"},
            "context": {"pdata": {"ver": "1.0", "id": "org.sunbird.platform"}},
            "object": {"id": about, "type": kind},
            "edata": edata,
        }
    )
