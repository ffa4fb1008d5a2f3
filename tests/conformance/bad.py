"""Messages that are wrong, and what must become of each."""

import json
from dataclasses import dataclass
from enum import Enum

from tests.conformance.events import Learner, answer, assessed, published, update, user_sync
from tests.conformance.servers import Json

PERSON = "Asha Kumari 9876543210"
"""Stands in bad messages; no log line may repeat it."""


class Fate(Enum):
    """How a message ends."""

    RAW = "failed record with the text"
    BASE64 = "failed record with the bytes as base64"
    OBJECT = "failed record with the fields"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Bad:
    """One message."""

    name: str
    value: bytes
    fate: Fate
    field: str = ""
    """What the reason names."""


def _nested(depth: int) -> str:
    return "[" * depth + "]" * depth


_NO_JSON = [
    Bad("text", b"hello " + PERSON.encode(), Fate.RAW),
    Bad(
        "half of an object",
        b'{"edata": {"action": "batch-enrolment-update", "userId": "Asha Kumari',
        Fate.RAW,
    ),
    Bad("two objects", b"{}{}", Fate.RAW),
    Bad("single quotes", b"{'edata': 'Asha Kumari 9876543210'}", Fate.RAW),
    Bad("NUL bytes", b"\x00\x00\x00", Fate.RAW),
    Bad("invalid UTF-8", b'{"edata": "\xff\xfe\x80"}', Fate.BASE64),
    Bad("UTF-16", '{"edata": {}}'.encode("utf-16"), Fate.BASE64),
    Bad("byte order mark", b'\xef\xbb\xbf{"edata": {"action": "x"}}', Fate.RAW),
    Bad("lone surrogate escaped wrongly", b'{"edata": "\\ud800"}', Fate.RAW),
    Bad("nested 10,000 deep", _nested(10_000).encode(), Fate.RAW),
    Bad("never closed, 100,000 deep", b"[" * 100_000, Fate.RAW),
    Bad("NaN", b'{"edata": NaN}', Fate.RAW),
    Bad("1 MB of text", b"x" * 1_000_000, Fate.RAW),
    Bad("null", b"null", Fate.RAW),
    Bad("true", b"true", Fate.RAW),
    Bad("number", b"42", Fate.RAW),
    Bad("huge number", b"9" * 5000, Fate.RAW),
    Bad("text document", b'"batch-enrolment-update"', Fate.RAW),
    Bad("list", b'[{"edata": {"action": "batch-enrolment-update"}}]', Fate.RAW),
]

_NO_EVENT = [
    Bad("empty object", b"{}", Fate.OBJECT, "edata"),
    Bad("edata null", b'{"edata": null}', Fate.OBJECT, "edata"),
    Bad("edata text", b'{"edata": "Asha Kumari 9876543210"}', Fate.OBJECT, "edata"),
    Bad("edata list", b'{"edata": []}', Fate.OBJECT, "edata"),
    Bad("no action", b'{"edata": {"userId": "u"}}', Fate.OBJECT, "edata.action"),
    Bad("action null", b'{"edata": {"action": null}}', Fate.OBJECT, "edata.action"),
    Bad("action list", b'{"edata": {"action": ["batch-enrolment-update"]}}', Fate.OBJECT, "edata.action"),
    Bad("edata nested deep", b'{"edata": {"action": ' + _nested(10_000).encode() + b"}}", Fate.RAW),
    Bad("unknown action", b'{"edata": {"action": "something-else"}}', Fate.SKIPPED),
    Bad(
        "action of another job", b'{"edata": {"action": "issue-certificate", "userIds": ["u"]}}', Fate.SKIPPED
    ),
    Bad("blank action", b'{"edata": {"action": ""}}', Fate.SKIPPED),
]


