"""The command `scripts/servers`, without real servers: a small program stands in for redis-server."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "servers"

GIVEN = {
    "LERN_TEST_KAFKA": "kafka.example:1",
    "LERN_TEST_CASSANDRA": "cassandra.example:2",
    "LERN_TEST_REDIS": "redis.example:3",
}

# Answers PING on the port that its configuration file names.
STAND_IN = f"""\
#!{sys.executable}
import pathlib, re, socket, sys
port = int(re.search(r"^port (\\d+)", pathlib.Path(sys.argv[1]).read_text(), re.M)[1])
listener = socket.create_server(("127.0.0.1", port))
while True:
    connection, _ = listener.accept()
    connection.recv(100)
    connection.sendall(b"+PONG\\r\\n")
    connection.close()
"""

BROKEN = """\
#!/bin/sh
echo "cannot open the append-only file"
exit 1
"""


@dataclass
class Servers:
    """Runs the command with a state folder of its own."""

    state: Path
    programs: Path

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("LERN_")}
        own = {
            "LERN_SERVERS": "local",
            "LERN_SERVERS_STATE": str(self.state),
            "TMPDIR": str(self.programs.parent),
            "PATH": f"{self.programs}:{os.environ['PATH']}",
        }
        return {**kept, **own, **variables}

    def __call__(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, SCRIPT, *arguments],
            env=self.environment(variables),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def program(self, text: str) -> None:
        """Let `text` be the program redis-server."""
        path = self.programs / "redis-server"
        path.write_text(text)
        path.chmod(0o755)

    def record(self, process: "subprocess.Popen[bytes]", started: str) -> Path:
        """Write a state in which a process is redis; return the folder of its data."""
        data = self.programs.parent / "data"
        data.mkdir()
        entry = {
            "ports": {"client": 1},
            "folder": str(data / "redis"),
            "process": {"pid": process.pid, "started": started},
        }
        self.state.mkdir()
        stored = {"engine": "local", "data": str(data), "servers": {"redis": entry}}
        (self.state / "state.json").write_text(json.dumps(stored))
        return data

    def stored(self) -> dict[str, dict[str, dict[str, object]]]:
        stored: dict[str, dict[str, dict[str, object]]] = json.loads((self.state / "state.json").read_text())
        return stored


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    (tmp_path / "programs").mkdir()
    command = Servers(tmp_path / "state", tmp_path / "programs")
    yield command
    command("down")


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["restart"],
        ["up", "mysql"],
        ["stop"],
        ["start", "mysql"],
        ["exec"],
        ["exec", "true"],
        ["exec", "--"],
        ["exec", "--only", "mysql", "--", "true"],
        ["exec", "--", "no-such-command-here"],
        ["status", "--", "true"],
        ["stop", "redis"],
    ],
)
def test_what_cannot_be_carried_out_exits_with_2(servers: Servers, arguments: list[str]) -> None:
    done = servers(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


def test_status_without_state(servers: Servers) -> None:
    done = servers("status")
    assert done.returncode == 0
    assert "no server was started" in done.stdout


def test_given_addresses_are_passed_on_and_nothing_is_started(servers: Servers) -> None:
    done = servers("up", **GIVEN)
    assert done.stdout.splitlines() == [f"export {key}={value}" for key, value in GIVEN.items()]
    assert not servers.state.exists()
    assert [line.split()[-1] for line in servers("status", **GIVEN).stdout.splitlines()[1:]] == ["given"] * 3
    assert servers("stop", "kafka", **GIVEN).returncode == 2


def test_exec_sets_the_variables_and_returns_the_code_of_the_command(servers: Servers) -> None:
    code = "import os; print(*(os.environ[name] for name in sorted(os.environ) if name[:10] == 'LERN_TEST_')); exit(7)"
    done = servers("exec", "--", sys.executable, "-c", code, **GIVEN)
    assert (done.returncode, done.stderr) == (7, "")
    assert done.stdout.split() == sorted(GIVEN.values())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_exec_passes_a_signal_on_and_stops_its_servers(servers: Servers, number: signal.Signals) -> None:
    servers.program(STAND_IN)
    command = [
        "exec",
        "--only",
        "redis",
        "--",
        "sh",
        "-c",
        "echo $LERN_SERVERS_STATE $LERN_TEST_REDIS; exec sleep 60",
    ]
    with subprocess.Popen(
        [sys.executable, SCRIPT, *command],
        env=servers.environment({}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as run:
        assert run.stdout
        state, address = run.stdout.readline().split()
        redis = json.loads((Path(state) / "state.json").read_text())["servers"]["redis"]
        assert address == f"127.0.0.1:{redis['ports']['client']}"
        run.send_signal(number)
        assert run.wait(30) == 128 + number
    assert not Path(state).exists()
    assert not Path(redis["folder"]).exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", redis["ports"]["client"]))


def test_a_server_keeps_its_address_until_down(servers: Servers) -> None:
    servers.program(STAND_IN)
    first = servers("up", "redis")
    assert first.returncode == 0, first.stderr
    assert servers("up", "redis").stdout == first.stdout
    assert servers("status").returncode == 0

    process = servers.stored()["servers"]["redis"]["process"]
    assert servers("stop", "redis", "--kill").returncode == 0
    assert servers("status").returncode == 1
    assert servers("start", "redis").returncode == 0
    redis = servers.stored()["servers"]["redis"]
    assert redis["process"] != process
    assert servers("up", "redis").stdout == first.stdout

    assert servers("down").returncode == 0
    assert not servers.state.joinpath("state.json").exists()
    assert not Path(str(redis["folder"])).exists()


def test_an_address_of_our_own_does_not_count_as_given(servers: Servers) -> None:
    servers.program(STAND_IN)
    exported = dict(
        line.removeprefix("export ").split("=") for line in servers("up", "redis").stdout.splitlines()
    )
    assert servers("down", **exported).returncode == 0
    again = servers("up", "redis", **exported)
    assert again.returncode == 0
    assert servers("status", **exported).stdout.split()[-1] == "up"


def test_a_server_that_ends_at_once_shows_its_log(servers: Servers) -> None:
    servers.program(BROKEN)
    done = servers("up", "redis")
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot open the append-only file" in done.stderr


def test_a_missing_program_is_named(servers: Servers) -> None:
    done = servers("up", "redis", PATH=str(servers.programs))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "missing: redis-server" in done.stderr


def test_an_unknown_way_to_run_servers_is_refused(servers: Servers) -> None:
    assert servers("up", LERN_SERVERS="cloud").returncode == 2


def test_a_process_that_took_over_the_id_is_never_signalled(
    servers: Servers, sleeper: "subprocess.Popen[bytes]"
) -> None:
    data = servers.record(sleeper, started="1")
    assert servers("status").returncode == 1
    assert servers("stop", "redis", "--kill").returncode == 0
    assert servers("down").returncode == 0
    assert sleeper.poll() is None
    assert not data.exists()


def test_the_recorded_process_is_ended(servers: Servers, sleeper: "subprocess.Popen[bytes]") -> None:
    servers.record(sleeper, started=start_time(sleeper.pid))
    assert servers("down").returncode == 0
    assert sleeper.wait(5) == -signal.SIGTERM


def start_time(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
