"""One term: the demo plays the platform around the jobs.

The course service sends its message first and then writes what it knows to its tables (contracts, section 2). Here both
are one transaction, so that the same seed gives the same tables. Time is the story's, week after week up to the present,
so that the dates in the tables are those of a term.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from lern import bootstrap
from lern.adapters.embedded import Embedded
from lern.demo import messages
from lern.demo.background import Jobs, jobs_at_work
from lern.demo.course import BATCH, Course
from lern.demo.learners import WEEKS, Learner, Study, weeks
from lern.domain.model import Status
from lern.job import Message
from lern.jobs import activity_aggregate_updater, relation_cache_updater
from lern.settings.model import JobSettings

_AT_ONCE = 500
"""Learners whose week is written in one transaction."""
_MALFORMED_WEEK = 4
_PROGRESS = {Status.IN_PROGRESS: 40, Status.COMPLETED: 100}

Show = Callable[[str, float], None]
"""Told what is going on, and which share of the term is over."""
_Event = tuple[bytes | None, bytes]
"""Key and value of a message."""
_Row = dict[str, object]


@dataclass(slots=True)
class Sent:
    """What the learners' apps told, and how long the jobs had to do with it."""

    messages: int = 0
    completed: int = 0
    """Contents completed for the first time."""
    repeated: int = 0
    """Contents that were completed once more."""
    opened: int = 0
    """Contents that were opened."""
    malformed: int = 0
    """Messages that cannot be handled."""
    seconds: float = 0.0
    """From the moment when messages lay in the topic until all their effects were in place."""


@dataclass(frozen=True, slots=True)
class Story:
    """Who studies what, and when."""

    seed: int
    course: Course
    learners: Sequence[Learner]
    begin: datetime = field(default_factory=lambda: _midnight() - timedelta(weeks=WEEKS))

    def moment(self, week: int, seconds: float = 0.0) -> datetime:
        """A time in a week, counted from 1; whole milliseconds."""
        return self.begin + timedelta(weeks=week - 1, milliseconds=round(seconds * 1000))

    def week(self, moment: datetime) -> int:
        """The week in which a time is, counted from 1."""
        return (moment - self.begin) // timedelta(weeks=1) + 1


def play(settings: Mapping[str, JobSettings], story: Story, stop: threading.Event, show: Show) -> Sent:
    """Publishes the course, enrols the learners, lets them study. Raises Interrupted once `stop` is set."""
    installation = bootstrap.install(settings)
    embedded = next(iter(settings.values())).embedded
    platform = Embedded(embedded.file, embedded.partitions)
    try:
        installation.create_schema(1, embedded.partitions)
        with jobs_at_work(installation, settings, stop) as jobs:
            term = _Term(settings, story, platform, jobs)
            term.publish()
            term.enrol()
            term.study(show)
            return term.sent
    finally:
        platform.close()
        installation.close()


