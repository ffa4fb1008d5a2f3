"""The folder of a demo: its settings file and its SQLite file, made anew by each demo and never over anything else."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from lern.adapters.embedded.database import ProcessLock
from lern.demo.course import BATCH
from lern.errors import SettingsError

_MARK = "# Written by `lern demo`, which writes it anew each time it runs in this folder."
_FOREIGN = {
    "content_hierarchy": "SELECT 1 FROM content_hierarchy WHERE identifier <> :course",
    "user_enrolments": "SELECT 1 FROM user_enrolments WHERE courseid <> :course OR batchid <> :batch",
}
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"


@dataclass(frozen=True, slots=True)
class Folder:
    """Where a demo keeps its things."""

    path: Path

    @property
    def config(self) -> Path:
        """The settings."""
        return self.path / "lern.conf"

    @property
    def file(self) -> Path:
        """All topics and tables."""
        return self.path / "lern.db"

    @property
    def last_content(self) -> Path:
        """A message to send by hand."""
        return self.path / "last-content.jsonl"


def prepare(path: Path, course: str) -> tuple[Folder, bool]:
    """An empty demo in this folder, and whether an earlier one was there.

    Raises SettingsError when the folder holds files of these names that are not an earlier demo's alone, or a demo
    whose jobs are running.
    """
    folder = Folder(path)
    try:
        is_new = not path.exists()
        path.mkdir(parents=True, exist_ok=True)
        was_there = folder.config.exists() or folder.file.exists()
        if was_there:
            _clear(folder, course)
            folder.last_content.unlink(missing_ok=True)
        if is_new:
            (path / ".gitignore").write_text("*\n")
        folder.config.write_text(_settings(folder), encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"--dir {path}: {error.strerror}") from error
    return folder, was_there


def _settings(folder: Folder) -> str:
    file = json.dumps(str(folder.file.resolve()), ensure_ascii=False)
    return (
        f"{_MARK}\n"
        f"# Topics and tables are in one SQLite file.\n"
        f"embedded.file = {file}\n"
        f"# Seconds after which a batch is handled though it is not full.\n"
        f"threshold.batch.read.interval = 0.02\n"
    )


def _clear(folder: Folder, course: str) -> None:
    """Drops all tables of an earlier demo. The file stays: another process may have it open."""
    is_ours = folder.config.exists() and folder.config.read_text(errors="replace").startswith(_MARK)
    if not is_ours:
        raise SettingsError(_occupied(folder, "files that no demo wrote"))
    with _locked(folder.file), closing(sqlite3.connect(folder.file)) as connection:
        try:
            tables = [name for (name,) in connection.execute(_TABLES)]
            for table, query in _FOREIGN.items():
                values = {"course": course, "batch": BATCH}
                if table in tables and connection.execute(query, values).fetchone():
                    raise SettingsError(_occupied(folder, "courses or learners that are not the demo's"))
            drops = "".join(f'DROP TABLE "{table}";' for table in tables)
            connection.executescript(f"BEGIN; {drops} COMMIT;")
        except sqlite3.Error as error:
            raise SettingsError(_occupied(folder, f"a lern.db that cannot be used ({error})")) from error


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """No jobs run on the file meanwhile. Raises SettingsError naming the process when they do."""
    lock = ProcessLock(file)
    try:
        yield
    finally:
        lock.release()


def _occupied(folder: Folder, what: str) -> str:
    return f"{folder.path} holds {what}: take another folder with --dir, or remove it yourself"
