"""Settings that cannot work end the process with 2, and it says where to look."""

import shutil
from pathlib import Path

import pytest
from tests.conformance.conftest import NewSite
from tests.conformance.process import lern
from tests.conformance.site import ACTIVITY, RELATIONS, Site


@pytest.fixture(scope="module")
def original(new_site: NewSite) -> Site:
    """An installation whose files are in order."""
    return new_site()


@pytest.fixture
def conf(original: Site, tmp_path: Path) -> Path:
    """A folder with a copy of its files."""
    for file in original.folder.glob("*.conf"):
        shutil.copy(file, tmp_path)
    activity = tmp_path / f"{ACTIVITY}.conf"
    activity.write_text(activity.read_text().replace(str(original.folder), str(tmp_path)))
    return tmp_path


def edit(file: Path, line: str, by: str) -> int:
    """Puts one line in place of another; returns its number."""
    lines = file.read_text().splitlines()
    [number] = [number for number, text in enumerate(lines) if text.strip() == line]
    lines[number] = by
    file.write_text("\n".join(lines) + "\n")
    return number + 1


ACTIVITY_FILE, BASE_FILE = f"{ACTIVITY}.conf", "base-config.conf"


@pytest.mark.parametrize(
    ("file", "line", "by", "key"),
    [
        (BASE_FILE, "isMultiDCEnabled = false", "port = 90x2", "lms-cassandra.port"),
        (
            BASE_FILE,
            'zookeeper = "127.0.0.1:2181"',
            'broker-servers = "kafka:9092:9093"',
            "kafka.broker-servers",
        ),
        (
            ACTIVITY_FILE,
            "threshold.batch.read.size = 1000",
            "threshold.batch.read.size = many",
            "threshold.batch.read.size",
        ),
        (
            ACTIVITY_FILE,
            "threshold.batch.read.size = 1000",
            "threshold.batch.read.size = 0",
            "threshold.batch.read.size",
        ),
        (
            ACTIVITY_FILE,
            "threshold.batch.write.size = 10",
            "threshold.batch.read.interval = soon",
            "threshold.batch.read.interval",
        ),
        (
            ACTIVITY_FILE,
            "threshold.batch.write.size = 10",
            "service.search.basePath = search",
            "service.search.basePath",
        ),
        (
            ACTIVITY_FILE,
            "input.dedup.enabled = true",
            "input.dedup.enabled = maybe",
            "activity.input.dedup.enabled",
        ),
        (ACTIVITY_FILE, "database.index = 13", "database.index = -1", "dedup-redis.database.index"),
        (ACTIVITY_FILE, 'keyspace = "{courses}"', 'keyspace = "a; DROP"', "lms-cassandra.keyspace"),
        (ACTIVITY_FILE, "database.index = 13", "database.index = ${nowhere}", "dedup-redis.database.index"),
        (ACTIVITY_FILE, "database.index = 13", 'host = "{{ redis_host }}"', "dedup-redis.host"),
    ],
)
def test_a_wrong_value_is_named_by_key_file_and_line(
    original: Site, conf: Path, file: str, line: str, by: str, key: str
) -> None:
    number = edit(conf / file, line.replace("{courses}", original.keyspaces.courses), by)
    done = lern("run", ACTIVITY, "--config", conf / ACTIVITY_FILE, "--until-idle", 1)
    assert done.returncode == 2, done.stderr
    assert key in done.stderr
    assert f"{file}:{number}" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_file_that_is_no_settings_file_is_named_by_line(conf: Path) -> None:
    number = edit(conf / BASE_FILE, "min.idle = 1", "min.idle = [1, 2")
    done = lern("run", ACTIVITY, "--config", conf / ACTIVITY_FILE)
    assert done.returncode == 2
    assert f"{BASE_FILE}:" in done.stderr
    assert int(done.stderr.split(f"{BASE_FILE}:")[1].split(":")[0]) >= number
    assert "Traceback" not in done.stderr


def test_all_wrong_values_are_told_at_once(conf: Path) -> None:
    one = edit(conf / ACTIVITY_FILE, "threshold.batch.read.size = 1000", "threshold.batch.read.size = x")
    two = edit(conf / ACTIVITY_FILE, "database.expiry = 604800", "database.expiry = y")
    done = lern("run", RELATIONS, ACTIVITY, "--config-dir", conf)
    assert done.returncode == 2
    assert f"{ACTIVITY_FILE}:{one}" in done.stderr
    assert f"{ACTIVITY_FILE}:{two}" in done.stderr


@pytest.mark.parametrize(
    "key", ["broker-servers", "host"], ids=["kafka.broker-servers", "lms-cassandra.host and redis.host"]
)
def test_a_required_key_that_is_missing_is_named(conf: Path, key: str) -> None:
    base = conf / BASE_FILE
    kept = [line for line in base.read_text().splitlines() if not line.strip().startswith(f"{key} =")]
    base.write_text("\n".join(kept))
    done = lern(
        "run", ACTIVITY, "--config", conf / ACTIVITY_FILE, "--profile", "connected", "--until-idle", 1
    )
    assert done.returncode == 2, done.stderr
    for missing in {"broker-servers": ["kafka.broker-servers"], "host": ["lms-cassandra.host"]}[key]:
        assert missing in done.stderr
    assert ACTIVITY_FILE in done.stderr
    assert "Traceback" not in done.stderr


def test_a_key_that_nobody_knows_is_a_warning(conf: Path) -> None:
    number = edit(conf / ACTIVITY_FILE, "threshold.batch.write.size = 10", "threshold.batch.wriet.size = 10")
    done = lern("run", ACTIVITY, "--config", conf / ACTIVITY_FILE, "--until-idle", 0.2)
    assert done.returncode == 0, done.stderr
    assert "threshold.batch.wriet.size" in done.stderr
    assert f"{ACTIVITY_FILE}:{number}" in done.stderr


def test_files_of_an_installation_are_taken_without_a_warning(original: Site) -> None:
    done = lern("settings", "check", "--config-dir", original.folder)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "no-such-job"),
        ("run",),
        ("run", ACTIVITY, "--all"),
        ("no-such-command",),
        ("run", ACTIVITY, "--no-such-option"),
        ("run", ACTIVITY, "--config", "/no/such/file.conf"),
        ("run", ACTIVITY, "--set", "no.such.key=1"),
        ("run", ACTIVITY, "--http", "nonsense"),
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2_and_a_sentence(arguments: tuple[str, ...], tmp_path: Path) -> None:
    file = ("--set", f"embedded.file={tmp_path}/lern.db") if arguments[-1] == "nonsense" else ()
    done = lern(*arguments, *file)
    assert "Traceback" not in done.stderr
    assert done.returncode == 2
    assert done.stderr.strip()
