"""What the platform's services send to the jobs, and what the jobs have to send on, written out in full."""

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tests.conformance.servers import Json

COLLECTION = "application/vnd.ekstep.content-collection"


class Learner(NamedTuple):
    """One enrolment."""

    user: str
    course: str
    batch: str


def update(learner: Learner, contents: Mapping[str, object] | Sequence[Json], **edata: object) -> bytes:
    """`batch-enrolment-update`: content ids with their statuses."""
    listed = (
        [{"contentId": content, "status": status} for content, status in contents.items()]
        if isinstance(contents, Mapping)
        else list(contents)
    )
    return _request(
        learner, {"contents": listed, "action": "batch-enrolment-update", "iteration": 1, **edata}
    )


def sync(learner: Learner) -> bytes:
    """`batch-enrolment-sync`, as the merge of two accounts sends it."""
    reset = ["completionPercentage", "status", "progress"]
    return _request(learner, {"action": "batch-enrolment-sync", "iteration": 1, "reset": reset})


def user_sync(learner: Learner, action: str = "user-enrolment-sync") -> bytes:
    """`user-enrolment-sync`: the learner says that the progress shown is wrong."""
    return _request(learner, {"action": action, "iteration": 1})


def _request(learner: Learner, edata: Json) -> bytes:
    return json.dumps(
        {
            "eid": "BE_JOB_REQUEST",
            "ets": 1683617553712,
            "mid": f"LP.1683617553712.{uuid.uuid4()}",
            "actor": {"type": "System", "id": "Course Batch Updater"},
            "context": {"pdata": {"ver": "1.0", "id": "org.sunbird.platform"}},
            "object": {"type": "CourseBatchEnrolment", "id": f"{learner.batch}_{learner.user}"},
            "edata": {
                "batchId": learner.batch,
                "userId": learner.user,
                "courseId": learner.course,
            }
            | edata,
        }
    ).encode()


def published(course: str, **edata: object) -> bytes:
    """`post-publish-process`."""
    return json.dumps(
        {
            "eid": "BE_JOB_REQUEST",
            "ets": 1649170015935,
            "mid": "LP.1649170015935.2a7382ff-8bc9-4ff5-8620-2d467cf8990a",
            "actor": {"id": "Post Publish Processor", "type": "System"},
            "context": {
                "pdata": {"ver": "1.0", "id": "org.sunbird.platform"},
                "channel": "01272777697873100812",
                "env": "sunbirdstaging",
            },
            "object": {"ver": "1649169952265", "id": course},
            "edata": {
                "action": "post-publish-process",
                "iteration": 1,
                "identifier": course,
                "channel": "01272777697873100812",
                "mimeType": COLLECTION,
                "contentType": "Course",
                "pkgVersion": 1,
                "status": "Live",
                "name": "CourseMTimmothy",
                "trackable": {"enabled": "Yes", "autoBatch": "No"},
            }
            | edata,
        }
    ).encode()


def answer(
    question: str, score: object, maximum: object, ets: object = 1675000000000, **item: object
) -> Json:
    """ASSESS telemetry as the player sends it; `item` are other fields of `edata.item`."""
    return {
        "eid": "ASSESS",
        "ets": ets,
        "ver": "3.1",
        "mid": f"ASSESS:{uuid.uuid4()}",
        "actor": {"id": "ff1c4bdf-27e2-49bc-a53f-6e304bb3a87f", "type": "User"},
        "context": {
            "channel": "0124784842112040965",
            "pdata": {"id": "staging.sunbird.portal", "ver": "2.8.0", "pid": "sunbird-portal.contentplayer"},
            "env": "contentplayer",
            "sid": "wqmQpaYc9mRD6jdU6NOWuBTEyGMPXFEe",
            "did": "a08946e8b72abfeeff6642f245d470cb",
            "cdata": [{"id": "d0c2ba2b2bcb7a6a5ba6d7e7cc1ec3b2", "type": "AttemptId"}],
            "rollup": {"l1": "do_2128415652377067521125"},
        },
        "object": {"id": "do_2128373396098744321673", "type": "Content", "ver": "1", "rollup": {}},
        "tags": [],
        "edata": {
            "index": 1,
            "item": {
                "id": question,
                "maxscore": maximum,
                "type": "mcq",
                "exlength": 0,
                "uri": "",
                "title": f"Title of {question}",
                "desc": "",
                "mmc": [],
                "mc": [],
                "params": [
                    {"1": '{"text":"2\\n"}'},
                    {"2": '{"text":"4\\n"}'},
                    {"answer": '{"correct":["1"]}'},
                ],
            }
            | item,
            "pass": "No",
            "score": score,
            "resvalues": [{"2": '{"text":"4\\n"}'}],
            "duration": 3,
        },
    }


