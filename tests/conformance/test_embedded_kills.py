"""SIGKILL at any moment while everything is in one SQLite file: each event is handled exactly once."""

import json
import random
import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from tests.conformance.events import COLLECTION, Learner, published, update
from tests.conformance.process import LERN, environment, lern
from tests.conformance.servers import Json, eventually
from tests.conformance.site import ACTIVITY, RELATIONS

_KILLS = 10
_CONTENTS = [f"c{number}" for number in range(80)]
_LEARNERS = [Learner(f"user{number}", "course", "batch") for number in range(100)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of an installation with a published course and enrolled learners."""
    file = tmp_path / "lern.db"
    where = ("--set", f"embedded.file={file}")
    assert lern("schema", "apply", *where).returncode == 0
    leaves = [{"identifier": content, "mimeType": "video/mp4"} for content in _CONTENTS]
    tree = {"identifier": "course", "mimeType": COLLECTION, "children": leaves}
    with closing(sqlite3.connect(file)) as base, base:
        base.execute(
            "INSERT INTO content_hierarchy (identifier, hierarchy) VALUES (?, ?)",
            ("course", json.dumps(tree)),
        )
        base.executemany(
            "INSERT INTO user_enrolments (userid, courseid, batchid, status) VALUES (?, ?, ?, 0)", _LEARNERS
        )
    assert lern("send", RELATIONS, *where, given=published("course")).returncode == 0
    done = lern("run", RELATIONS, *where, "--until-idle", 0.5)
    assert done.returncode == 0, done.stderr
    return file


def said(file: Path, topic: str) -> list[Json]:
    """What stands in a topic."""
    with closing(sqlite3.connect(file)) as base:
        return [
            json.loads(value)
            for (value,) in base.execute("SELECT value FROM messages WHERE topic = ?", (topic,))
        ]


@pytest.mark.timeout(240)
def test_ten_kills_change_nothing_in_the_file(file: Path, tmp_path: Path) -> None:
    draw = random.Random(11)
    events = [update(learner, {content: 2}) for learner in _LEARNERS for content in _CONTENTS]
    draw.shuffle(events)
    where = ("--set", f"embedded.file={file}")
    assert lern("send", ACTIVITY, *where, given=b"\n".join(events)).returncode == 0
    errors = tmp_path / "errors"
    for _ in range(_KILLS):
        with errors.open("wb") as err:
            process = subprocess.Popen([str(LERN), "run", ACTIVITY, *where], stderr=err, env=environment())
        assert "started" in eventually(errors.read_text, lambda text: "started" in text)
        time.sleep(draw.uniform(0, 0.4))
        process.kill()
        process.wait()
    with closing(sqlite3.connect(file)) as base:
        [(handled,)] = base.execute(
            "SELECT sum(following) FROM positions WHERE topic = 'dev.coursebatch.job.request'"
        )
    assert 0 < handled < len(events), "the kills came too early or too late to show anything"
    done = lern("run", ACTIVITY, *where, "--until-idle", 0.5, seconds=120)
    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(file)) as base:
        counts = base.execute(
            "SELECT status, viewcount, completedcount, count(*) FROM user_content_consumption GROUP BY 1, 2, 3"
        )
        assert counts.fetchall() == [(2, 1, 1, len(events))]
        enrolments = base.execute(
            "SELECT status, progress, completedon IS NULL, count(*) FROM user_enrolments GROUP BY 1, 2, 3"
        )
        assert enrolments.fetchall() == [(2, len(_CONTENTS), 0, len(_LEARNERS))]
        assert base.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    audits = Counter(
        (a["edata"]["type"], a["actor"]["id"], a["object"]["id"]) for a in said(file, "dev.telemetry.raw")
    )
    assert len(audits) == audits.total() == 2 * len(events) + len(_LEARNERS)
    requests = Counter(r["edata"]["userIds"][0] for r in said(file, "dev.issue.certificate.request"))
    assert requests == Counter(learner.user for learner in _LEARNERS)
    assert said(file, "dev.activity.agg.failed") == []
