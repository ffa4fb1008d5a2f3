"""The servers together: start those that are missing, wait until they answer, stop them again."""

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from testservers.cassandra import Cassandra
from testservers.container import Container, engine
from testservers.errors import ServersError, UsageError
from testservers.fetch import locked, say
from testservers.kafka import Kafka
from testservers.local import Local
from testservers.process import free_ports, uninterrupted
from testservers.redis import Redis
from testservers.server import Server
from testservers.state import Entry, State

# In the order in which they are started: the slowest first.
SERVERS: Mapping[str, Server] = {server.name: server for server in (Cassandra(), Kafka(), Redis())}


class Runner(Protocol):
    """What runs the servers: this machine, or a container engine."""

    @property
    def name(self) -> str: ...
    def fetch(self, server: Server, /) -> None: ...
    def start(self, server: Server, entry: Entry, /) -> None: ...
    def stop(self, entries: Mapping[str, Entry], /, *, kill: bool = False) -> None: ...
    def remove(self) -> None: ...
    def running(self, name: str, entry: Entry, /) -> bool: ...
    def log(self, name: str, entry: Entry, /) -> str: ...


class Cluster:
    """The servers of one state folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = State.load(folder)

    def up(self, names: Iterable[str]) -> None:
        """Start those of the servers that do not run, all at once, and wait until they answer."""
        wanted = [name for name in SERVERS if name in set(names)]
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / "lock"):
            self.state = State.load(self.folder)
            runner = self._runner()
            begun = time.monotonic()
            down = [name for name in wanted if not self._running(runner, name)]
            for name in down:
                runner.fetch(SERVERS[name])
            if down:
                say(f"starting {', '.join(down)}")
            for name in down:
                self._start(runner, name)
            for name in wanted:
                self._wait(runner, name)
                if name in down:
                    say(
                        f"{name} answers at {self.state.entries[name].address} ({time.monotonic() - begun:.1f} s)"
                    )

    def start(self, name: str) -> None:
        """Start a server that was stopped, on the same ports with the same data."""
        self._known(name)
        self.up([name])

    def stop(self, name: str, *, kill: bool) -> None:
        """Stop a server, and keep its ports and data."""
        self._known(name)
        with locked(self.folder / "lock"), uninterrupted():
            self.state = State.load(self.folder)
            self._runner().stop({name: self.state.entries[name]}, kill=kill)
            self.state.save()

    def down(self) -> None:
        """Stop all servers, remove their data and forget them."""
        if not self.state.file.exists():
            return
        with locked(self.folder / "lock"), uninterrupted():
            self.state = State.load(self.folder)
            runner = self._runner()
            runner.stop(self.state.entries)
            runner.remove()
            self.state.clear()

    def condition(self, name: str) -> str:
        """Whether a server is `up`, `not answering`, `stopped` by command, or has `ended` by itself."""
        runner, entry = self._runner(), self.state.entries[name]
        if runner.running(name, entry):
            return "up" if SERVERS[name].ready(entry.ports["client"]) else "not answering"
        return "ended" if entry.process else "stopped"

    def _start(self, runner: Runner, name: str) -> None:
        server, entry = SERVERS[name], self.state.entries.get(name)
        if entry is None:
            taken = {port for other in self.state.entries.values() for port in other.ports.values()}
            ports = free_ports(len(server.ports), taken)
            entry = Entry(dict(zip(server.ports, ports, strict=True)), self.state.data_folder() / name)
        with uninterrupted():  # a process that was started is always recorded
            self.state.engine = runner.name
            self.state.entries[name] = entry
            self.state.save()
            runner.start(server, entry)
            self.state.save()

    def _wait(self, runner: Runner, name: str) -> None:
        server, entry = SERVERS[name], self.state.entries[name]
        deadline = time.monotonic() + server.start_seconds
        while (ended := not runner.running(name, entry)) or not server.ready(entry.ports["client"]):
            if ended or time.monotonic() > deadline:
                what = (
                    "ended while it started" if ended else f"did not answer in {server.start_seconds:.0f} s"
                )
                end = "\n".join(line[:300] for line in runner.log(name, entry).splitlines()[-20:])
                runner.stop({name: entry}, kill=True)
                self.state.save()
                raise ServersError(f"{name} {what}; the end of its log:\n{end}")
            time.sleep(0.1)

    def _running(self, runner: Runner, name: str) -> bool:
        entry = self.state.entries.get(name)
        return entry is not None and runner.running(name, entry)

    def _known(self, name: str) -> None:
        if name not in self.state.entries:
            raise UsageError(
                f"{name} was not started by `scripts/servers up` with the state in {self.folder}"
            )

    def _runner(self) -> Runner:
        """What runs the servers already, else what LERN_SERVERS says, else containers where they can run."""
        choice = self.state.engine or os.environ.get("LERN_SERVERS", "")
        if choice not in {"", Local.name, Container.name}:
            raise UsageError(f"LERN_SERVERS is {choice!r}; it can be {Local.name} or {Container.name}")
        if choice == Local.name:
            return Local()
        found = engine()
        if found:
            return Container(found, lambda: self.state.data_folder().name)
        if choice:
            raise UsageError("no container engine with compose answers here (docker or podman)")
        return Local()
