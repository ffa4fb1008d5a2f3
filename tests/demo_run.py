"""Runs of `lern demo` for tests: the process, its output, and what it left in its file, by plain SQL."""

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

LERN = Path(sys.executable).with_name("lern")
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith("LERN_") and name not in {"COLUMNS", "FORCE_COLOR", "NO_COLOR"}
}
STUDY = "dev.coursebatch.job.request"
COURSE = "do_314382045167206411000"


class Ran(NamedTuple):
    """A demo that has ended."""

    folder: Path
    output: str
    errors: str
    code: int

    @property
    def report(self) -> str:
        """The output without what differs from run to run: the folder, the seconds that it took, and the day."""
        text = self.output.replace(str(self.folder), "DIR")
        text = re.sub(r"\d{4}-\d\d-\d\d", "DAY", text)
        return re.sub(r"^Speed$.*(?=^Try next)", "", text, flags=re.MULTILINE | re.DOTALL)


def run(*command: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env=ENVIRONMENT | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def demo_in(folder: Path, *options: str, **environment: str) -> Ran:
    done = run(str(LERN), "demo", *options, cwd=folder, **environment)
    return Ran(folder / "lern-demo", done.stdout, done.stderr, done.returncode)


def query(folder: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "lern.db")) as connection:
        return connection.execute(sql, values).fetchall()


def number_of(query: list[tuple[Any, ...]]) -> int:
    return int(query[0][0] or 0)


def told_in(output: str, pattern: str) -> list[int]:
    """The numbers that a line of the report holds."""
    found = re.search(pattern, output, re.MULTILINE)
    assert found, f"nothing in the report matches {pattern}"
    return [int(number.replace(",", "")) for number in found.groups()]


def merged(folder: Path) -> tuple[str, str]:
    """The account that went, and the one that stayed."""
    messages = query(folder, "SELECT value FROM messages WHERE topic = 'dev.lms.user.account.merge'")
    edata = [msgspec.json.decode(value)["edata"] for (value,) in messages]
    [merge] = [one for one in edata if one.get("toAccountId") not in {None, one["fromAccountId"]}]
    return merge["fromAccountId"], merge["toAccountId"]
