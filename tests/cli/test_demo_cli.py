"""`lern demo` as a newcomer runs it: a process, its output, the file it leaves, the commands it proposes."""

import os
import pty
import re
import shlex
import signal
import sqlite3
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path

import msgspec
import pytest
from tests.demo_run import (
    ENVIRONMENT,
    LERN,
    STUDY,
    Ran,
    demo_in,
    merged,
    number_of,
    query,
    run,
    told_in,
)


def _commands(output: str) -> list[list[str]]:
    """The proposed commands, as a shell would read them when they are pasted."""
    pasted = output[output.index("Try next") :].replace("\\\n", "")
    return [shlex.split(line) for line in pasted.splitlines() if "--config" in line]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A demo of twelve learners; nobody changes its file."""
    return demo_in(tmp_path_factory.mktemp("demo"), "--learners", "12", "--seed", "7")


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A demo of one learner, called by its name; nobody changes its file."""
    folder = tmp_path_factory.mktemp("single")
    path = f"{LERN.parent}{os.pathsep}{ENVIRONMENT['PATH']}"
    done = run("lern", "demo", "--learners", "1", cwd=folder, PATH=path)
    return Ran(folder / "lern-demo", done.stdout, done.stderr, done.returncode)


def test_demo_ends_well_and_says_nothing_on_standard_error(ran: Ran) -> None:
    assert (ran.code, ran.errors) == (0, "")
    assert {path.name for path in ran.folder.iterdir()} >= {"lern.db", "lern.conf", "last-content.jsonl"}


def test_output_in_a_pipe_is_plain_text_of_80_columns(ran: Ran) -> None:
    report = ran.output[: ran.output.index("Try next")]

    assert "\x1b" not in ran.output
    assert "\r" not in ran.output
    assert max(map(len, report.splitlines())) <= 80


def test_same_seed_gives_the_same_report(ran: Ran, tmp_path: Path) -> None:
    again = demo_in(tmp_path, "--learners", "12", "--seed", "7")

    assert again.report == ran.report


def test_other_seed_gives_another_report(ran: Ran, tmp_path: Path) -> None:
    assert demo_in(tmp_path, "--learners", "12", "--seed", "8").report != ran.report


def test_numbers_of_learners_are_those_of_the_enrolments(ran: Ran) -> None:
    told = told_in(ran.output, r"^The learners: ([\d,]+) completed, ([\d,]+) under way, ([\d,]+) not begun$")

    count = "SELECT count(*) FROM user_enrolments WHERE status = ?"
    assert told == [number_of(query(ran.folder, count, status)) for status in (2, 1, 0)]
    assert sum(told) == 12
    assert min(told) > 0


def test_progress_of_the_shown_learners_is_that_of_the_enrolments(ran: Ran) -> None:
    learners = ran.output[ran.output.index("The learners:") : ran.output.index("The quizzes:")]
    told = [int(number) for number in re.findall(r"(\d+) of 34 ", learners)]

    stored = [row[0] for row in query(ran.folder, "SELECT progress FROM user_enrolments")]
    assert len(told) == 10
    assert "and 2 more" in ran.output
    for progress in told:
        stored.remove(progress)


def test_numbers_of_units_are_those_of_the_aggregates(ran: Ran) -> None:
    units = re.findall(r"^  (\S.*?) {2,}(\d+) {2,}(\d+)  [━╸╺ ]* (\d+) %", ran.output, re.MULTILINE)

    assert len(units) == 6
    for name, required, finished, percent in units:
        [(unit,)] = query(
            ran.folder, "SELECT identifier FROM collection_cache WHERE json_extract(json, '$.name') = ?", name
        )
        [(done, reached)] = query(
            ran.folder,
            "SELECT sum(json_extract(aggregates, '$.completedCount')),"
            " sum(json_extract(aggregates, '$.completedCount') = ?) FROM user_activity_agg WHERE activity_id = ?",
            int(required),
            unit,
        )
        assert (int(finished), int(percent)) == (reached, int(float(done) * 100 / (12 * int(required))))


def test_numbers_of_topics_are_those_of_the_messages(ran: Ran) -> None:
    told = dict(re.findall(r"^  (dev\.[\w.]+) +([\d,]+)  (?:in|out): ", ran.output, re.MULTILINE))

    stored = dict(query(ran.folder, "SELECT topic, count(*) FROM messages GROUP BY topic"))
    numbers = {topic: int(number.replace(",", "")) for topic, number in told.items()}
    assert numbers == {topic: number for topic, number in stored.items() if not topic.endswith(".failed")}
    assert len(numbers) == 7


