"""What the servers need from elsewhere: programs by apt, jars by Maven into a cache that is filled once."""

import fcntl
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testservers.errors import ServersError, UsageError

_POM = """\
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>lern.testservers</groupId>
  <artifactId>{name}</artifactId>
  <version>{version}</version>
  <dependencies>
{dependencies}
  </dependencies>
</project>
"""

_DEPENDENCY = """\
    <dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"""


@dataclass(frozen=True)
class Jars:
    """The jars of one server: Maven coordinates (group:artifact:version) with all they depend on."""

    name: str
    version: str
    coordinates: tuple[str, ...]

    @property
    def libs(self) -> Path:
        """The folder of the jars, filled once for all checkouts (LERN_CACHE overrides where)."""
        cache = os.environ.get("LERN_CACHE") or Path.home() / ".cache" / "lern-jobs"
        return Path(cache).absolute() / f"{self.name}-{self.version}" / "libs"

    def fetch(self) -> None:
        """Fill the folder unless it is there: whole or not at all, by one process at a time."""
        if self.libs.is_dir():
            return
        home = self.libs.parent
        home.mkdir(parents=True, exist_ok=True)
        with locked(home / "lock"):
            if self.libs.is_dir():
                return
            require({"java": "default-jre-headless", "mvn": "maven"})
            say(f"fetching {self.name} {self.version}")
            with tempfile.TemporaryDirectory(dir=home) as work:
                self._copy(Path(work))
                (Path(work) / "libs").rename(self.libs)

    def _copy(self, work: Path) -> None:
        dependencies = "\n".join(_DEPENDENCY.format(*each.split(":")) for each in self.coordinates)
        (work / "pom.xml").write_text(
            _POM.format(name=self.name, version=self.version, dependencies=dependencies)
        )
        goal = [
            "dependency:copy-dependencies",
            f"-DoutputDirectory={work / 'libs'}",
            "-DincludeScope=runtime",
        ]
        run(["mvn", "--batch-mode", "--quiet", "--strict-checksums", *goal], cwd=work)


def require(programs: Mapping[str, str]) -> None:
    """See to it that programs are there; `programs` names the Debian package of each.

    As root on a system with apt the packages are installed, elsewhere the error says what to install.
    """
    missing = [program for program in programs if not shutil.which(program)]
    if not missing:
        return
    packages = sorted({programs[program] for program in missing})
    install = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise UsageError(f"missing: {', '.join(missing)} (on Debian or Ubuntu: sudo {shlex.join(install)})")
    say(f"installing {', '.join(packages)}")
    run(["apt-get", "update"])
    run(install, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    if "redis-server" in packages and Path("/run/systemd/system").exists():
        run(["systemctl", "disable", "--now", "redis-server"])  # the package starts a service of its own


def run(command: list[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
    """Run a command quietly; when it fails, the end of its output is in the error."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        end = "\n".join(done.stdout.splitlines()[-20:])
        raise ServersError(f"{command[0]} failed ({done.returncode}): {shlex.join(command)}\n{end}")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file: one process at a time."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def say(text: str) -> None:
    """Tell progress, on standard error: standard output is for the addresses."""
    print(f"servers: {text}", file=sys.stderr, flush=True)
