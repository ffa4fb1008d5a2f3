"""One term: the demo plays the platform around the jobs.

The course service sends its message first and then writes what it knows to its tables (contracts, section 2). Here both
are one transaction, so that the same seed gives the same tables. Time is the story's, week after week up to the present,
so that the dates in the tables are those of a term.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

from lern import bootstrap
from lern.adapters.embedded import Embedded
from lern.demo import damage, merging, messages, mistakes
from lern.demo.background import Jobs, jobs_at_work
from lern.demo.learners import WEEKS, Learner, Study, weeks
from lern.demo.quiz_messages import assessed, rescored
from lern.demo.quizzes import Attempt, attempts, quizzes
from lern.demo.rows import enrolled, enrolment_key, studied_rows
from lern.demo.story import Merged, Repair, Sent, Story
from lern.domain.model import Status
from lern.job import Message
from lern.jobs import (
    activity_aggregate_updater,
    assessment_aggregator,
    enrolment_reconciliation,
    merge_user_courses,
    relation_cache_updater,
)
from lern.settings.model import JobSettings

_AT_ONCE = 500
"""Learners whose week is written in one transaction."""
_MALFORMED_WEEK = 4
_EVENING = -600.0
"""Seconds from the end of a week at which things happen that are no study."""

Show = Callable[[str, float], None]
"""Told what is going on, and which share of the term is over."""
_Event = tuple[bytes | None, bytes]
"""Key and value of a message."""


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
            term.sent.messages, term.sent.seconds = jobs.messages, jobs.seconds
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
        self._quizzes = quizzes(story.seed, story.course)
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
        story = self._story
        with self._platform.transaction():
            for learner in story.learners:
                self._platform.put("user_enrolments", enrolled(learner, story.course, story.begin))

    def study(self, show: Show) -> None:
        """Lets all learners study, week by week, and other things happen."""
        story, merge = self._story, self._story.merge
        done = merging.done_with_the_old(story.seed, merge, story.course) if merge else ()
        diaries = [
            weeks(story.seed, one, story.course, done if merge and one == merge.new else ())
            for one in story.learners
        ]
        groups = [diaries[at : at + _AT_ONCE] for at in range(0, len(diaries), _AT_ONCE)]
        for week in range(1, WEEKS + 1):
            self._jobs.now = story.moment(week + 1, -1.0)
            for number, group in enumerate(groups):
                show(f"week {week} of {WEEKS}", (week - 1 + number / len(groups)) / WEEKS)
                each = [next(diary) for diary in group]
                studies = sorted((study for own in each for study in own), key=_at)
                tried = sorted(
                    (one for own in each for one in attempts(story.seed, own, self._quizzes)), key=_at
                )
                malformed = week == _MALFORMED_WEEK and number == 0
                self._tell(week, studies, tried, malformed=malformed)
            if week == damage.WEEK:
                self._lose_and_repair(story.moment(week + 1, _EVENING))
            if week == merging.WEEK:
                self._merge(story.moment(week + 1, _EVENING))
        show("done", 1.0)

    def _tell(
        self, week: int, studies: Sequence[Study], tried: Sequence[Attempt], *, malformed: bool
    ) -> None:
        """Sends what the apps of some learners tell in a week, and waits until the jobs have seen to it."""
        moment = partial(self._story.moment, week)
        reports = self._reports(studies, moment)
        if malformed:
            learner = self._story.learners[0]
            wrong = messages.malformed_studies(learner.user, self._story.course, moment())
            reports += _from(learner, wrong)
            self.sent.malformed += len(wrong)
        answers = self._answers(tried, moment)
        self._count(studies)
        self.sent.reports += len(reports)
        self.sent.attempts += len(tried)
        with self._platform.transaction():
            self._send(activity_aggregate_updater.JOB.name, reports)
            self._send(assessment_aggregator.JOB.name, answers)
            for table, row in studied_rows(studies, self._story.course, moment):
                self._platform.put(table, row)
        self._jobs.wait()

    def _reports(self, studies: Sequence[Study], moment: Callable[[float], datetime]) -> list[_Event]:
        course = self._story.course.identifier
        return [
            (study.learner.user.encode(), messages.studied(study.learner.user, course, study.contents, at))
            for study, at in ((study, moment(study.at)) for study in studies)
        ]

    def _answers(self, tried: Sequence[Attempt], moment: Callable[[float], datetime]) -> list[_Event]:
        """The attempts; the first ones of the term come with some that are wrong."""
        course = self._story.course
        events: list[_Event] = [
            (one.learner.user.encode(), assessed(one, course.identifier, moment(one.at))) for one in tried
        ]
        if tried and not self.sent.attempts:
            first = tried[0]
            events += _from(first.learner, mistakes.malformed_attempts(first, course, moment(first.at)))
        return events

    def _lose_and_repair(self, at: datetime) -> None:
        """Damages the progress of one learner, and asks for it to be computed again."""
        course, learner = self._story.course, damage.victim(self._story.learners)
        before = self._progress(learner)
        requests = [damage.repair(learner, course, at), *mistakes.malformed_repairs(learner, course, at)]
        scores = rescored(learner.user, course.identifier, next(iter(self._quizzes.values())), at)
        with self._platform.transaction():
            for table, row in damage.damaged_rows(learner, course, at):
                self._platform.put(table, row)
            self._send(enrolment_reconciliation.JOB.name, _from(learner, requests))
            self._send(assessment_aggregator.JOB.name, _from(learner, [scores]))
        self._jobs.wait()
        self.sent.repair = Repair(learner, before, self._progress(learner))

    def _merge(self, at: datetime) -> None:
        """Merges two accounts, where there are such, after merges that cannot be."""
        merge, first = self._story.merge, self._story.learners[0]
        requests = _from(first, mistakes.malformed_merges(first, at))
        if merge:
            requests += _from(merge.new, [merging.merged(merge, at)])
            # For the one enrolment of the account that stays, the job itself asks for progress to be computed again.
            self._jobs.expect(activity_aggregate_updater.JOB.name, 1)
            before = self._progress(merge.new)
        self._send(merge_user_courses.JOB.name, requests)
        self._jobs.wait()
        if merge:
            self.sent.merged = Merged(merge, self._progress(merge.old), before, self._progress(merge.new))

    def _progress(self, learner: Learner) -> int:
        row = self._platform.row("user_enrolments", **enrolment_key(learner, self._story.course))
        return int(row["progress"]) if row else 0

    def _send(self, job: str, events: Sequence[_Event]) -> None:
        topic = self._settings[job].topics.input
        self._platform.log().send([Message(topic, key, event) for key, event in events])
        self._jobs.expect(job, len(events))

    def _count(self, studies: Sequence[Study]) -> None:
        for study in studies:
            completed = sum(status is Status.COMPLETED for _, status in study.contents)
            self.sent.completed += completed - study.repeated
            self.sent.repeated += study.repeated
            self.sent.opened += len(study.contents) - completed


def _from(learner: Learner, events: Sequence[bytes]) -> list[_Event]:
    return [(learner.user.encode(), event) for event in events]


def _at(one: Study | Attempt) -> float:
    return one.at
