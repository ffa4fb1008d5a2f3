"""`lern reconcile` and `lern explain` on an embedded file: what they print, what they change, how they end."""

import fcntl
import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
from tests.events import COLLECTION

_LERN = Path(sys.executable).with_name("lern")
_ENROLMENT = "INSERT INTO user_enrolments (userid, courseid, batchid, active, status, progress) VALUES (?, 'c', 'b', 1, 1, 77)"
_CONTENT = "INSERT INTO user_content_consumption (userid, courseid, batchid, contentid, status) VALUES (?, 'c', 'b', ?, 2)"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`lern.db` with a published course of two contents, and ten learners whose rows are wrong: half have done all."""
    assert lern(tmp_path, "schema", "apply").returncode == 0
    leaves = [{"identifier": content, "mimeType": "video/mp4"} for content in ("c1", "c2")]
    tree = {"identifier": "c", "mimeType": COLLECTION, "children": leaves}
    with closing(sqlite3.connect(tmp_path / "lern.db")) as base, base:
        base.execute("INSERT INTO content_hierarchy VALUES ('c', ?, NULL)", (json.dumps(tree),))
        for number in range(10):
            base.execute(_ENROLMENT, (f"u{number}",))
            for content in ("c1", "c2")[: 1 + number % 2]:
                base.execute(_CONTENT, (f"u{number}", content))
    assert lern(tmp_path, "cache", "rebuild", "--all").returncode == 0
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LERN_")}
    return {name: value for name, value in kept.items() if name not in {"COLUMNS", "FORCE_COLOR"}} | {
        "XDG_STATE_HOME": str(folder / "state")
    }


def lern(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [_LERN, *arguments],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def on_a_terminal(folder: Path, *arguments: str) -> str:
    """What a person sees, without colours."""
    mine, its = pty.openpty()
    fcntl.ioctl(its, 0x5414, b"\x28\x00\xa0\x00\x00\x00\x00\x00")  # TIOCSWINSZ: 40 lines of 160 characters
    process = subprocess.Popen(
        [_LERN, *arguments], cwd=folder, env=environment(folder), stdout=its, stderr=its, stdin=its
    )
    os.close(its)
    seen = b""
    with suppress(OSError):  # the other side has hung up
        while part := os.read(mine, 65536):
            seen += part
    os.close(mine)
    assert process.wait(30) == 0
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode()).replace("\r\n", "\n")


def progress(folder: Path) -> dict[str, tuple[int, int]]:
    """Progress and status of each learner."""
    with closing(sqlite3.connect(folder / "lern.db")) as base:
        rows = base.execute("SELECT userid, progress, status FROM user_enrolments")
        return {user: (its, status) for user, its, status in rows}


def asked_for(folder: Path) -> list[str]:
    """For whom a certificate was asked for."""
    with closing(sqlite3.connect(folder / "lern.db")) as base:
        rows = base.execute("SELECT value FROM messages WHERE topic = 'dev.issue.certificate.request'")
        return sorted(json.loads(value)["edata"]["userIds"][0] for (value,) in rows)


_RIGHT = {f"u{number}": ((1, 1), (2, 2))[number % 2] for number in range(10)}
_COMPLETED = [f"u{number}" for number in range(1, 10, 2)]


def test_a_dry_run_in_a_pipe_is_json_lines_and_changes_nothing(folder: Path) -> None:
    done = lern(folder, "reconcile", "--course", "c", "--dry-run")

    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["user"] for line in lines] == sorted(_RIGHT)
    assert lines[1]["course"] == "c"
    assert lines[1]["batch"] == "b"
    assert lines[1]["progress"] == {"before": 77, "after": 2}
    assert lines[1]["status"] == {"before": 1, "after": 2}
    assert {one["what"] for one in lines[0]["differences"]} == {
        "progress",
        "contentstatus",
        "completedCount of c",
    }
    assert "enrolments: 10, would change: 10, of these completed: 5, failed: 0" in done.stderr
    assert set(progress(folder).values()) == {(77, 1)}
    assert asked_for(folder) == []
    assert not (folder / "state").exists()


def test_a_dry_run_on_a_terminal_is_a_table(folder: Path) -> None:
    seen = on_a_terminal(folder, "reconcile", "--course", "c", "--batch", "b", "--dry-run")

    assert "Learner" in seen
    assert re.search(r"│ u1 +│ b +│ 77 → 2 +│ 1 → 2 +│ progress, status, completedon, contentstatus", seen), (
        seen
    )
    assert re.search(r"│ u0 +│ b +│ 77 → 1 +│ 1 +│", seen)


def test_a_course_is_mended_and_a_second_run_finds_nothing(folder: Path) -> None:
    done = lern(folder, "reconcile", "--course", "c")
    again = lern(folder, "reconcile", "--course", "c", "--batch", "b")

    assert (done.returncode, again.returncode) == (0, 0)
    assert done.stdout == again.stdout == ""
    assert "enrolments: 10, changed: 10, of these completed: 5, failed: 0" in done.stderr
    assert "enrolments: 10, changed: 0, of these completed: 0, failed: 0" in again.stderr
    assert progress(folder) == _RIGHT
    assert asked_for(folder) == _COMPLETED
    assert list((folder / "state" / "lern").iterdir()) == []


def test_one_learner(folder: Path) -> None:
    assert lern(folder, "reconcile", "--course", "c", "--user", "u1").returncode == 0
    assert progress(folder)["u1"] == (2, 2)
    assert set(progress(folder).values()) == {(2, 2), (77, 1)}
    nobody = lern(folder, "reconcile", "--course", "c", "--batch", "b", "--user", "u99")
    assert nobody.returncode == 1
    assert "failed: not enrolled: learner u99 in batch b of course c" in nobody.stderr


def test_what_fails_is_told_and_the_rest_goes_on(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "lern.db")) as base, base:
        base.execute("INSERT INTO user_enrolments (userid, courseid, batchid) VALUES ('u1', 'gone', 'b')")

    done = lern(folder, "reconcile", "--course", "gone")

    assert done.returncode == 1
    assert "failed: learner u1, batch b: ERR_LEAF_NODES_MISSING: leaf nodes are missing" in done.stderr
    assert "failed: 1" in done.stderr


@pytest.mark.parametrize(
    "options",
    [(), ("--batch", "b"), ("--course", "c", "--rate", "0"), ("--course", "c", "--dry-run", "--resume")],
)
def test_wrong_usage(folder: Path, options: tuple[str, ...]) -> None:
    assert lern(folder, "reconcile", *options).returncode == 2


def test_nobody_enrolled_is_said(folder: Path) -> None:
    done = lern(folder, "reconcile", "--course", "c", "--batch", "x")

    assert done.returncode == 0
    assert "warning: nobody is enrolled: batch x of course c" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_is_gone_on_with(folder: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [_LERN, "reconcile", "--course", "c", "--rate", "2"],
        cwd=folder,
        env=environment(folder),
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while set(progress(folder).values()) == {(77, 1)} and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.2)
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    begun = sum(its != (77, 1) for its in progress(folder).values())
    assert 0 < begun < 10
    if number is not signal.SIGKILL:
        assert process.returncode == 1
        assert f"interrupted after {begun} enrolments; --resume goes on" in errors

    done = lern(folder, "reconcile", "--course", "c", "--resume")

    assert done.returncode == 0, done.stderr
    assert f"going on behind {begun} enrolments" in done.stderr
    assert "enrolments: 10, " in done.stderr
    assert progress(folder) == _RIGHT
    assert asked_for(folder) == _COMPLETED
    assert "there is no interrupted run" in lern(folder, "reconcile", "--course", "c", "--resume").stderr


def test_it_takes_the_file_as_a_job_does_but_a_dry_run_does_not(folder: Path) -> None:
    running = subprocess.Popen(
        [_LERN, "run", "--all"], cwd=folder, env=environment(folder), stderr=subprocess.PIPE, text=True
    )
    try:
        assert running.stderr is not None
        assert "started" in running.stderr.readline()
        refused = lern(folder, "reconcile", "--course", "c")
        dry = lern(folder, "reconcile", "--course", "c", "--dry-run")
    finally:
        running.terminate()
        running.communicate(timeout=20)
    assert refused.returncode == 2
    assert f"is in use by process {running.pid}" in refused.stderr
    assert dry.returncode == 0, dry.stderr
    assert len(dry.stdout.splitlines()) == 10


# --- lern explain -------------------------------------------------------------------------------------------------

_WHO = ("--user", "u0", "--course", "c", "--batch", "b")


def test_an_explanation_is_json_in_a_pipe_and_its_command_mends_the_case(folder: Path) -> None:
    before = lern(folder, "explain", *_WHO)
    assert before.returncode == 0, before.stderr
    found = json.loads(before.stdout)
    assert (found["user"], found["course"], found["batch"]) == ("u0", "c", "b")
    [verdict] = found["verdicts"]
    assert verdict["code"] == "rows-differ"
    facts = {fact["name"]: fact for section in found["sections"] for fact in section["facts"]}
    assert facts["progress"] == {
        "name": "progress",
        "value": 77,
        "source": "user_enrolments (u0, c, b) progress",
        "state": "wrong",
        "expected": 1,
    }
    assert facts["c2 (required)"]["value"] == "nothing stored"

    assert lern(folder, *verdict["command"].split()[1:]).returncode == 0

    [after] = json.loads(lern(folder, "explain", *_WHO).stdout)["verdicts"]
    assert after["code"] == "contents-missing"
    assert "c2" in after["sentence"]


def test_an_explanation_is_a_page_on_a_terminal(folder: Path) -> None:
    seen = on_a_terminal(folder, "explain", *_WHO)

    assert re.search(r"✗ +progress +77  should be 1", seen)
    assert re.search(r"○ +c2 \(required\) +nothing stored", seen)
    assert "Enrolment  user_enrolments (learner, course, batch)" in seen
    assert "  $ lern reconcile --course c --batch b --user u0" in seen
    assert json.loads(on_a_terminal(folder, "explain", *_WHO, "--json"))["user"] == "u0"


def test_an_explanation_changes_nothing_and_works_beside_a_job(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "lern.db")) as base:
        before = list(base.iterdump())
    lern(folder, "explain", *_WHO)
    lern(folder, "explain", "--user", "nobody", "--course", "nothing", "--batch", "none")
    with closing(sqlite3.connect(folder / "lern.db")) as base:
        assert list(base.iterdump()) == before