def test_speed_counts_every_message_in_the_inputs_of_all_jobs(ran: Ran) -> None:
    [handled] = told_in(ran.output, r"^The jobs handled ([\d,]+) messages in ")

    assert handled == number_of(query(ran.folder, "SELECT sum(following) FROM positions"))


def test_every_completion_counts_once_and_everything_sent_is_accounted_for(ran: Ran) -> None:
    [completed] = told_in(ran.output, r"^ +([\d,]+)  contents completed")
    [again] = told_in(ran.output, r"^ +([\d,]+)  completed once more")
    [opened] = told_in(ran.output, r"^ +([\d,]+)  contents opened")
    [malformed] = told_in(ran.output, r"^ +([\d,]+)  malformed reports")

    entries: list[tuple[str, str, int]] = []
    unreadable = 0
    for (value,) in query(ran.folder, "SELECT value FROM messages WHERE topic = ?", STUDY):
        try:
            edata = msgspec.json.decode(value)["edata"]
            if edata["action"] == "batch-enrolment-sync":  # comes of the merge, and not from an app
                continue
            assert edata["courseId"] != "do_310000000000000000000"
            entries += [(edata["userId"], one["contentId"], one["status"]) for one in edata["contents"]]
            assert all(isinstance(one["status"], int) for one in edata["contents"])
        except (msgspec.DecodeError, KeyError, AssertionError):
            unreadable += 1
    done = [(user, content) for user, content, status in entries if status == 2]
    assert (completed, again) == (len(set(done)), len(done) - len(set(done)))
    assert opened == sum(status == 1 for _, _, status in entries)
    assert malformed == unreadable == 4
    assert again > 0

    rows = (
        "SELECT count(*), sum(completedcount), sum(viewcount) FROM user_content_consumption"
        " WHERE status = 2 AND userid <> ?"
    )
    old, _ = merged(ran.folder)
    assert query(ran.folder, rows, old) == [(completed,) * 3]
    lag = "SELECT sum(e.following - p.following) FROM ends e JOIN positions p USING (topic, partition)"
    assert query(ran.folder, lag) == [(0,)]


def test_each_completed_learner_has_one_request_for_a_certificate(ran: Ran) -> None:
    requests = query(ran.folder, "SELECT value FROM messages WHERE topic = 'dev.issue.certificate.request'")
    asked = [
        edata["userIds"]
        for edata in (msgspec.json.decode(value)["edata"] for (value,) in requests)
        if "attemptId" not in edata
    ]

    completed = query(ran.folder, "SELECT userid FROM user_enrolments WHERE completedon IS NOT NULL")
    assert sorted(asked) == sorted([user] for (user,) in completed)


def test_failed_messages_are_shown_with_their_reasons(ran: Ran) -> None:
    failed = query(ran.folder, "SELECT value FROM messages WHERE topic LIKE '%.failed'")
    words = " ".join(ran.output.split())

    assert len(failed) == 12
    assert "What failed: 12 messages" in ran.output
    for (value,) in failed:
        info = msgspec.json.decode(value)["failInfo"]
        assert f"{info['errorCode']} {info['error']}" in words


def test_dates_in_the_tables_are_spread_over_the_term(ran: Ran) -> None:
    weeks = query(
        ran.folder,
        "SELECT count(DISTINCT strftime('%W', last_completed_time)), max(last_completed_time) < datetime('now')"
        " FROM user_content_consumption",
    )
    assert weeks[0] >= (10, 1)


def test_proposed_commands_work_and_complete_the_learner_who_lacks_one_content(tmp_path: Path) -> None:
    demo = demo_in(tmp_path, "--learners", "2")
    [user] = query(demo.folder, "SELECT userid FROM user_enrolments WHERE progress = 33")
    commands = _commands(demo.output)

    for command in commands:
        done = run(*command, cwd=tmp_path)
        assert done.returncode == 0, f"{shlex.join(command)}: {done.stderr}"
        if command[1] in {"explain", "failed", "tail", "settings"} or "--dry-run" in command:
            assert done.stdout

    assert [command[1] for command in commands] == [
        *("explain", "failed", "failed", "failed", "send", "run", "run", "tail", "cache", "settings")
    ]
    assert query(demo.folder, "SELECT progress, status FROM user_enrolments WHERE userid = ?", *user) == [
        (34, 2)
    ]
    requests = query(demo.folder, "SELECT value FROM messages WHERE topic = 'dev.issue.certificate.request'")
    assert [user[0]] in [msgspec.json.decode(value)["edata"]["userIds"] for (value,) in requests]