def assessed(learner: Learner, content: str, attempt: str, at: object, events: object) -> bytes:
    """One attempt at an assessment, as the course service passes it on."""
    return json.dumps(
        {
            "assessmentTs": at,
            "batchId": learner.batch,
            "courseId": learner.course,
            "userId": learner.user,
            "attemptId": attempt,
            "contentId": content,
            "events": events,
        }
    ).encode()


UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def audit_of_content(learner: Learner, content: str, kind: str) -> Json:
    """AUDIT `start` or `complete`, without what is random or of the moment."""
    props = {"start": ["viewcount"], "complete": ["viewcount", "completedcount"]}[kind]
    return _audit(
        learner,
        {"id": content, "type": "Content", "rollup": {"l1": learner.course}},
        {"type": kind, "props": props},
        [{"type": "CourseBatch", "id": learner.batch}],
    )


def audit_of_completion(learner: Learner) -> Json:
    """AUDIT `enrol-complete`."""
    return _audit(
        learner,
        {"id": learner.user, "type": "User", "rollup": {"l1": learner.course}},
        {"type": "enrol-complete", "props": ["status", "completedon"]},
        [{"type": "CourseBatch", "id": learner.batch}, {"type": "Course", "id": learner.course}],
    )


def _audit(learner: Learner, about: Json, edata: Json, correlation: list[Json]) -> Json:
    return {
        "eid": "AUDIT",
        "ver": "3.0",
        "tags": [],
        "actor": {"id": learner.user, "type": "User"},
        "object": about,
        "edata": edata,
        "context": {
            "channel": "in.sunbird",
            "env": "Course",
            "pdata": {
                "ver": "3.0",
                "id": "org.sunbird.learning.platform",
                "pid": "course-progress-updater",
            },
            "cdata": correlation,
        },
    }


def certificate_request(learner: Learner) -> Json:
    """A request to issue a certificate."""
    return {
        "eid": "BE_JOB_REQUEST",
        "actor": {"id": "Course Certificate Generator", "type": "System"},
        "context": {"pdata": {"ver": "1.0", "id": "org.sunbird.platform"}},
        "object": {"id": f"{learner.batch}_{learner.course}", "type": "CourseCertificateGeneration"},
        "edata": {
            "userIds": [learner.user],
            "action": "issue-certificate",
            "iteration": 1,
            "trigger": "auto-issue",
            "batchId": learner.batch,
            "reIssue": False,
            "courseId": learner.course,
        },
    }


def without_moment(event: Json, now_ms: int) -> Json:
    """An event without what is random or of the moment, all of which must be well formed."""
    rest = {name: value for name, value in event.items() if name not in {"ets", "syncts", "mid"}}
    assert isinstance(event["ets"], int)
    assert abs(event["ets"] - now_ms) < 120_000
    if event["eid"] == "AUDIT":
        assert event["syncts"] == event["ets"]
        assert re.fullmatch(rf"LP\.AUDIT\.{UUID}", event["mid"])
        context = dict(event["context"])
        assert context.pop("sid")
        assert re.fullmatch(UUID, context.pop("did"))
        return rest | {"context": context}
    assert re.fullmatch(rf"LP\.{event['ets']}\.{UUID}", event["mid"])
    assert "syncts" not in event
    return rest


def audit_names(events: Sequence[Json]) -> list[tuple[str, str]]:
    """What is audited about what, sorted."""
    return sorted((event["edata"]["type"], event["object"]["id"]) for event in events)


def account_merge(source: object, target: object, **edata: object) -> bytes:
    """`merge-user-courses-and-cert`, as the user service sends it."""
    accounts = {"fromAccountId": source, "toAccountId": target, "rootOrgId": "org1"}
    return json.dumps(
        {
            "eid": "BE_JOB_REQUEST",
            "ets": 1683617553712,
            "mid": f"LP.1683617553712.{uuid.uuid4()}",
            "actor": {"type": "System", "id": "Merge User Courses"},
            "context": {"pdata": {"ver": "1.0", "id": "org.sunbird.platform"}},
            "object": {"type": "MergeUserCoursesAndCert", "id": f"{source}_{target}"},
            "edata": {"action": "merge-user-courses-and-cert", "iteration": 1} | accounts | edata,
        }
    ).encode()
