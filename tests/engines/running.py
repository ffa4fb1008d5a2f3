"""Runs both jobs on an embedded file until their input is idle: `python running.py FILE`; made to be killed."""

import sys
import threading
from functools import partial
from pathlib import Path

from lern.adapters.embedded import Embedded
from lern.bootstrap import context
from lern.engines.local import Assignment, run
from lern.engines.observer import Observer
from lern.jobs import JOBS
from lern.ports import Platform
from lern.settings.model import ActivitySettings, BatchSettings, JobSettings, Profile, Topics

TOPICS = {
    "relation-cache-updater": Topics("published", "published.failed"),
    "activity-aggregate-updater": Topics("progress", "progress.failed", "audit", "certificates"),
}


class Silent:
    """Hears nothing."""

    handled = waiting = recovered = polled = lambda *_: None


def main(file: Path) -> int:
    """Says `started` when the jobs are about to run; 0 when all input is handled."""
    embedded = Embedded(file)
    embedded.occupy()
    assignments = []
    for name, topics in TOPICS.items():
        settings = JobSettings(
            *(name, "test", Profile.EMBEDDED, name, topics, None, None, None),
            batch=BatchSettings(read_size=25, read_interval=0.05),
            activity=ActivitySettings(input_dedup=False),
        )
        platform = Platform(
            facts=embedded.facts(),
            stores=embedded.stores(settings),
            journal=None,
            consumer=embedded.consumer(topics.input, name),
            transaction=embedded.transaction,
        )
        observer: Observer = Silent()
        assignments.append(Assignment(JOBS[name], platform, partial(context, settings), observer))
    sys.stdout.write("started\n")
    sys.stdout.flush()
    in_order = run(assignments, threading.Event(), until_idle=0.3)
    embedded.close()
    return 0 if in_order else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