def test_proposed_commands_call_the_program_by_its_name_where_that_is_on_the_path(single: Ran) -> None:
    assert {command[0] for command in _commands(single.output)} == {"lern"}


def test_proposed_commands_call_the_program_by_its_path_elsewhere(ran: Ran) -> None:
    assert {command[0] for command in _commands(ran.output)} == {str(LERN)}


def test_folder_with_a_difficult_name_gives_commands_that_can_be_pasted(tmp_path: Path) -> None:
    name = 'गणित, it\'s "8"'
    done = run(str(LERN), "demo", "--learners", "1", "--dir", name, cwd=tmp_path)

    pasted = done.stdout[done.stdout.index("# Look at") :].split("\n\n")[0]
    assert run("sh", "-c", pasted, cwd=tmp_path).returncode == 0
    assert (tmp_path / name / "lern.db").is_file()


def test_one_learner_is_enough(single: Ran) -> None:
    assert single.code == 0
    assert "This demo invents one learner" in single.output
    assert "33 of 34" in single.output
    assert "a second" not in single.output
    assert "was lost" in single.output
    assert "accounts of one person" not in single.output


@pytest.mark.parametrize("options", [["--learners", "0"], ["--learners", "many"], ["--seed", "x"]])
def test_wrong_options_are_wrong_usage(tmp_path: Path, options: list[str]) -> None:
    demo = demo_in(tmp_path, *options)

    assert demo.code == 2
    assert options[0] in demo.errors
    assert not demo.folder.exists()


def test_second_run_replaces_the_first_and_says_so(tmp_path: Path) -> None:
    demo_in(tmp_path, "--learners", "3", "--seed", "1")
    second = demo_in(tmp_path, "--learners", "2", "--seed", "2")

    assert second.code == 0
    assert "replaces the demo that was there" in " ".join(second.output.split())
    assert query(second.folder, "SELECT count(*) FROM user_enrolments") == [(2,)]


def test_second_run_leaves_a_file_alone_that_holds_other_data(tmp_path: Path) -> None:
    folder = demo_in(tmp_path, "--learners", "1").folder
    with closing(sqlite3.connect(folder / "lern.db")) as connection, connection:
        connection.execute("INSERT INTO content_hierarchy VALUES ('do_mine', '{}', NULL)")

    second = demo_in(tmp_path, "--learners", "1")

    assert second.code == 2
    assert "not the demo's" in second.errors
    assert query(folder, "SELECT count(*) FROM content_hierarchy") == [(2,)]


def test_environment_that_names_servers_and_files_leads_nowhere_else(tmp_path: Path) -> None:
    elsewhere = tmp_path / "production.db"

    demo = demo_in(
        tmp_path,
        "--learners",
        "1",
        LERN_KAFKA_BROKER_SERVERS="kafka:9092",
        LERN_EMBEDDED_FILE=str(elsewhere),
    )

    assert demo.code == 0
    assert not elsewhere.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_demo_leaves_a_file_that_can_be_used(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "lern-demo"
    with subprocess.Popen(
        [LERN, "demo", "--learners", "600"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        _wait_for_study(folder)
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)

    assert process.returncode == 130
    assert errors.startswith("Stopped.")
    assert query(folder, "PRAGMA integrity_check") == [("ok",)]

    rest = shlex.split(errors.splitlines()[-1])
    assert run(*rest, cwd=tmp_path).returncode == 0
    lag = "SELECT sum(e.following - p.following) FROM ends e JOIN positions p USING (topic, partition)"
    assert query(folder, lag) == [(0,)]
    completed = "SELECT count(*), sum(completedcount) FROM user_content_consumption WHERE status = 2"
    [(rows, counted)] = query(folder, completed)
    assert rows == counted != 0


def _wait_for_study(folder: Path) -> None:
    """Returns when the first learners have studied."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(sqlite3.OperationalError):
            if (folder / "lern.db").exists() and query(
                folder, "SELECT 1 FROM messages WHERE topic = ? LIMIT 1", STUDY
            ):
                return
        time.sleep(0.02)
    pytest.fail("the demo did not get going")


def test_terminal_shows_the_weeks_as_they_pass(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [LERN, "demo", "--learners", "40"],
        cwd=tmp_path,
        env=ENVIRONMENT | {"TERM": "xterm-256color", "COLUMNS": "80"},
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
    assert b"week " in shown
    assert b"\x1b[" in shown
