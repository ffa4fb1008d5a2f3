"""The folder of the demo: made anew, and never over what is not the demo's."""

import fcntl
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lern.adapters.embedded import Embedded
from lern.demo.folder import prepare
from lern.errors import SettingsError
from lern.settings import Profile, load

_COURSE = "do_1"


def _rows(file: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(query).fetchall()


def _demo(path: Path, **enrolment: str) -> Path:
    """A folder with an earlier demo that has one enrolment."""
    folder, _ = prepare(path, _COURSE)
    row = {"userid": "u", "courseid": _COURSE, "batchid": "01438204516720649216"} | enrolment
    embedded = Embedded(folder.file)
    embedded.put("user_enrolments", row)
    embedded.close()
    return folder.file


@pytest.mark.parametrize("name", ["demo", "with space and 'quote'", 'with "quotes"', "गणित", "back\\slash"])
def test_settings_lead_to_the_file_in_the_folder_from_anywhere(tmp_path: Path, name: str) -> None:
    folder, was_there = prepare(tmp_path / name, _COURSE)

    loaded = load(["relation-cache-updater"], config=folder.config, environ={})

    assert loaded.warnings == []
    assert loaded.jobs["relation-cache-updater"].profile is Profile.EMBEDDED
    assert loaded.jobs["relation-cache-updater"].embedded.file == (tmp_path / name / "lern.db").absolute()
    assert not was_there


def test_new_folder_keeps_itself_out_of_version_control(tmp_path: Path) -> None:
    prepare(tmp_path / "new", _COURSE)

    assert (tmp_path / "new" / ".gitignore").read_text() == "*\n"


def test_folder_with_other_files_is_used_and_they_stay(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    prepare(tmp_path, _COURSE)

    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", "lern.conf"}
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_earlier_demo_is_emptied(tmp_path: Path) -> None:
    file = _demo(tmp_path)

    _, was_there = prepare(tmp_path, _COURSE)

    assert was_there
    assert _rows(file, "SELECT name FROM sqlite_master WHERE type = 'table'") == []


def test_reader_that_has_the_earlier_file_open_sees_the_new_demo(tmp_path: Path) -> None:
    reader = Embedded(_demo(tmp_path))

    _demo(tmp_path, userid="v")

    found = reader.row("user_enrolments", userid="v")
    reader.close()
    assert found


def test_demo_that_was_stopped_before_it_had_tables_is_emptied(tmp_path: Path) -> None:
    folder, _ = prepare(tmp_path, _COURSE)
    folder.file.touch()

    assert prepare(tmp_path, _COURSE) == (folder, True)


@pytest.mark.parametrize("other", [{"courseid": "do_2"}, {"batchid": "b"}])
def test_data_of_other_courses_and_batches_is_never_touched(tmp_path: Path, other: dict[str, str]) -> None:
    file = _demo(tmp_path, **other)

    with pytest.raises(SettingsError, match="not the demo's: take another folder with --dir"):
        prepare(tmp_path, _COURSE)

    assert _rows(file, "SELECT userid FROM user_enrolments") == [("u",)]


@pytest.mark.parametrize("name", ["lern.db", "lern.conf"])
def test_files_that_no_demo_wrote_are_never_touched(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")

    with pytest.raises(SettingsError, match="files that no demo wrote"):
        prepare(tmp_path, _COURSE)

    assert (tmp_path / name).read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1


def test_file_that_is_no_database_is_never_touched(tmp_path: Path) -> None:
    folder, _ = prepare(tmp_path, _COURSE)
    folder.file.write_text("no database at all, but long enough to look at its first bytes " * 20)

    with pytest.raises(SettingsError, match=r"a lern\.db that cannot be used"):
        prepare(tmp_path, _COURSE)


def test_demo_whose_jobs_are_running_is_left_alone(tmp_path: Path) -> None:
    file = _demo(tmp_path)
    with Path(f"{file}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711")
        lock.flush()

        with pytest.raises(SettingsError, match="in use by process 4711"):
            prepare(tmp_path, _COURSE)

    assert _rows(file, "SELECT count(*) FROM user_enrolments") == [(1,)]


def test_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")

    with pytest.raises(SettingsError, match=r"--dir .*file: File exists"):
        prepare(tmp_path / "file", _COURSE)