class _Term:
    """The platform's part, step by step; after each the jobs have done theirs."""

    def __init__(
        self, settings: Mapping[str, JobSettings], story: Story, platform: Embedded, jobs: Jobs
    ) -> None:
        self.sent = Sent()
        self._settings = settings
        self._story = story
        self._platform = platform
        self._jobs = jobs

    def publish(self) -> None:
        """Stores the course and says so; its contents were published one by one before."""
        course, at = self._story.course, self._story.begin
        self._jobs.now = at
        events = [messages.published(node, at) for node in (*course.contents, course.root)]
        events.append(messages.malformed_publication(course, at))
        with self._platform.transaction():
            row = {"identifier": course.identifier, "hierarchy": course.hierarchy}
            self._platform.put("content_hierarchy", row)
            self._send(relation_cache_updater.JOB.name, [(None, event) for event in events])
        self._jobs.wait()

    def enrol(self) -> None:
        """Enrols all learners in the batch; no job has to do with that."""
        at = self._story.begin
        with self._platform.transaction():
            for learner in self._story.learners:
                self._platform.put(
                    "user_enrolments",
                    {
                        **_key(learner, self._story.course),
                        "active": True,
                        "addedby": learner.user,
                        "enrolled_date": at,
                        "enrolleddate": _text(at),
                        "progress": 0,
                        "status": int(Status.NOT_STARTED),
                    },
                )

    def study(self, show: Show) -> None:
        """Lets all learners study, week by week."""
        story = self._story
        diaries = [weeks(story.seed, learner, story.course) for learner in story.learners]
        groups = [diaries[at : at + _AT_ONCE] for at in range(0, len(diaries), _AT_ONCE)]
        for week in range(1, WEEKS + 1):
            self._jobs.now = story.moment(week + 1, -1.0)
            for number, group in enumerate(groups):
                show(f"week {week} of {WEEKS}", (week - 1 + number / len(groups)) / WEEKS)
                studies = sorted((study for diary in group for study in next(diary)), key=_at)
                malformed = week == _MALFORMED_WEEK and number == 0
                self._tell(week, studies, malformed=malformed)
        show("done", 1.0)

    def _tell(self, week: int, studies: Sequence[Study], *, malformed: bool) -> None:
        """Sends what the apps of some learners tell in a week, and waits until the jobs have seen to it."""
        story, course = self._story, self._story.course
        events: list[_Event] = []
        with self._platform.transaction():
            for study in studies:
                user, at = study.learner.user, story.moment(week, study.at)
                events.append((user.encode(), messages.studied(user, course.identifier, study.contents, at)))
            if malformed:
                user = story.learners[0].user
                wrong = messages.malformed_studies(user, course, story.moment(week))
                events += [(user.encode(), event) for event in wrong]
                self.sent.malformed += len(wrong)
            self._send(activity_aggregate_updater.JOB.name, events)
            for table, rows in self._rows(week, studies).items():
                for row in rows:
                    self._platform.put(table, row)
        self._count(studies)
        self.sent.messages += len(events)
        self.sent.seconds += self._jobs.wait()

    def _send(self, job: str, events: Sequence[_Event]) -> None:
        topic = self._settings[job].topics.input
        self._platform.log().send([Message(topic, key, event) for key, event in events])
        self._jobs.expect(job, len(events))

    def _rows(self, week: int, studies: Sequence[Study]) -> dict[str, list[_Row]]:
        """The rows that the course service writes itself, as they are at the end of the week."""
        contents: dict[tuple[str, str], _Row] = {}
        enrolments: dict[str, _Row] = {}
        for study in studies:
            user, at = study.learner.user, self._story.moment(week, study.at)
            key = _key(study.learner, self._story.course)
            for content, status in study.contents:
                contents[user, content] = (
                    contents.get((user, content), {}) | _consumed(content, status, at) | key
                )
            content, status = study.contents[-1]
            enrolments[user] = {
                **key,
                "lastreadcontentid": content,
                "lastreadcontentstatus": int(status),
                "lastcontentaccesstime": at,
            }
        return {
            "user_content_consumption": list(contents.values()),
            "user_enrolments": list(enrolments.values()),
        }

    def _count(self, studies: Sequence[Study]) -> None:
        for study in studies:
            completed = sum(status is Status.COMPLETED for _, status in study.contents)
            self.sent.completed += completed - study.repeated
            self.sent.repeated += study.repeated
            self.sent.opened += len(study.contents) - completed


def _consumed(content: str, status: Status, at: datetime) -> _Row:
    """What the course service writes of one content; view counts are the jobs' business."""
    row: _Row = {
        "contentid": content,
        "status": int(status),
        "progress": _PROGRESS[status],
        "datetime": at,
        "last_access_time": at,
        "lastaccesstime": _text(at),
        "last_updated_time": at,
        "lastupdatedtime": _text(at),
    }
    if status is Status.COMPLETED:
        row |= {"last_completed_time": at, "lastcompletedtime": _text(at)}
    return row


def _at(study: Study) -> float:
    return study.at


def _key(learner: Learner, course: Course) -> _Row:
    return {"userid": learner.user, "courseid": course.identifier, "batchid": BATCH}


def _text(moment: datetime) -> str:
    """A time as the course service writes it into its text columns (contracts, section 4)."""
    return f"{moment:%Y-%m-%d %H:%M:%S}:{moment.microsecond // 1000:03d}+0000"


def _midnight() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
