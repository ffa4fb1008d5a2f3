"""SIGKILL in the middle of merges: every view counts once in the end."""

import json
import random
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest
from tests.conformance.conftest import NewSite
from tests.conformance.events import account_merge
from tests.conformance.merging import counts
from tests.conformance.process import LERN, Running, environment, lern, run
from tests.conformance.servers import CONSUMPTION, ENROLMENTS, MARKS, eventually, unique
from tests.conformance.site import MERGE, Site

_KILLS = 6
_PERSONS = 18
_CONTENTS = 300
_COURSE, _BATCH = "do_course", "batch"


def handled(site: Site) -> int:
    """How many merges are committed."""
    return sum(site.servers.positions(site.group(MERGE), site.input(MERGE), stable=False).values())


def rows(user: str, views: int) -> list[dict[str, object]]:
    """What a learner has consumed."""
    return [
        {"userid": user, "courseid": _COURSE, "batchid": _BATCH, "contentid": f"c{number:04}"}
        | {"status": 1, "viewcount": views + number, "completedcount": None}
        for number in range(_CONTENTS)
    ]


@pytest.mark.timeout(300)
def test_merges_that_are_killed_half_way_count_every_view_once(new_site: NewSite) -> None:
    site = new_site(partitions=1)
    persons = [(unique("a"), unique("b"), unique("c")) for _ in range(_PERSONS)]
    for person in persons:
        for user, views in zip(person, (1, 10, 100), strict=True):
            site.put(CONSUMPTION, *rows(user, views))
            site.put(ENROLMENTS, {"userid": user, "courseid": _COURSE, "batchid": _BATCH, "status": 1})
    targets = [user for person in persons for user in person[1:]]
    chain = [merge for a, b, c in persons for merge in (account_merge(a, b), account_merge(b, c))]
    redis, draw, in_the_middle = site.servers.redis(MARKS), random.Random(5), 0

    site.send(MERGE, chain)
    for _ in range(_KILLS):
        before = handled(site)
        with Running(site, [MERGE]) as running:
            assert eventually(lambda: handled(site), before.__lt__, 60) > before
            time.sleep(draw.uniform(0, 0.2))
            running.kill()
        # A merge begins with what is known of it: more of that than is committed, and one was cut off.
        begun = sum(bool(redis.exists(f"lern:merged:{user}")) for user in targets)
        in_the_middle += begun > handled(site)
    assert handled(site) < len(chain), "the kills came too late to show anything"
    run(site, MERGE, idle=2, seconds=110)
    # Once more from the beginning, on top of it all.
    site.send(MERGE, chain)
    run(site, MERGE, idle=2, seconds=110)

    for person in persons:
        for user, views, times in zip(person, (1, 11, 111), (1, 2, 3), strict=True):
            assert counts(site, user) == {
                (_COURSE, _BATCH, f"c{number:04}"): (views + times * number, None)
                for number in range(_CONTENTS)
            }
    assert site.failed(MERGE) == []
    assert in_the_middle >= 3, f"only {in_the_middle} of {_KILLS} kills came in the middle of a merge"


@pytest.mark.timeout(240)
def test_merges_that_are_killed_in_one_file_count_every_view_once(tmp_path: Path) -> None:
    file = tmp_path / "lern.db"
    where = ("--set", f"embedded.file={file}")
    assert lern("schema", "apply", *where).returncode == 0
    persons = [(f"a{number}", f"b{number}", f"c{number}") for number in range(_PERSONS)]
    stored = [
        (*row.values(),)
        for person in persons
        for user, views in zip(person, (1, 10, 100), strict=True)
        for row in rows(user, views)
    ]
    with closing(sqlite3.connect(file)) as base, base:
        base.executemany(
            "INSERT INTO user_content_consumption"
            " (userid, courseid, batchid, contentid, status, viewcount, completedcount)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            stored,
        )
    # With a learner, as nobody sends them: so that those of one person are in one partition, one behind the other.
    chain = [
        json.dumps(json.loads(merge) | {"userId": a}).encode()
        for a, b, c in persons
        for merge in (account_merge(a, b), account_merge(b, c))
    ]
    assert lern("send", MERGE, *where, given=b"\n".join(chain)).returncode == 0

    draw, errors = random.Random(6), tmp_path / "errors"
    for _ in range(_KILLS):
        with errors.open("wb") as err:
            process = subprocess.Popen([str(LERN), "run", MERGE, *where], stderr=err, env=environment())
        assert "started" in eventually(errors.read_text, lambda text: "started" in text)
        time.sleep(draw.uniform(0, 0.3))
        process.kill()
        process.wait()
    done = lern("run", MERGE, *where, "--until-idle", 0.5, seconds=120)
    assert done.returncode == 0, done.stderr

    with closing(sqlite3.connect(file)) as base:
        found = base.execute("SELECT userid, contentid, viewcount FROM user_content_consumption")
        views = {(user, content): number for user, content, number in found}
    assert views == {
        (user, f"c{number:04}"): sum((1, 10, 100)[: times + 1]) + (times + 1) * number
        for person in persons
        for times, user in enumerate(person)
        for number in range(_CONTENTS)
    }