def of_activity(learner: Learner) -> list[Bad]:
    """Wrong messages on the topic of course batches; those with a learner have this one."""

    def edata(**changes: object) -> bytes:
        event = json.loads(update(learner, {"c1": 2}))
        event["edata"] |= changes
        event["edata"] = {name: value for name, value in event["edata"].items() if value is not _LEFT_OUT}
        return json.dumps(event).encode()

    def contents(*listed: object) -> bytes:
        return edata(contents=[*listed])

    return [
        *_NO_JSON,
        *_NO_EVENT,
        *(
            Bad(f"{name} {kind}", edata(**{name: value}), Fate.OBJECT, f"edata.{name}")
            for name in ("userId", "courseId", "batchId", "contents")
            for kind, value in {"missing": _LEFT_OUT, "null": None, "number": 7, "object": {"a": 1}}.items()
        ),
        *(
            Bad(f"{name} {kind}", edata(**{name: value}), Fate.OBJECT, f"edata.{name}")
            for name in ("userId", "courseId", "batchId")
            for kind, value in {
                "blank": "  ",
                "empty": "",
                "with NUL": "a\x00b",
                "of 1 MB": "u" * 900_000,
            }.items()
        ),
        Bad("contents text", edata(contents="c1"), Fate.OBJECT, "edata.contents"),
        Bad("content null", contents(None), Fate.OBJECT, "edata.contents"),
        Bad("content text", contents("c1"), Fate.OBJECT, "edata.contents"),
        Bad("no content id", contents({"status": 2}), Fate.OBJECT, "contentId"),
        Bad("content id number", contents({"contentId": 5, "status": 2}), Fate.OBJECT, "contentId"),
        Bad("content id blank", contents({"contentId": " ", "status": 2}), Fate.OBJECT, "contentId"),
        Bad("no status", contents({"contentId": "c1"}), Fate.OBJECT, "status"),
        Bad("status null", contents({"contentId": "c1", "status": None}), Fate.OBJECT, "status"),
        Bad("status word", contents({"contentId": "c1", "status": PERSON}), Fate.OBJECT, "status"),
        Bad("status fraction", contents({"contentId": "c1", "status": 2.5}), Fate.OBJECT, "status"),
        Bad("one of two wrong", contents({"contentId": "c1", "status": 2}, {}), Fate.OBJECT, "contents"),
        Bad("status 2**80", contents({"contentId": "c1", "status": 2**80}), Fate.SKIPPED),
        Bad(
            "sync without user", b'{"edata": {"action": "batch-enrolment-sync"}}', Fate.OBJECT, "edata.userId"
        ),
    ]


def of_reconciliation(learner: Learner) -> list[Bad]:
    """Wrong messages on the topic of enrolment syncs; those with a learner have this one."""

    def edata(**changes: object) -> bytes:
        event = json.loads(user_sync(learner))
        event["edata"] |= changes
        event["edata"] = {name: value for name, value in event["edata"].items() if value is not _LEFT_OUT}
        return json.dumps(event).encode()

    wrong = {
        "missing": _LEFT_OUT,
        "null": None,
        "number": 7,
        "list": ["u"],
        "blank": "  ",
        "with NUL": "a\x00b",
    }
    return [
        *_NO_JSON,
        *_NO_EVENT,
        *(
            Bad(f"{name} {kind}", edata(**{name: value}), Fate.OBJECT, f"edata.{name}")
            for name in ("userId", "courseId", "batchId")
            for kind, value in wrong.items()
        ),
        Bad("sync of the updater", edata(action="batch-enrolment-sync"), Fate.SKIPPED),
        Bad("update", update(learner, {"c1": 2}), Fate.SKIPPED),
    ]


def of_relations(course: str) -> list[Bad]:
    """Wrong messages on the topic of published contents; those with a course have this one."""

    def edata(**changes: object) -> bytes:
        event = json.loads(published(course))
        event["edata"] |= changes
        event["edata"] = {name: value for name, value in event["edata"].items() if value is not _LEFT_OUT}
        return json.dumps(event).encode()

    return [
        *_NO_JSON,
        *_NO_EVENT,
        *(
            Bad(f"identifier {kind}", edata(identifier=value), Fate.OBJECT, "edata.identifier")
            for kind, value in {
                "missing": _LEFT_OUT,
                "null": None,
                "number": 7,
                "list": ["do_1"],
            }.items()
        ),
        Bad("mime type number", edata(mimeType=7), Fate.OBJECT, "edata.mimeType"),
        Bad("identifier of 100 KB", edata(identifier="x" * 100_000), Fate.OBJECT),
        Bad("identifier with NUL", edata(identifier="a\x00b"), Fate.OBJECT, "edata.identifier"),
        Bad("identifier blank", edata(identifier=" "), Fate.SKIPPED),
        Bad("video", edata(mimeType="video/mp4"), Fate.SKIPPED),
    ]


