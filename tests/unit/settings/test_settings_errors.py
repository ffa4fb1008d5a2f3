"""What is wrong is said once, completely, with key, file and line, and without secrets."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lern.errors import SettingsError
from lern.settings import Profile, load
from lern.settings.key import JOBS

ACTIVITY = "activity-aggregate-updater"
RELATIONS = "relation-cache-updater"
GENERATOR = "collection-certificate-generator"

Write = Callable[[str, str], Path]


def problems(
    *overrides: str, config: Path | None = None, environ: Mapping[str, str] | None = None
) -> list[str]:
    """The lines of the error that loading the activity job gives."""
    with pytest.raises(SettingsError) as raised:
        load([ACTIVITY], config=config, overrides=overrides, environ=environ or {})
    return str(raised.value).split("\n")


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("threshold.batch.read.size", "many", "a whole number of 1 or more"),
        ("threshold.batch.read.size", "0", "a whole number of 1 or more"),
        ("threshold.batch.read.size", "-5", "a whole number of 1 or more"),
        ("threshold.batch.read.size", "1.5", "a whole number of 1 or more"),
        ("threshold.batch.read.interval", "60 s", "a number of seconds above 0, without a unit"),
        ("threshold.batch.read.interval", "nan", "a number of seconds above 0, without a unit"),
        ("redis.database.relationCache.id", "-1", "a whole number of 0 or more"),
        ("lms-cassandra.port", "70000", "a port (1 to 65535)"),
        ("lms-cassandra.host", "a b", "host names or addresses, separated by commas, without ports"),
        ("redis.host", "redis:6379:1", "one host name or address, without port"),
        ("kafka.broker-servers", "k:99999", "host:port, several separated by commas"),
        ("activity.module.aggs.enabled", "maybe", "true or false"),
        (
            "service.search.basePath",
            "search:9000",
            "a URL such as http://search:9000, without user and password",
        ),
        (
            "service.search.basePath",
            "ftp://search",
            "a URL such as http://search:9000, without user and password",
        ),
        ("service.search.basePath", "http://", "a URL such as http://search:9000, without user and password"),
        ("lms-cassandra.keyspace", "a; drop", "a Cassandra name (a letter, then letters, digits and '_')"),
        ("kafka.input.topic", "a/b", "letters, digits, '.', '_' and '-'"),
        ("kafka.security.protocol", "TLS", "one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"),
    ],
)
def test_a_wrong_value_names_key_file_line_expected_and_found(
    write: Write, key: str, value: str, expected: str
) -> None:
    file = write("a.conf", f'job.env = dev\n\n{key} = "{value}"\n')

    assert problems(config=file)[0] == f'{file}:3: {key}: expected {expected}, found "{value}"'
    variable = "LERN_" + key.replace(".", "_").replace("-", "_").upper()
    assert (
        problems(environ={variable: value})[0]
        == f'env {variable}: {key}: expected {expected}, found "{value}"'
    )
    assert problems(f"{key}={value}")[0] == f'--set: {key}: expected {expected}, found "{value}"'


def test_all_problems_are_told_at_once(write: Write) -> None:
    file = write(
        "a.conf",
        """
        kafka.broker-servers = "k:9092"
        lms-cassandra.port = "port"
        threshold.batch { read.size = x
          write.size = 0 }
        """,
    )

    assert problems("kafka.grupid=g", config=file) == [
        "--set kafka.grupid: no such setting; did you mean kafka.groupId?",
        f"{file}: lms-cassandra.host: required in the connected profile, not set",
        f'{file}:2: lms-cassandra.port: expected a port (1 to 65535), found "port"',
        f"{file}: redis.host: required in the connected profile, not set",
        f'{file}:3: threshold.batch.read.size: expected a whole number of 1 or more, found "x"',
        f'{file}:4: threshold.batch.write.size: expected a whole number of 1 or more, found "0"',
    ]


def test_a_required_key_is_missed_without_a_file_too() -> None:
    with pytest.raises(SettingsError) as raised:
        load([ACTIVITY], profile=Profile.CONNECTED, environ={})

    assert str(raised.value).split("\n") == [
        "kafka.broker-servers: required in the connected profile, not set",
        "lms-cassandra.host: required in the connected profile, not set",
        "redis.host: required in the connected profile, not set",
    ]


def test_the_files_of_all_jobs_are_checked_at_once(write: Write) -> None:
    file = write(f"{ACTIVITY}.conf", "threshold.batch.read.size = x\n")

    with pytest.raises(SettingsError) as raised:
        load([ACTIVITY, RELATIONS], config_dir=file.parent, environ={})

    assert str(raised.value).split("\n") == [
        f"{file.parent / f'{RELATIONS}.conf'}: the file cannot be read (No such file or directory)",
        f'{file}:1: threshold.batch.read.size: expected a whole number of 1 or more, found "x"',
    ]


def test_a_placeholder_that_a_template_left_is_an_error_wherever_it_stands(write: Write) -> None:
    file = write(
        "a.conf",
        """
        kafka.broker-servers = {{ kafka_brokers }}
        neo4j.graph = "{{ graph }}"
        dedup-redis { database.index = {{ dedup_index | default(3) }} }
        # {{ a comment }}
        """,
    )
    left = "a template's placeholder {{ ... }} is left in the value: it was not rendered"

    assert problems(config=file)[:3] == [
        f"{file}:1: kafka.broker-servers: {left}",
        f"{file}:2: neo4j.graph: {left}",
        f"{file}:3: dedup-redis.database.index: {left}",
    ]
    assert problems("job.env={{ env }}") == [f"--set: job.env: {left}"]


def test_a_placeholder_in_the_place_of_a_key_is_an_error(write: Write) -> None:
    file = write("a.conf", "job.env = a\n{% if x %}\n")

    assert problems(config=file) == [
        f"{file}:2: a template's placeholder stands here: the file was not rendered"
    ]


def test_an_unknown_key_is_a_warning_with_the_nearest_known_one(write: Write) -> None:
    file = write(
        "a.conf",
        """
        kafka.groupid = g
        threshold { batch.reed.size = 5 }
        something.quite.different = 1
        jobs.activity-agregate-updater.kafka.groupId = g
        jobs.activity-aggregate-updater.kafka.grupId = g
        """,
    )

    assert load([ACTIVITY], config=file, environ={}).warnings == [
        f"{file}:1: kafka.groupid: no such setting, it is not used; did you mean kafka.groupId?",
        f"{file}:2: threshold.batch.reed.size: no such setting, it is not used; did you mean threshold.batch.read.size?",
        f"{file}:3: something.quite.different: no such setting, it is not used",
        f"{file}:4: jobs.activity-agregate-updater: no such job, the block is not used; did you mean {ACTIVITY}?",
        f"{file}:5: jobs.{ACTIVITY}.kafka.grupId: no such setting, it is not used; did you mean kafka.groupId?",
    ]


def test_an_unknown_variable_is_a_warning_unless_it_is_the_programs_own() -> None:
    environ = {
        "LERN_REDIS_HOTS": "r",
        "LERN_LOG_LEVEL": "info",
        "LERN_SERVERS": "1",
        "LERN_TEST_X": "1",
        "PATH": "p",
    }

    assert load([ACTIVITY], environ=environ).warnings == [
        "env LERN_REDIS_HOTS: no such setting; did you mean LERN_REDIS_HOST?"
    ]


def test_an_option_must_be_a_known_key_with_a_value() -> None:
    assert problems("redis.hots=r", "hunter2", "task.parallelism=2", "jobs.nobody.redis.host=r") == [
        "--set redis.hots: no such setting; did you mean redis.host?",
        "--set number 2: expected key=value",
        "--set task.parallelism: is known but means nothing here",
        "--set jobs.nobody.redis.host: no such job",
    ]


def test_a_job_without_settings_and_two_kinds_of_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        load([GENERATOR], config=tmp_path / "a", config_dir=tmp_path, environ={})

    assert str(raised.value).split("\n") == [
        f"{GENERATOR}: no such job (there are {', '.join(JOBS)})",
        "--config and --config-dir exclude each other",
    ]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a = 1\nkafka {\n  groupId = g\n", 2, "the { of this line is never closed"),
        ("a = 1\n}\n", 2, "there is a } too many here"),
        ("a = 1\nb = [1, 2\n", 2, "the [ of this line is never closed"),
        ('a = "open\nb = 1\n', 1, "the quote of this line is never closed"),
        ('a = """open\nb = 1\n', 1, 'the """ of this line is never closed'),
        ("a = ${open\nb = 1\n", 1, "the ${ of this line is never closed"),
        ("a = 1\nredis.password =\nb = 1\n", 2, "redis.password has no value"),
        ("a = 1\njust words\n", 2, 'expected "=", ":" or "{" after the key of this line'),
        ("= 1\n", 1, "expected a key, such as kafka.groupId"),
        ("a..b = 1\n", 1, "expected a key, such as kafka.groupId"),
        ("a = http://host/path\n", 1, "a value that holds // (such as a URL) must stand in quotes"),
        (
            'include url("http://host/a.conf")\n',
            1,
            'include url(...) is not supported: expected include file("/path/to/file.conf")',
        ),
        (
            "a { b = 1 } c = 2\n",
            1,
            "an object and a text side by side: expected a new line or a comma between them",
        ),
    ],
)
def test_what_cannot_be_read_names_file_and_line(write: Write, text: str, line: int, what: str) -> None:
    file = write("a.conf", text)

    assert problems(config=file) == [f"{file}:{line}: {what}"]


def test_an_error_in_an_included_file_names_that_file(write: Write) -> None:
    base = write("conf/base.conf", 'job.env = "x"\nredis.port = none\n')
    file = write("a.conf", 'include "conf/base"\n')

    assert problems(config=file) == [f'{base}:2: redis.port: expected a port (1 to 65535), found "none"']


def test_includes_that_must_exist_or_include_themselves_are_errors(write: Write) -> None:
    required = write("a.conf", '\n\ninclude required(file("b.conf"))\n')
    circular = write("c.conf", 'include "d.conf"\n')
    inner = write("d.conf", 'job.env = x\ninclude "c.conf"\n')

    assert problems(config=required) == [
        f'{required}:1: the required include "b.conf" does not exist ({required.parent / "b.conf"})'
    ]
    assert problems(config=circular) == [f'{inner}:2: include "c.conf" includes itself']


def test_values_made_of_themselves_are_errors(write: Write) -> None:
    file = write("a.conf", "job.env = ${redis.host}\nredis.host = ${job.env}\n")

    assert problems(config=file)[0] == f"{file}:1: job.env is made of itself"


def test_a_list_where_one_value_is_expected_is_an_error(write: Write) -> None:
    file = write("a.conf", "redis.host = [a, b]\nlms-cassandra.host = [a, b]\n")

    assert problems(config=file) == [
        f"{file}:1: redis.host: expected one host name or address, without port, found a list"
    ]


def test_a_keyspace_made_from_the_environments_name_must_be_one() -> None:
    servers = ("kafka.broker-servers=k", "lms-cassandra.host=c", "redis.host=r")

    (problem,) = problems("job.env=my-env", *servers)
    assert problem.startswith("lms-cassandra.hierarchy.keyspace: expected a Cassandra name")
    assert problem.endswith("its default is made from job.env, so set it")
    assert load([ACTIVITY], overrides=["job.env=my-env"], environ={}).jobs


def test_access_must_be_complete(tmp_path: Path) -> None:
    servers = ("kafka.broker-servers=k", "lms-cassandra.host=c", "redis.host=r")

    assert problems(*servers, "kafka.security.protocol=SASL_SSL", "redis.ssl.key=/no/key.pem") == [
        "kafka.sasl.username: required, since kafka.security.protocol is SASL_SSL",
        "kafka.sasl.password: required, since kafka.security.protocol is SASL_SSL",
        "redis.ssl.certificate: required, since the other of redis.ssl.certificate and redis.ssl.key is set",
        "--set: redis.ssl.key: there is no file /no/key.pem",
    ]


def test_access_that_is_not_switched_on_is_a_warning(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("a certificate")
    servers = ["kafka.broker-servers=k", "lms-cassandra.host=c", "redis.host=r"]

    loaded = load(
        [ACTIVITY], overrides=[*servers, "kafka.sasl.username=u", f"redis.ssl.ca={authority}"], environ={}
    )

    assert loaded.warnings == [
        "--set: kafka.sasl.username has no effect: kafka.security.protocol is PLAINTEXT",
        "--set: redis.ssl.ca has no effect: redis.ssl.enabled is false",
    ]


def test_no_secret_is_ever_shown(write: Write) -> None:
    file = write(
        "a.conf",
        """
        kafka.broker-servers = "k:9092"
        lms-cassandra { host = c, username = u, password = "hunter2" }
        redis { host = r, password = "hunter2" }
        kafka { security.protocol = SASL_SSL, sasl { username = u, password = hunter2 } }
        """,
    )

    loaded = load([ACTIVITY, RELATIONS], config=file, environ={})

    assert "hunter2" not in repr(loaded)
    assert "hunter2" not in str(loaded)
    secrets = {origin.key: origin.value for origin in loaded.origins[RELATIONS] if origin.value == "***"}
    assert set(secrets) == {
        "kafka.sasl.password",
        "lms-cassandra.password",
        "redis.password",
        "dp-redis.password",
    }


@pytest.mark.parametrize(
    "text",
    [
        'redis.password = ["hunter2"]',
        'redis.password = "hunter2" { a = 1 }',
        'redis.password "hunter2"',
        'redis.password = "hunter2',
        "redis.password = {{ hunter2 }}",
        'redis.host = "//:hunter2@host"',
        'service.search.basePath = "http://user:hunter2@search"',
        'redis.password = "hunter2" [a]',
    ],
)
def test_no_error_shows_a_secret(write: Write, text: str) -> None:
    file = write("a.conf", text + "\n")

    assert "hunter2" not in "\n".join(problems(config=file))
    assert file.name + ":1" in problems(config=file)[0]
