"""A process that is killed again and again leaves what an undisturbed one leaves: exactly once."""

import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from tests.embedded_file import count, everything
from tests.events import COLLECTION, publish, sync, update

from lern.adapters.embedded import Embedded
from lern.job import Message

PROGRAM = Path(__file__).with_name("running.py")
EVENTS, LEARNERS, PARTITIONS, CONTENTS, KILLS = 6_000, 400, 200, 12, 10


def load(file: Path) -> None:
    """Two courses and all their events, good and bad, repeated and out of order; the same for every file."""
    chance = random.Random(7)
    with closing(Embedded(file)) as embedded, embedded.transaction():
        for course in ("course_1", "course_2"):
            resources = [{"identifier": f"do_{number}"} for number in range(CONTENTS)]
            units = [
                {
                    "identifier": f"{course}_unit_{at}",
                    "mimeType": COLLECTION,
                    "visibility": "Parent",
                    "children": resources[at * 4 : at * 4 + 4],
                }
                for at in range(3)
            ]
            tree = {"identifier": course, "mimeType": COLLECTION, "children": units}
            embedded.put("content_hierarchy", {"identifier": course, "hierarchy": json.dumps(tree)})
            for learner in range(LEARNERS):
                key = {"userid": f"user_{learner}", "courseid": course, "batchid": "batch_1"}
                embedded.put("user_enrolments", {**key, "status": 0, "progress": 0})
        embedded.log().create(["progress"], PARTITIONS)  # a turn is one partition's: this makes many turns
        embedded.log().send(
            [Message("published", None, publish(course)) for course in ("course_1", "course_2")]
        )
        embedded.log().send([_message(chance) for _ in range(EVENTS)])


def _message(chance: random.Random) -> Message:
    user, course = f"user_{chance.randrange(LEARNERS)}", chance.choice(["course_1", "course_2"])
    kind = chance.random()
    if kind < 0.02:
        return Message("progress", user.encode(), b"no JSON %d" % chance.randrange(10**6))
    if kind < 0.04:
        return Message("progress", user.encode(), update("do_1", user=user, course="unknown"))
    if kind < 0.06:
        return Message("progress", user.encode(), sync(user, course))
    contents = [f"do_{chance.randrange(CONTENTS)}" for _ in range(chance.randint(1, 2))]
    return Message("progress", user.encode(), update(*contents, user=user, course=course))


def start(file: Path) -> subprocess.Popen[str]:
    """The program, when its jobs are about to run."""
    process = subprocess.Popen([sys.executable, PROGRAM, file], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "started\n"
    return process


def handled(file: Path) -> int:
    """How many messages of the input are committed."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        [(total,)] = connection.execute("SELECT sum(following) FROM positions WHERE topic = 'progress'")
        return total or 0


def test_killed_at_any_moment_the_jobs_leave_what_an_undisturbed_run_leaves(tmp_path: Path) -> None:
    disturbed, undisturbed = tmp_path / "disturbed.db", tmp_path / "undisturbed.db"
    load(disturbed)
    load(undisturbed)
    with start(undisturbed) as process:
        assert process.wait(60) == 0
    chance = random.Random(11)
    progress = [0]

    for _ in range(KILLS):
        target = progress[-1] + chance.randint(1, EVENTS // KILLS)
        with start(disturbed) as process:
            while handled(disturbed) < target and process.poll() is None:
                time.sleep(0.002)
            time.sleep(chance.random() * 0.01)
            process.send_signal(signal.SIGKILL)
            assert process.wait(10) == -signal.SIGKILL
        progress.append(handled(disturbed))
    with start(disturbed) as process:
        assert process.wait(60) == 0

    assert handled(disturbed) == handled(undisturbed) == EVENTS
    assert 0 < progress[1] < progress[-1] < EVENTS
    for topic in ("audit", "certificates", "progress.failed", "published.failed"):
        where = f"topic = '{topic}'"
        assert count(disturbed, "messages", where) == count(undisturbed, "messages", where), topic
    expected = everything(undisturbed)
    for table, rows in everything(disturbed).items():
        assert rows == expected[table], table
    assert sum(len(rows) for rows in expected.values()) > EVENTS
