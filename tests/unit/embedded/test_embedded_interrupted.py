"""Whatever call fails on the embedded file: trying again leads to what an undisturbed run leaves."""

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from tests.embedded_file import Row, everything
from tests.events import COLLECTION, answer, assessment, context, publish, records, settings, sync, update
from tests.fakes import How, Trouble, troubled, turn

from lern.adapters.embedded import Embedded
from lern.engines.turn import AnyJob
from lern.errors import Unavailable
from lern.job import Record
from lern.jobs import activity_aggregate_updater, assessment_aggregator, relation_cache_updater
from lern.ports import Platform

TURNS: list[tuple[AnyJob, list[Record]]] = [
    (activity_aggregate_updater.JOB, records([update("a"), update("a", "b", user="user_2"), b"no JSON"])),
    (relation_cache_updater.JOB, records([publish(), publish("none")], topic="published")),
    (activity_aggregate_updater.JOB, records([update("b"), sync(user="user_2"), update("b")], first=3)),
    (
        assessment_aggregator.JOB,
        records(
            [assessment(answer(), content="a"), assessment(answer(), content="b"), b"no JSON"],
            topic="attempts",
        ),
    ),
    (
        assessment_aggregator.JOB,
        records(
            [assessment(answer(), content="b"), assessment(answer(), content="u")], first=3, topic="attempts"
        ),
    ),
]
"""The first finds no relations in the cache. De-duplication is off: whatever is done twice shows."""


def carried_out(file: Path, trouble: Trouble) -> dict[str, list[Row]]:
    """All turns, each tried until it succeeds; what the file holds in the end."""
    with closing(Embedded(file)) as embedded:
        children = [{"identifier": name} for name in ("a", "b")]
        tree = {"identifier": "course_1", "mimeType": COLLECTION, "children": children}
        embedded.put("content_hierarchy", {"identifier": "course_1", "hierarchy": json.dumps(tree)})
        for user in ("user_1", "user_2"):
            embedded.put("user_enrolments", {"userid": user, "courseid": "course_1", "batchid": "batch_1"})
        for job, batch in TURNS:
            _attempt(embedded, job, batch, trouble)
    return everything(file)


def _attempt(embedded: Embedded, job: AnyJob, batch: Sequence[Record], trouble: Trouble) -> None:
    using = settings(job.name, dedup=False)
    platform = Platform(
        facts=embedded.facts(),
        stores=embedded.stores(using),
        journal=None,
        consumer=embedded.consumer(batch[0].topic, job.name),
        transaction=embedded.transaction,
    )
    for _ in range(2):
        try:
            turn(job, batch, troubled(platform, trouble), context(using))
        except Unavailable:
            continue
        return
    pytest.fail("one trouble is one more attempt")


@pytest.mark.parametrize("how", ["before", "half", "after"])
def test_a_call_that_fails_once_changes_nothing_in_the_end(tmp_path: Path, how: How) -> None:
    undisturbed = Trouble()
    expected = carried_out(tmp_path / "expected.db", undisturbed)
    assert len(expected["messages"]) == 17

    for at, called in enumerate(undisturbed.calls):
        found = carried_out(tmp_path / f"{at}.db", Trouble(at, how))
        for table, rows in expected.items():
            assert found[table] == rows, f"{table} after {called}, call {at}"
