"""The machine that is measured on: what it is, and whether it is quiet."""

import os
import platform
import sqlite3
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import cassandra
import confluent_kafka
import hiredis
import msgspec
import psutil
import redis

from lern import __version__

_LOOK_SECONDS = 2.0
_QUIET = 0.1
"""Share of the machine that is used while nothing is measured: above that it is not quiet."""


def describe() -> dict[str, object]:
    """Machine and versions, as they stand in the JSON."""
    memory = psutil.virtual_memory().total
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "model": _model(),
            "cores": len(os.sched_getaffinity(0)),
            "memory": memory,
            "system": platform.platform(),
        },
        "versions": {
            "lern-jobs": __version__,
            "python": platform.python_version(),
            "confluent-kafka": confluent_kafka.__version__,
            "librdkafka": confluent_kafka.libversion()[0],
            "cassandra-driver": cassandra.__version__,
            "redis-py": redis.__version__,
            "hiredis": hiredis.__version__,
            "msgspec": msgspec.__version__,
            "sqlite": sqlite3.sqlite_version,
        },
    }


def quiet() -> tuple[tuple[float, float, float], float]:
    """The load averages, and the share of the machine (0 to 1) that is used just now."""
    return os.getloadavg(), psutil.cpu_percent(_LOOK_SECONDS) / 100


def is_quiet(share: float) -> bool:
    """Whether a share of the machine that is used leaves measurements alone."""
    return share <= _QUIET


class Others:
    """How much of the machine was used by processes that have nothing to do with a measurement."""

    def __init__(self, known: Iterable[psutil.Process] = ()) -> None:
        self.share = 0.0
        """Of the whole machine (0 to 1), once the block has ended."""
        self._known = list(known)
        self._before = (0.0, 0.0)

    def __enter__(self) -> Self:
        self._before = (time.monotonic(), self._used())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        started, used = self._before
        seconds = time.monotonic() - started
        self.share = max(0.0, (self._used() - used) / seconds / (psutil.cpu_count() or 1))

    def _used(self) -> float:
        """Seconds of CPU that all have used, without this process, its children and those that are known."""
        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0) + getattr(times, "guest", 0.0)
        ended = os.times()
        own = ended.user + ended.system + ended.children_user + ended.children_system
        return float(sum(times) - idle - own - sum(map(cpu, self._known)))


def cpu(process: psutil.Process) -> float:
    """Seconds of CPU, user and system, that a process has used; 0 when it has ended."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _model() -> str:
    file = Path("/proc/cpuinfo")
    if file.exists():
        for line in file.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
