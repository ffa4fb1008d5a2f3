"""What to try next on the demo's data: commands that work as they stand."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from lern.demo.course import BATCH, Course
from lern.demo.folder import Folder
from lern.demo.learners import WEEKS
from lern.demo.messages import studied
from lern.demo.results import Results, Standing
from lern.demo.story import Story
from lern.domain.model import Status
from lern.jobs import activity_aggregate_updater
from lern.settings.model import JobSettings

_JOB = activity_aggregate_updater.JOB.name


class Suggestion(NamedTuple):
    """Commands, and what they are good for."""

    why: str
    commands: Sequence[Sequence[str]]


def suggestions(
    program: str, folder: Folder, settings: Mapping[str, JobSettings], story: Story, results: Results
) -> list[Suggestion]:
    """The commands, for a program that is called like this; also writes the message that one of them sends."""

    def lern(*words: str) -> list[str]:
        return [program, *words, "--config", str(folder.config)]

    nearly = results.standings[0]
    missing = _missing(nearly, story.course)
    at = story.moment(WEEKS + 1) - timedelta(minutes=1)
    contents = [(content, Status.COMPLETED) for content in missing]
    folder.last_content.write_bytes(
        studied(nearly.learner.user, story.course.identifier, contents, at) + b"\n"
    )
    lacks = "one content" if len(missing) == 1 else f"{len(missing)} contents"

    certificates = settings[_JOB].topics.certificate_requests
    until_idle = ("--until-idle", "1")
    case = ("--user", nearly.learner.user, "--course", story.course.identifier, "--batch", BATCH)
    return [
        Suggestion(f"All that is known of {nearly.learner.name}'s case.", [lern("explain", *case)]),
        Suggestion(
            "What failed, and why? Look at one of them; what would sending them again do?",
            [
                lern("failed", "list"),
                lern("failed", "show", results.failures[-1].place),
                lern("failed", "replay", "--dry-run"),
            ],
        ),
        Suggestion(
            f"{nearly.learner.name} lacks {lacks}. Report it, see what would follow, let it happen.",
            [
                lern("send", _JOB, str(folder.last_content)),
                lern("run", _JOB, "--dry-run", *until_idle),
                lern("run", _JOB, *until_idle),
            ],
        ),
        Suggestion(
            "Look at a request for a certificate.",
            [lern("tail", certificates, "--from-beginning", "--count", "1", *until_idle)],
        ),
        Suggestion(
            "Lost the cache of course structures? Compute it again from the table.",
            [lern("cache", "rebuild", "--all")],
        ),
        Suggestion("See every setting, its value and where it came from.", [lern("settings", "show")]),
    ]


def _missing(standing: Standing, course: Course) -> list[str]:
    """The required contents that a learner has not completed, in the order of the course."""
    return [
        node.identifier
        for node in course.contents
        if node.identifier not in course.optional and node.identifier not in standing.completed
    ]
