"""The topics of an installation."""

from collections.abc import Mapping

from lern.ports import Log
from lern.settings.model import JobSettings


def topics_of(settings: Mapping[str, JobSettings]) -> list[str]:
    """All topics that these jobs read and write, once."""
    return sorted(
        {
            topic
            for one in settings.values()
            for topic in (
                one.topics.input,
                one.topics.failed,
                one.topics.audit,
                one.topics.certificate_requests,
                one.topics.enrolment_syncs,
            )
            if topic
        }
    )


def missing_topics(log: Log, settings: Mapping[str, JobSettings]) -> list[str]:
    """Those of the jobs' topics that do not exist."""
    existing = log.topics()
    return [topic for topic in topics_of(settings) if topic not in existing]
