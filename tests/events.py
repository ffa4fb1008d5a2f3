"""What tests send: messages as the platform's services produce them, and the settings and times of the jobs."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import count

from lern.job import Context, Record
from lern.settings.model import (
    ActivitySettings,
    AssessmentSettings,
    BatchSettings,
    JobSettings,
    Profile,
    Topics,
)

NOW = datetime(2024, 3, 1, 10, 0, 0, 123000, tzinfo=UTC)
COLLECTION = "application/vnd.ekstep.content-collection"

Json = dict[str, object]


def request(edata: Json) -> bytes:
    """A job request as it comes: an envelope of which only `edata` is needed."""
    return json.dumps(
        {
            "eid": "BE_JOB_REQUEST",
            "ets": 1709287200123,
            "mid": "LP.1709287200123.1",
            "actor": {"id": "Course Batch Updater", "type": "System"},
            "context": {"pdata": {"id": "org.sunbird.platform", "ver": "1.0"}},
            "object": {"id": "batch_1_user_1", "type": "CourseBatchEnrolment"},
            "edata": {"iteration": 1, **edata},
        }
    ).encode()


def update(
    *completed: str, user: str = "user_1", course: str = "course_1", batch: str = "batch_1", status: int = 2
) -> bytes:
    """An update of a learner's contents, all with one status."""
    return request(
        {
            "action": "batch-enrolment-update",
            "userId": user,
            "courseId": course,
            "batchId": batch,
            "contents": [{"contentId": content, "status": status} for content in completed],
        }
    )


def sync(user: str = "user_1", course: str = "course_1", batch: str = "batch_1") -> bytes:
    """A request to compute a learner's progress again."""
    return request(
        {
            "action": "batch-enrolment-sync",
            "userId": user,
            "courseId": course,
            "batchId": batch,
            "reset": ["completionPercentage", "status", "progress"],
        }
    )


def merge(source: str = "user_1", target: str = "user_2") -> bytes:
    """A person keeps the second of two accounts."""
    return request(
        {
            "action": "merge-user-courses-and-cert",
            "fromAccountId": source,
            "toAccountId": target,
            "rootOrgId": "org_1",
        }
    )


def user_sync(user: str = "user_1", course: str = "course_1", batch: str = "batch_1") -> bytes:
    """A learner says that the progress shown is wrong."""
    return request({"action": "user-enrolment-sync", "userId": user, "courseId": course, "batchId": batch})


def publish(course: str = "course_1", mime_type: str = COLLECTION) -> bytes:
    """A content or collection has been published."""
    return request(
        {
            "action": "post-publish-process",
            "identifier": course,
            "mimeType": mime_type,
            "contentType": "Course",
            "name": "Fractions",
            "status": "Live",
            "pkgVersion": 3.0,
        }
    )


def answer(question: str = "q1", score: object = 1, maximum: object = 2, ets: object = 1709287100000) -> Json:
    """One ASSESS event: the answer to a question."""
    return {
        "eid": "ASSESS",
        "ets": ets,
        "ver": "3.1",
        "mid": "ASSESS:1",
        "actor": {"id": "user_1", "type": "User"},
        "edata": {
            "index": 1,
            "item": {
                "id": question,
                "maxscore": maximum,
                "type": "mcq",
                "title": f"Title of {question}",
                "desc": "",
                "params": [{"1": '{"text":"A"}'}, {"answer": '{"correct":["1"]}'}],
            },
            "pass": "Yes",
            "score": score,
            "resvalues": [{"1": '{"text":"A"}'}],
            "duration": 4,
        },
    }


def assessment(
    *answers: Json,
    content: str = "quiz_1",
    attempt: str = "attempt_1",
    at: object = 1709287150000,
    user: str = "user_1",
    batch: str = "batch_1",
    course: str = "course_1",
    **fields: object,
) -> bytes:
    """An attempt at an assessment, made `at` so many milliseconds after 1970 began."""
    event: Json = {
        "assessmentTs": at,
        "batchId": batch,
        "courseId": course,
        "userId": user,
        "attemptId": attempt,
        "contentId": content,
        "events": list(answers),
    }
    return json.dumps(event | fields).encode()


def records(values: Sequence[bytes], first: int = 0, topic: str = "in", partition: int = 0) -> list[Record]:
    """Messages one behind the other in one partition."""
    return [Record(topic, partition, first + number, b"key", value) for number, value in enumerate(values)]


def settings(
    job: str = "activity-aggregate-updater",
    *,
    batch: BatchSettings | None = None,
    topics: Topics | None = None,
    dedup: bool = True,
    filtered: bool = True,
    modules: bool = True,
    assessments: AssessmentSettings | None = None,
) -> JobSettings:
    """Settings of a job without any server."""
    return JobSettings(
        job=job,
        env="test",
        profile=Profile.EMBEDDED,
        group=job,
        topics=topics or Topics("in", "failed", "audit", "certificates", "syncs"),
        kafka=None,
        cassandra=None,
        redis=None,
        batch=batch or BatchSettings(),
        activity=ActivitySettings(
            input_dedup=dedup, filter_processed_enrolments=filtered, module_aggregates=modules
        ),
        assessment=assessments or AssessmentSettings(),
    )


def context(of: JobSettings | None = None, now: datetime = NOW) -> Context:
    """A context whose ids count up."""
    return Context(of or settings(), now, ids())


def ids() -> Callable[[], str]:
    """Ids in UUID form, one after the other."""
    numbers = count(1)
    return lambda: f"00000000-0000-4000-8000-{next(numbers):012d}"