def of_assessment(learner: Learner) -> list[Bad]:
    """Wrong messages on the topic of attempts; those with a learner have this one."""

    def attempt(**changes: object) -> bytes:
        event = json.loads(assessed(learner, "quiz", "a1", 1675000000000, [answer("q1", 1, 1)])) | changes
        return json.dumps({name: value for name, value in event.items() if value is not _LEFT_OUT}).encode()

    def event(path: str, value: object) -> bytes:
        """An attempt whose second answer has another value, or none, at a path."""
        wrong = json.loads(json.dumps(answer("q2", 1, 1)))
        *above, name = path.split(".")
        inner = wrong
        for part in above:
            inner = inner[part]
        inner[name] = value
        if value is _LEFT_OUT:
            del inner[name]
        return attempt(events=[answer("q1", 1, 1), wrong])

    names = ("assessmentTs", "batchId", "courseId", "userId", "attemptId", "contentId")
    answers = ("ets", "edata", "edata.score", "edata.item", "edata.item.id", "edata.item.maxscore")
    kinds = {"missing": _LEFT_OUT, "null": None, "boolean": True, "list": [PERSON], "object": {"a": PERSON}}
    return [
        *_NO_JSON,
        Bad("empty object", b"{}", Fate.OBJECT, "assessmentTs"),
        Bad("an envelope", update(learner, {"c1": 2}), Fate.OBJECT, "assessmentTs"),
        *(
            Bad(f"{name} {kind}", attempt(**{name: value}), Fate.OBJECT, name)
            for name in names
            for kind, value in kinds.items()
        ),
        *(
            Bad(f"{name} {kind}", attempt(**{name: value}), Fate.OBJECT, name)
            for name in names[1:]
            for kind, value in {
                "number": 7,
                "blank": " ",
                "with NUL": "a\x00b",
                "of 1 MB": "u" * 900_000,
            }.items()
        ),
        *(
            Bad(f"answer without {path}: {kind}", event(path, value), Fate.OBJECT, f"events[1].{path}")
            for path in answers
            for kind, value in kinds.items()
            if not (path in ("edata", "edata.item") and kind == "object")
        ),
        Bad("time in words", attempt(assessmentTs=PERSON), Fate.OBJECT, "assessmentTs"),
        Bad("time before 1970", attempt(assessmentTs=-1), Fate.OBJECT, "assessmentTs"),
        Bad("time beyond the calendar", attempt(assessmentTs=10**18), Fate.OBJECT, "assessmentTs"),
        Bad("score in words", event("edata.score", PERSON), Fate.OBJECT, "events[1].edata.score"),
        Bad("score not a number", event("edata.score", "NaN"), Fate.OBJECT, "events[1].edata.score"),
        Bad("score without end", event("edata.score", "1e400"), Fate.OBJECT, "events[1].edata.score"),
        Bad("duration in words", event("edata.duration", PERSON), Fate.OBJECT, "events[1].edata.duration"),
        Bad("answers no list", event("edata.resvalues", PERSON), Fate.OBJECT, "events[1].edata.resvalues"),
        Bad(
            "answers no maps", event("edata.resvalues", [PERSON]), Fate.OBJECT, "events[1].edata.resvalues[0]"
        ),
        Bad(
            "choices no maps", event("edata.item.params", [7]), Fate.OBJECT, "events[1].edata.item.params[0]"
        ),
        Bad("events text", attempt(events=PERSON), Fate.OBJECT, "events"),
        Bad("events of texts", attempt(events=[PERSON]), Fate.OBJECT, "events[0]"),
    ]


_LEFT_OUT: Json = {"left": "out"}
