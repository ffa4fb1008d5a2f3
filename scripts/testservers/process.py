"""Processes that outlive the command that started them: launch, recognise, measure and stop them.

A process is remembered by its id and its start time, so that an id which the system has given to another
process in the meantime is never signalled.
"""

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE_SECONDS = 15.0

# Below every system's range of outgoing ports: otherwise, while a server is stopped, a client's connection
# could take its port, or even connect to itself.
_PORTS = range(20_000, 32_000)


@dataclass(frozen=True)
class Process:
    """One process: its id, and its start time as the system tells it."""

    pid: int
    started: str

    def alive(self) -> bool:
        """Whether the id still belongs to this very process."""
        return _start_time(self.pid) == self.started

    def resident_mib(self) -> int:
        """Memory held by the process, in MiB."""
        with suppress(OSError):
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
            return pages * os.sysconf("SC_PAGE_SIZE") // 2**20
        return int(_ps(self.pid, "rss") or 0) // 1024

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        if self.alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def launch(command: Sequence[str], folder: Path, log: Path) -> Process:
    """Start a command in a session of its own (Ctrl-C does not reach it), its output appended to `log`."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    child.returncode = 0  # left to run on purpose: no warning about a child that is still running
    return Process(child.pid, _start_time(child.pid) or "")


def stop(processes: Iterable[Process], *, kill: bool = False, grace: float = GRACE_SECONDS) -> None:
    """Stop processes together: SIGTERM, then SIGKILL for those that are still there after the grace."""
    left = [process for process in processes if process.alive()]
    for number in (signal.SIGKILL,) if kill else (signal.SIGTERM, signal.SIGKILL):
        for process in left:
            process.send(number)
        deadline = time.monotonic() + grace
        while left and time.monotonic() < deadline:
            time.sleep(0.05)
            left = [process for process in left if process.alive()]


def free_ports(count: int, taken: Collection[int]) -> list[int]:
    """Ports of 127.0.0.1 on which nothing listens now, and which are not taken for something else."""
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        if len(found) == count:
            break
        if port in taken:
            continue
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return found


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold SIGINT, SIGTERM and SIGHUP back until the block has ended."""
    held: list[int] = []

    def hold(received: int, _frame: FrameType | None) -> None:
        held.append(received)

    before = {number: signal.signal(number, hold) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if held:
            signal.raise_signal(held[0])


def _start_time(pid: int) -> str | None:
    """When the process started; none if it has ended, even when its parent has not asked for its end yet."""
    if not Path("/proc/self/stat").exists():
        return _ps(pid, "lstart")
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in {"Z", "X"} else fields[19]
    return None


def _ps(pid: int, column: str) -> str | None:
    """One column of `ps`, for systems without /proc."""
    shown = subprocess.run(
        ["ps", "-o", f"stat=,{column}=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, value = shown.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else value.strip()
