"""`lern failed` as an operator uses it, embedded: a process, what it prints, and what is in the file then."""

import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.events import update

from lern.adapters.embedded import Embedded
from lern.job import Message

_LERN = Path(sys.executable).with_name("lern")
_ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith("LERN_") and name not in {"COLUMNS", "FORCE_COLOR", "NO_COLOR"}
}
_JOB = "activity-aggregate-updater"
_IN, _FAILED = "dev.coursebatch.job.request", "dev.activity.agg.failed"
_HIERARCHY = {
    "identifier": "course_1",
    "mimeType": "application/vnd.ekstep.content-collection",
    "children": [{"identifier": "do_1", "mimeType": "video/mp4"}],
}


class Site:
    """One file, and the command on it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "lern.db"
        self.options = ["--profile", "embedded", "--set", f"embedded.file={self.file}"]

    def lern(self, *words: str, given: bytes = b"") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(_LERN), *words, *self.options],
            input=given,
            env=_ENVIRONMENT,
            capture_output=True,
            check=False,
            timeout=60,
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    def send(self, topic: str, *values: bytes) -> None:
        done = self.lern("send", topic, given=b"".join(value + b"\n" for value in values))
        assert done.returncode == 0, done.stderr

    def put(self, topic: str, *values: bytes, headers: tuple[tuple[str, bytes], ...] = ()) -> None:
        """Messages with headers, or with anything in them."""
        with closing(Embedded(self.file)) as embedded:
            embedded.log().send([Message(topic, b"key", value, headers) for value in values])

    def run(self) -> None:
        done = self.lern("run", _JOB, "--until-idle", "0.3")
        assert done.returncode == 0, done.stderr

    def groups(self, *options: str) -> list[dict[str, Any]]:
        done = self.lern("failed", "list", *options)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.file)) as connection:
            return connection.execute(sql, values).fetchall()

    def messages(self, topic: str) -> list[bytes]:
        sql = 'SELECT value FROM messages WHERE topic = ? ORDER BY partition, "offset"'
        return [value for (value,) in self.query(sql, topic)]

    def number(self, topic: str) -> int:
        return len(self.messages(topic))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def failed(site: Site) -> Site:
    """Three messages have failed: one for want of a course, one without JSON, one without a user."""
    no_user = json.loads(update("do_1"))
    del no_user["edata"]["userId"]
    site.send(_IN, update("do_1"), b"\xff no JSON", json.dumps(no_user).encode())
    site.run()
    return site


def test_failed_messages_are_counted_by_job_code_and_reason(failed: Site) -> None:
    groups = failed.groups()

    assert {(one["job"], one["code"], one["count"], one["sentAgain"]) for one in groups} == {
        (_JOB, "ERR_LEAF_NODES_MISSING", 1, 0),
        (_JOB, "ERR_INVALID_EVENT", 1, 0),
    }
    assert len(groups) == 3
    assert any("edata.userId: missing" in one["reason"] for one in groups)
    assert all(one["first"] == one["last"] for one in groups)


def test_only_what_is_meant_is_counted(failed: Site) -> None:
    assert len(failed.groups("--code", "ERR_LEAF_NODES_MISSING")) == 1
    assert len(failed.groups("--code", "ERR_LEAF_NODES_MISSING", "--code", "ERR_INVALID_EVENT")) == 3
    assert len(failed.groups("--job", _JOB)) == 3
    assert failed.groups("--job", "relation-cache-updater") == []
    assert len(failed.groups("--since", "1h")) == 3
    assert failed.groups("--since", "2999-01-01") == []


def test_one_record_is_shown_in_full(failed: Site) -> None:
    [group] = failed.groups("--code", "ERR_LEAF_NODES_MISSING")

    done = failed.lern("failed", "show", group["example"])

    assert done.returncode == 0
    shown = json.loads(done.stdout)
    assert shown["message"] == json.loads(update("do_1"))
    assert (shown["code"], shown["attempts"], shown["to"]) == ("ERR_LEAF_NODES_MISSING", 1, _IN)
    assert shown["headers"]["lern-topic"] == _IN
    assert shown["from"].startswith(f"{_IN}/")
    assert not shown["sentAgain"]


def test_a_message_of_bytes_is_shown_as_base64(failed: Site) -> None:
    [group] = [one for one in failed.groups() if "not JSON" in one["reason"]]

    shown = json.loads(failed.lern("failed", "show", group["example"]).stdout)

    assert shown["message"] == {"raw": "/yBubyBKU09O", "encoding": "base64"}


def test_a_place_where_nothing_is_or_that_is_none_is_told(failed: Site) -> None:
    for place, code in {
        f"{_FAILED}/0/99": 1,
        f"{_FAILED}/99/0": 1,
        f"{_IN}/0/0": 2,
        _FAILED: 2,
        f"{_FAILED}/0/x": 2,
        f"{_FAILED}/0/-1": 2,
        f"{_FAILED}/0/{10**20}": 2,
        "": 2,
    }.items():
        done = failed.lern("failed", "show", place)

        assert (done.returncode, done.stdout) == (code, ""), place
        assert done.stderr
        assert "Traceback" not in done.stderr


def test_a_dry_run_says_what_would_be_sent_where_and_changes_nothing(failed: Site) -> None:
    before = failed.query("SELECT * FROM messages"), failed.query("SELECT * FROM replayed")

    done = failed.lern("failed", "replay", "--dry-run")

    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert {line["to"] for line in lines} == {_IN}
    assert json.loads(update("do_1")) in [line["message"] for line in lines]
    assert {line["fate"] for line in lines} == {"would be sent again"}
    assert "would be sent again: 3" in done.stderr
    assert before == (failed.query("SELECT * FROM messages"), failed.query("SELECT * FROM replayed"))


def test_once_the_cause_is_gone_a_message_is_sent_again_and_handled(failed: Site) -> None:
    with closing(Embedded(failed.file)) as embedded:
        embedded.put("content_hierarchy", {"identifier": "course_1", "hierarchy": json.dumps(_HIERARCHY)})

    done = failed.lern("failed", "replay", "--code", "ERR_LEAF_NODES_MISSING")
    assert (done.returncode, done.stderr) == (0, "sent again: 1\n")
    failed.run()

    assert failed.query("SELECT contentid, completedcount FROM user_content_consumption") == [("do_1", 1)]
    assert failed.number(_FAILED) == 3


def test_a_message_is_sent_again_once(failed: Site) -> None:
    assert failed.lern("failed", "replay").returncode == 0

    done = failed.lern("failed", "replay")

    assert done.returncode == 1
    assert "sent before: 3 (--again sends those once more)" in done.stderr
    assert [json.loads(line)["fate"] for line in done.stdout.splitlines()] == ["sent before"] * 3
    assert failed.number(_IN) == 6
    assert sum(one["sentAgain"] for one in failed.groups()) == 3

    assert failed.lern("failed", "replay", "--again").returncode == 0
    assert failed.number(_IN) == 9


def test_a_message_that_fails_once_more_is_a_new_record_that_says_how_often(failed: Site) -> None:
    failed.lern("failed", "replay", "--code", "ERR_LEAF_NODES_MISSING")
    failed.run()

    [group] = failed.groups("--code", "ERR_LEAF_NODES_MISSING")
    assert (group["count"], group["sentAgain"]) == (2, 1)
    shown = json.loads(failed.lern("failed", "show", group["example"]).stdout)
    assert (shown["attempts"], shown["sentAgain"]) == (2, False)

    done = failed.lern("failed", "replay", "--code", "ERR_LEAF_NODES_MISSING")
    assert done.returncode == 0
    assert "sent again: 1, sent before: 1" in done.stderr


def test_bytes_that_failed_go_back_as_the_same_bytes(failed: Site) -> None:
    failed.lern("failed", "replay")

    assert failed.messages(_IN).count(b"\xff no JSON") == 2


def test_where_nothing_has_failed_there_is_nothing_to_do(site: Site) -> None:
    assert site.groups() == []
    done = site.lern("failed", "replay")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "no failed records are meant\n")


def test_whatever_lies_on_a_failed_topic_does_no_harm(site: Site) -> None:
    site.put(
        _FAILED,
        b"",
        b"no JSON \x1b[2J",
        b"[" * 100_000,
        b"\xff" * 100,
        b'{"jobName": 7, "failInfo": []}',
        b'{"jobName": "\\u001b[31m", "failInfo": {"errorCode": {}, "error": "\\u001b]0;title\\u0007"}}',
        b'{"leftOutBytes": 5, "jobName": "activity-aggregate-updater", "failInfo": {"errorCode": "X", "error": "y"}}',
        b'{"edata":\n {"a":\n 1}, "failInfo": {"errorCode": "OLD", "error": "java.lang.Exception\\n at line 1"}}',
    )
    site.put(_FAILED, b'{"a": 1}', headers=(("lern-topic", b"prod.payments"), ("lern-attempts", b"\xff")))

    groups = site.groups()
    assert sum(one["count"] for one in groups) == 9
    assert next(one for one in groups if one["code"] == "OLD")["reason"] == "java.lang.Exception"
    for place in site.query('SELECT partition, "offset" FROM messages WHERE topic = ?', _FAILED):
        done = site.lern("failed", "show", f"{_FAILED}/{place[0]}/{place[1]}")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["place"]
    done = site.lern("failed", "replay")

    assert done.returncode == 0
    assert "\x1b" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "prod.payments" not in dict(site.query("SELECT topic, partitions FROM topics"))
    assert {json.loads(value) == {"edata": {"a": 1}} for value in site.messages(_IN)} == {True, False}
    assert "left out" in done.stderr
    assert len(done.stdout.splitlines()) == 9


def test_two_operators_at_once_send_each_message_once(site: Site) -> None:
    site.put(_FAILED, *(b'{"a": %d}' % number for number in range(3000)))
    command = [str(_LERN), "failed", "replay", *site.options]
    both = [
        subprocess.Popen(command, env=_ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for each in both:
        each.communicate(timeout=60)

    assert sorted(json.loads(value)["a"] for value in site.messages(_IN)) == list(range(3000))


def test_a_replay_that_is_killed_goes_on_where_it_was(site: Site) -> None:
    site.put(_FAILED, *(b'{"a": %d}' % number for number in range(20_000)))
    command = [str(_LERN), "failed", "replay", *site.options]
    with subprocess.Popen(command, env=_ENVIRONMENT, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 30
        while site.number(_IN) == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
    assert 0 < site.number(_IN) < 20_000

    assert site.lern("failed", "replay").returncode == 0

    assert sorted(json.loads(value)["a"] for value in site.messages(_IN)) == list(range(20_000))


def test_ctrl_c_ends_a_replay_between_two_messages(site: Site) -> None:
    site.put(_FAILED, *(b'{"a": %d}' % number for number in range(20_000)))
    command = [str(_LERN), "failed", "replay", *site.options]
    with subprocess.Popen(
        command, env=_ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 30
        while site.number(_IN) == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)

    assert process.returncode == 130
    assert f"sent again: {site.number(_IN):,}" in errors
    assert site.number(_IN) == site.query("SELECT count(*) FROM replayed")[0][0] < 20_000


def test_what_the_topic_has_dropped_is_not_remembered(failed: Site) -> None:
    failed.lern("failed", "replay")
    assert failed.query("SELECT count(*) FROM replayed") == [(3,)]
    with closing(sqlite3.connect(failed.file)) as connection, connection:
        connection.execute("DELETE FROM messages WHERE topic = ?", [_FAILED])

    failed.lern("failed", "replay")

    assert failed.query("SELECT count(*) FROM replayed") == [(0,)]


@pytest.mark.parametrize(
    "words", [["list", "--since", "soon"], ["list", "--job", "none"], ["replay", "--since", "x"]]
)
def test_wrong_options_are_wrong_usage(site: Site, words: list[str]) -> None:
    done = site.lern("failed", *words)

    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_on_a_terminal_there_are_tables(failed: Site) -> None:
    shown = _on_terminal(failed, "failed", "list")
    assert "ERR_LEAF_NODES_MISSING" in shown
    assert f"{_FAILED}/" in shown
    [group] = failed.groups("--code", "ERR_LEAF_NODES_MISSING")
    assert "goes back to" in _on_terminal(failed, "failed", "show", group["example"])
    assert "would be sent again: 3" in _on_terminal(failed, "failed", "replay", "--dry-run")
    assert "sent again: 3" in _on_terminal(failed, "failed", "replay")
    assert "no failed records" in _on_terminal(failed, "failed", "list", "--since", "2999-01-01")


def _on_terminal(site: Site, *words: str) -> str:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [str(_LERN), *words, *site.options],
        env=_ENVIRONMENT | {"TERM": "dumb", "COLUMNS": "100"},
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # Linux ends a terminal that nobody writes to any more by an error
        while chunk := os.read(ours, 65536):
            shown += chunk
    os.close(ours)
    assert process.wait(timeout=30) == 0
    return shown.decode()
