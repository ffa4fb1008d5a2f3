"""Runs every command that README.md and docs/ show.

How to write a command into a document so that it is run:

- In a fenced block of the language `sh` (a script: every line) or `console` (lines that begin with `$ `, going on with
  `> `; the other lines are output, for the reader alone). Blocks of a document are run in order, each as one bash script,
  in one empty folder, embedded, with `lern` on the PATH and without any LERN_* variable.
- Every command has to end with 0; another code is said in a comment behind it: `$ lern schema check  # exit code 1`.
- Commands have to end. `lern run` takes `--until-idle`, or is started with `&` and ended in the same block by
  `kill %1; wait`.
- Ports are written as 127.0.0.1:PORT, and free ones are put in their place.
- `<!-- connected -->` on the line before a block: the test servers have to be there, and the folder holds `conf/` with one
  `<job>.conf` for each job: `lern run --all --config-dir conf`.
- Commands that cannot be run here are listed in NOT_RUN; make targets among them have to exist.
- `lern ...` in the text, as in tables, is not run; its command and its options have to exist.

Besides: settings in blocks of the language `hocon` have to be in order; docs/operations.md has to explain what the program
can say (error codes, log events, counts, metrics); and what documents and code refer to has to be there.
"""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
import typer.main

from lern.adapters.cassandra import CassandraSession
from lern.cli import app
from lern.counts import Count
from lern.jobs import JOBS, relation_cache_updater
from lern.monitoring.metrics import Metrics
from lern.settings import load
from lern.settings.model import CassandraSettings

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(str(path.relative_to(ROOT)) for path in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")])

NOT_RUN = {
    "make": "works in a clone of the project, and some targets would run this test again",
    "git clone": "needs the network",
    "cd": "goes into the clone",
}
"""How commands begin that are not run, and why."""

_FENCE = re.compile(r"^ *```+ *(\w+)", re.MULTILINE)
_BLOCK = re.compile(r"^(<!-- connected -->\n)?```(sh|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_EXIT_CODE = re.compile(r"^(.*\S) +# exit code (\d+)$")
_ADDRESS = re.compile(r"(?<=127\.0\.0\.1:)\d+")
_SETTINGS = re.compile(r"^```hocon\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")
_IN_TEXT = re.compile(r"`(lern(?: [^`]*)?)`")


class Block(NamedTuple):
    """The commands of one fenced block, one a line (or several lines)."""

    connected: bool
    commands: list[str]


def blocks_of(text: str) -> list[Block]:
    """The blocks of a document, in order."""
    blocks = []
    for marker, language, body in _BLOCK.findall(text):
        lines = body.splitlines()
        if language == "console":
            lines = [line[2:] for line in lines if line.startswith(("$ ", "> "))]
        blocks.append(Block(bool(marker), lines))
    return blocks


def is_run(command: str) -> bool:
    return not any(command == start or command.startswith(f"{start} ") for start in NOT_RUN)


def script(block: Block, ports: dict[str, str]) -> str:
    """The block as a script that ends with the first command that goes wrong, and says which."""
    lines = ["set -ex -o pipefail; PS4='$ '"]
    for command in filter(is_run, block.commands):
        expected = _EXIT_CODE.match(command)
        lines.append(f"( set +e; {expected[1]}; test $? -eq {expected[2]} )" if expected else command)
    return _ADDRESS.sub(lambda port: ports.setdefault(port[0], free_port()), "\n".join(lines))


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


def run(text: str, folder: Path) -> None:
    """Runs a script in a folder; fails when it does, does not end, or leaves processes behind."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LERN_")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["XDG_STATE_HOME"] = str(folder.with_name("state"))
    output = folder.with_name("output")
    with output.open("wb") as file:
        process = subprocess.Popen(
            ["bash", "-c", text],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            outcome = f"exit code {process.wait(120)}"
        except subprocess.TimeoutExpired:
            outcome = "it did not end"
        finally:
            left = end_group(process)
    said = output.read_text(errors="replace")
    assert outcome == "exit code 0", f"{outcome}; the last command shown is the one:\n{said}"
    assert not left, f"processes were left running: end them in the block that starts them\n{said}"


def end_group(process: subprocess.Popen[bytes]) -> bool:
    """Ends what a script has left running; whether there was something."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    return made


@pytest.fixture
def conf(
    folder: Path, kafka_address: str, cassandra_address: tuple[str, int], redis_address: str
) -> Iterator[None]:
    """`conf/` for the test servers, with topics and keyspaces of its own."""
    env = f"docs{uuid.uuid4().hex[:8]}"
    keyspaces = dict.fromkeys(JOBS, f"{env}_courses")
    keyspaces[relation_cache_updater.JOB.name] = f"{env}_hierarchy_store"
    (host, port), redis = cassandra_address, redis_address.rpartition(":")
    (folder / "conf").mkdir()
    for job, keyspace in keyspaces.items():
        (folder / "conf" / f"{job}.conf").write_text(
            f'job.env = "{env}"\n'
            f'kafka.broker-servers = "{kafka_address}"\n'
            f'lms-cassandra {{ host = "{host}", port = {port}, keyspace = "{keyspace}" }}\n'
            f'redis {{ host = "{redis[0]}", port = {redis[2]} }}\n'
        )
    yield
    session = CassandraSession(CassandraSettings((host,), port))
    for keyspace in set(keyspaces.values()):
        session.define(f"DROP KEYSPACE IF EXISTS {keyspace}")
    session.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_of_a_document_does_what_it_says(
    document: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    blocks = blocks_of((ROOT / document).read_text())
    if any(block.connected for block in blocks):
        request.getfixturevalue("conf")
    ports: dict[str, str] = {}
    for block in blocks:
        if any(map(is_run, block.commands)):
            run(script(block, ports), folder)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_command_hides_in_a_block_that_is_not_run(document: str) -> None:
    text = (ROOT / document).read_text()
    shells = [
        name for name in _FENCE.findall(text) if name.lower() in {"sh", "console", "bash", "shell", "zsh"}
    ]
    assert len(shells) == len(blocks_of(text)), "blocks of commands start a line and are called sh or console"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_make_targets_that_are_shown_exist(document: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for block in blocks_of((ROOT / document).read_text()):
        for command in block.commands:
            if command.startswith("make "):
                words = shlex.split(command, comments=True)[1:]
                assert {word for word in words if "=" not in word} <= targets, command


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_in_the_text_exist_with_their_options(document: str) -> None:
    for shown in _IN_TEXT.findall((ROOT / document).read_text()):
        command = typer.main.get_command(app)
        words = shlex.split(shown)[1:]
        while words and words[0] in (subcommands := getattr(command, "commands", {})):
            command = subcommands[words.pop(0)]
        assert not getattr(command, "commands", None) or not words or not words[0].isalpha(), shown
        options = {name for parameter in command.params for name in parameter.opts} | {"--help"}
        assert {word for word in words if word.startswith("--")} <= options, shown


def test_operations_explains_every_error_code_log_event_count_and_metric() -> None:
    code = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    said = {
        *re.findall(r"\bERR_[A-Z_]+[A-Z]\b", code),
        *re.findall(r"_log\.\w+\(\s*\"(\w+)\"", code),
        *(count.value for count in Count),
        *(f"{one.name}_total" if one.type == "counter" else one.name for one in Metrics().registry.collect()),
    }
    explained = re.findall(r"`(\w+)`", (ROOT / "docs" / "operations.md").read_text())
    assert said <= set(explained)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_settings_that_are_shown_are_in_order(document: str, tmp_path: Path) -> None:
    for number, text in enumerate(_SETTINGS.findall((ROOT / document).read_text())):
        file = tmp_path / f"{number}.conf"
        file.write_text(text)

        assert not load(list(JOBS), config=file, environ={}).warnings


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_between_documents_lead_to_a_file_and_a_heading_in_it(document: str) -> None:
    here = ROOT / document
    for name, _, anchor in (link.partition("#") for link in _LINK.findall(here.read_text())):
        there = here.parent / name if name else here
        assert there.exists(), name
        headings = re.findall(r"^#+ (.+)$", there.read_text(), re.MULTILINE) if anchor else []
        assert not anchor or anchor in {
            re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings
        }


def test_sections_that_the_code_refers_to_are_there() -> None:
    code = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    for document, sections in re.findall(r"\b(jobs|contracts), sections? (\d(?: and \d)*)", code):
        text = (ROOT / "docs" / f"{document}.md").read_text()
        assert all(f"\n## {number}. " in text for number in sections.split(" and ")), (document, sections)


@pytest.mark.parametrize(
    "commands", ["false", "true  # exit code 1", "false | true", "nosuchcommand", "sleep 60 &"]
)
def test_what_goes_wrong_in_a_block_is_noticed(commands: str, folder: Path) -> None:
    [block] = blocks_of(f"```sh\n{commands}\ntrue\n```")

    with pytest.raises(AssertionError, match=r"the last command|left running"):
        run(script(block, {}), folder)


def test_a_block_may_hold_what_is_expected_to_fail_and_what_is_ended_in_it(folder: Path) -> None:
    [block] = blocks_of("```console\n$ false  # exit code 1\n$ sleep 60 &\noutput\n$ kill %1; wait\n```")

    run(script(block, {}), folder)
