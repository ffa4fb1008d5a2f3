"""The installed command as a process."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.conformance.servers import eventually
from tests.conformance.site import Site

LERN = Path(sys.executable).with_name("lern")

_SAMPLE = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>[^}]*)\})? (?P<value>\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


def environment(**variables: str) -> dict[str, str]:
    """The environment without settings of ours."""
    return {k: v for k, v in os.environ.items() if not k.startswith("LERN_")} | variables


def lern(*arguments: object, given: bytes = b"", seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """One command to its end."""
    done = subprocess.run(
        [str(LERN), *map(str, arguments)],
        input=given,
        capture_output=True,
        check=False,
        timeout=seconds,
        env=environment(),
    )
    out, err = done.stdout.decode(), done.stderr.decode(errors="replace")
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def config(site: Site, job: str) -> tuple[str, str]:
    """The option that names the deployed file of a job."""
    return ("--config", str(site.folder / f"{job}.conf"))


def run(
    site: Site, job: str, *options: object, idle: float = 1, seconds: float = 60
) -> subprocess.CompletedProcess[str]:
    """Runs one job until its input is quiet."""
    done = lern("run", job, *config(site, job), "--until-idle", idle, *options, seconds=seconds)
    assert done.returncode == 0, done.stderr
    return done


class Running:
    """`lern run` until it is told to end; what it prints is kept in files."""

    def __init__(
        self, site: Site, jobs: Sequence[str], *options: object, variables: Mapping[str, str] | None = None
    ) -> None:
        self.site, self.jobs = site, jobs
        self._port = free_port()
        where = config(site, jobs[0]) if len(jobs) == 1 else ("--config-dir", str(site.folder))
        number = len(list(site.folder.glob("*.err")))
        self._out, self._err = site.folder / f"{number}.out", site.folder / f"{number}.err"
        command = [str(LERN), "run", *jobs, *where, "--http", f"127.0.0.1:{self._port}", *map(str, options)]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                command, stdout=out, stderr=err, env=environment(**(variables or {}))
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()
        if error is not None:
            error.add_note(
                f"{' '.join(self.jobs)}, exit code {self.process.returncode}:\n{self.errors[-6000:]}"
            )

    @property
    def output(self) -> str:
        """What it has printed."""
        return self._out.read_text()

    @property
    def errors(self) -> str:
        """What it has printed to standard error."""
        return self._err.read_text(errors="replace")

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL, and its end."""
        self.process.kill()
        self.process.wait()

    def end(self, number: int = signal.SIGTERM, seconds: float = 20) -> int:
        """Sends a signal and returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of an endpoint; status 0 while nobody listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def ready(self) -> tuple[int, Any]:
        """Status and document of /readyz."""
        status, body = self.get("/readyz")
        return status, json.loads(body or "null")

    def wait_until_ready(self, seconds: float = 60) -> None:
        """Waits until /readyz says so."""
        status, body = eventually(self.ready, lambda state: state[0] == 200 or not self.alive, seconds)
        assert status == 200, (body, self.errors[-3000:])

    def metrics(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """All samples of /metrics by name and labels."""
        return {
            (sample["name"], frozenset(_LABEL.findall(sample["labels"] or ""))): float(sample["value"])
            for sample in _SAMPLE.finditer(self.get("/metrics")[1])
        }

    def counts(self, job: str) -> dict[str, int]:
        """The counters of a job that are not zero."""
        found = {}
        for (name, labels), value in self.metrics().items():
            of = dict(labels)
            if name == "lern_job_total" and of["job"] == job and value:
                found[of["count"]] = int(value)
        return found

    def lag(self, job: str) -> float:
        """Messages not yet committed, of all partitions."""
        samples = self.metrics().items()
        return sum(
            v for (name, labels), v in samples if name == "lern_lag_messages" and ("job", job) in labels
        )


def free_port() -> int:
    """A port that nobody uses now."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
