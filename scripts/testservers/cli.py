"""The command line of `scripts/servers`."""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from testservers.cluster import SERVERS, Cluster
from testservers.errors import ServersError, UsageError
from testservers.fetch import say
from testservers.process import SIGNALS, uninterrupted
from testservers.state import default_folder

_NAMES = ("kafka", "cassandra", "redis")

# The addresses among LERN_TEST_* that this command has set: they do not count as given from outside.
_STARTED = "LERN_SERVERS_STARTED"

_ABOUT = """\
Real Kafka, Cassandra and Redis on free ports of 127.0.0.1, for tests, benchmarks and development.
`eval "$(scripts/servers up)"` starts them and sets LERN_TEST_KAFKA, LERN_TEST_CASSANDRA and LERN_TEST_REDIS.
"""

_ENVIRONMENT = """\
environment:
  LERN_TEST_KAFKA, LERN_TEST_CASSANDRA, LERN_TEST_REDIS
                       a server that is already there: it is not started, its address is passed on
  LERN_SERVERS         local or container; default: containers where an engine with compose answers
  LERN_SERVERS_STATE   folder that remembers what was started; default: .cache/servers
  LERN_CACHE           folder of fetched jars; default: ~/.cache/lern-jobs
"""


class Interrupted(Exception):
    """A signal asked to end; `number` says which."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    options = _parse(arguments)
    try:
        match options.action:
            case "up":
                return _up(options.names)
            case "down":
                Cluster(default_folder()).down()
            case "status":
                return _status(Cluster(default_folder()))
            case "stop":
                Cluster(default_folder()).stop(options.name, kill=options.kill)
            case "start":
                Cluster(default_folder()).start(options.name)
            case "exec":
                return _Execution(options.only, options.command).run()
    except ServersError as error:
        say(str(error))
        return error.code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/servers",
        description=_ABOUT,
        epilog=_ENVIRONMENT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="COMMAND")
    up = actions.add_parser("up", help="start the servers that do not run, and print their addresses")
    up.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(_NAMES)}; all by default")
    actions.add_parser("down", help="stop what was started, and remove its data")
    actions.add_parser("status", help="show what was started; exit code 1 when a server is not up")
    stop = actions.add_parser("stop", help="stop one server, and keep its ports and data")
    stop.add_argument("name", choices=_NAMES)
    stop.add_argument("--kill", action="store_true", help="by SIGKILL, as in a crash")
    start = actions.add_parser("start", help="start a stopped server again")
    start.add_argument("name", choices=_NAMES)
    execute = actions.add_parser(
        "exec",
        usage="scripts/servers exec [--only NAME...] -- CMD...",
        help="run a command with fresh servers, and stop them when it ends",
    )
    execute.add_argument("--only", nargs="+", metavar="NAME", help="only these servers", default=[])

    own, separator, command = _split(arguments)
    options = parser.parse_args(own)
    names = [*getattr(options, "names", []), *getattr(options, "only", [])]
    if unknown := [name for name in names if name not in _NAMES]:
        parser.error(f"no server is called {unknown[0]}; there are {', '.join(_NAMES)}")
    if (options.action == "exec") != separator or (separator and not command):
        parser.error("exec, and only exec, takes a command after --")
    options.command = command
    return options


def _split(arguments: Sequence[str]) -> tuple[list[str], bool, list[str]]:
    """The arguments before the first `--`, whether there is one, and those after it."""
    words = list(arguments)
    if "--" not in words:
        return words, False, []
    place = words.index("--")
    return words[:place], True, words[place + 1 :]


def _up(names: Sequence[str]) -> int:
    cluster = Cluster(default_folder())
    for variable, value in _bring_up(cluster, names or _NAMES).items():
        print(f"export {variable}={shlex.quote(value)}")
    return 0


def _status(cluster: Cluster) -> int:
    rows = [("SERVER", "ADDRESS", "PID", "MEMORY", "STATE")]
    for name in _NAMES:
        if entry := cluster.state.entries.get(name):
            condition = cluster.condition(name)
            live = entry.process if entry.process and entry.process.alive() else None
            memory = f"{live.resident_mib()} MiB" if live else "-"
            rows.append((name, entry.address, str(live.pid) if live else "-", memory, condition))
        elif address := _given(cluster, name):
            rows.append((name, address, "-", "-", "given"))
    if len(rows) == 1:
        print(f"no server was started (state folder: {cluster.folder})")
        return 0
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0 if all(row[-1] in {"up", "given"} for row in rows[1:]) else 1


def _bring_up(cluster: Cluster, names: Sequence[str]) -> dict[str, str]:
    """Start the servers whose address is not given, and return the variables that hold all addresses."""
    addresses = {name: address for name in names if (address := _given(cluster, name))}
    if started := [name for name in names if name not in addresses]:
        cluster.up(started)
    addresses |= {name: cluster.state.entries[name].address for name in started}
    variables = {SERVERS[name].variable: addresses[name] for name in names}
    if cluster.state.entries:
        variables[_STARTED] = " ".join(entry.address for entry in cluster.state.entries.values())
    return variables


def _given(cluster: Cluster, name: str) -> str | None:
    """The address of a server that the environment gives, unless it is one that this command started."""
    started = {entry.address for entry in cluster.state.entries.values()} | set(
        os.environ.get(_STARTED, "").split()
    )
    address = os.environ.get(SERVERS[name].variable)
    return address if address and address not in started else None


class _Execution:
    """One run of a command with servers of its own, which end with it whatever happens."""

    def __init__(self, only: Sequence[str], command: Sequence[str]) -> None:
        self._names = [name for name in _NAMES if not only or name in only]
        self._command = list(command)
        self._child: subprocess.Popen[bytes] | None = None
        self._ending = False

    def run(self) -> int:
        """The command's exit code; as a shell tells it when a signal ended it."""
        if not shutil.which(self._command[0]):
            raise UsageError(f"no such command: {self._command[0]}")
        folder = Path(tempfile.mkdtemp(prefix="lern-servers-state-"))
        cluster = Cluster(folder)
        for number in SIGNALS:
            signal.signal(number, self._signalled)
        try:
            return self._run(_bring_up(cluster, self._names) | {"LERN_SERVERS_STATE": str(folder)})
        except Interrupted as interruption:
            return 128 + interruption.number
        finally:
            self._ending = True
            Cluster(folder).down()
            shutil.rmtree(folder, ignore_errors=True)

    def _run(self, variables: Mapping[str, str]) -> int:
        with uninterrupted():
            self._child = subprocess.Popen(self._command, env={**os.environ, **variables})
        code = self._child.wait()
        return code if code >= 0 else 128 - code

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        """Pass a signal on to the command, or end when it does not run yet."""
        if self._ending:
            return
        if self._child is None:
            raise Interrupted(number)
        if not (
            number == signal.SIGINT and sys.stdin.isatty()
        ):  # a terminal's Ctrl-C reaches the command itself
            self._child.send_signal(number)
