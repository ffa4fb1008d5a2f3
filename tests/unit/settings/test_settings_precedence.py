"""Which of several values counts, and what several jobs share."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lern.errors import SettingsError
from lern.settings import Loaded, Profile, load
from lern.settings.key import JOBS, variable
from lern.settings.keys import BY_SPELLING

ACTIVITY = "activity-aggregate-updater"
RELATIONS = "relation-cache-updater"

Write = Callable[[str, str], Path]
NOTHING: Mapping[str, str] = {}


def source(loaded: Loaded, key: str, job: str = ACTIVITY) -> tuple[str, str]:
    """The shown value of a key, and where it came from."""
    return next((origin.value, origin.source) for origin in loaded.origins[job] if origin.key == key)


def test_without_anything_both_jobs_run_embedded_on_the_defaults() -> None:
    loaded = load(JOBS, environ={})

    activity, relations = loaded.jobs[ACTIVITY], loaded.jobs[RELATIONS]
    assert loaded.warnings == []
    assert activity.profile is Profile.EMBEDDED
    assert (activity.kafka, activity.cassandra, activity.redis) == (None, None, None)
    assert activity.env == "dev"
    assert activity.topics.input == "dev.coursebatch.job.request"
    assert activity.tables.content_hierarchy == "dev_hierarchy_store.content_hierarchy"
    assert activity.tables.user_enrolments == "sunbird_courses.user_enrolments"
    assert (activity.batch.read_size, activity.batch.read_interval, activity.batch.write_size) == (
        1000,
        1.0,
        10,
    )
    assert activity.embedded.file == Path("lern.db")
    assert activity.search_base is None
    assert relations.topics.input == "dev.content.postpublish.request"
    assert relations.group == "dev-relation-cache-updater-group"
    assert (relations.topics.audit, relations.topics.certificate_requests) == ("", "")


def test_a_file_is_below_the_environment_which_is_below_the_command_line(write: Write) -> None:
    file = write("a.conf", "threshold.batch.read.size = 1\n")
    variables = {"LERN_THRESHOLD_BATCH_READ_SIZE": "2"}

    def chosen(
        config: Path | None = None, environ: Mapping[str, str] = NOTHING, overrides: Sequence[str] = ()
    ) -> tuple[str, str]:
        loaded = load([ACTIVITY], config=config, environ=environ, overrides=overrides)
        return source(loaded, "threshold.batch.read.size")

    assert chosen() == ("1000", "default")
    assert chosen(file) == ("1", f"{file}:1")
    assert chosen(file, variables) == ("2", "env LERN_THRESHOLD_BATCH_READ_SIZE")
    assert chosen(file, variables, ["threshold.batch.read.size=3"]) == ("3", "--set")


def test_a_substitution_follows_what_the_command_line_sets(write: Write) -> None:
    file = write("a.conf", 'job.env = "a"\nkafka.input.topic = ${job.env}".requests"\n')

    loaded = load([ACTIVITY], config=file, overrides=["job.env=b"], environ={})

    assert loaded.jobs[ACTIVITY].topics.input == "b.requests"
    assert loaded.jobs[ACTIVITY].group == "b-activity-aggregate-updater-group"


def test_the_block_of_a_job_overrides_the_rest_of_the_file_for_that_job_alone(write: Write) -> None:
    file = write(
        "both.conf",
        """
        threshold.batch.read.size = 5
        jobs {
          activity-aggregate-updater { kafka.groupId = mine, threshold.batch.read.size = 6 }
        }
        """,
    )

    loaded = load(JOBS, config=file, environ={})

    assert loaded.jobs[ACTIVITY].group == "mine"
    assert loaded.jobs[ACTIVITY].batch.read_size == 6
    assert loaded.jobs[RELATIONS].group == "dev-relation-cache-updater-group"
    assert loaded.jobs[RELATIONS].batch.read_size == 5


def test_the_block_of_a_job_wins_over_another_spelling_outside_it(write: Write) -> None:
    file = write(
        "a.conf",
        """
        kafka.audit.topic = outside
        jobs.activity-aggregate-updater.kafka.output.audit.topic = inside
        """,
    )

    loaded = load([ACTIVITY], config=file, environ={})

    assert loaded.jobs[ACTIVITY].topics.audit == "inside"
    assert loaded.warnings == []


def test_an_option_can_be_for_one_job() -> None:
    loaded = load(JOBS, overrides=[f"jobs.{ACTIVITY}.kafka.groupId=mine"], environ={})

    assert loaded.jobs[ACTIVITY].group == "mine"
    assert loaded.jobs[RELATIONS].group == "dev-relation-cache-updater-group"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("kafka.input.topic = t", "kafka.input.topic"),
        ("kafka.failed.topic = t", "kafka.output.failed.topic"),
        ("kafka { groupId = g }", "kafka.groupId"),
        ("lms-cassandra.keyspace = k", "lms-cassandra.keyspace"),
    ],
)
def test_what_cannot_be_meant_for_several_jobs_is_refused_for_several(
    write: Write, text: str, key: str
) -> None:
    file = write("both.conf", text)

    with pytest.raises(SettingsError) as raised:
        load(JOBS, config=file, environ={})

    assert str(raised.value).startswith(f"{file}:1: {key}: one value cannot be meant for ")
    assert "--config-dir" in str(raised.value)
    assert "jobs {" in str(raised.value)
    assert load([ACTIVITY], config=file, environ={}).jobs


def test_a_group_from_the_environment_is_not_meant_for_several_jobs_either() -> None:
    with pytest.raises(SettingsError, match=r"^env LERN_KAFKA_GROUPID: kafka.groupId: one value"):
        load(JOBS, environ={"LERN_KAFKA_GROUPID": "g"})


def test_both_spellings_with_different_values_the_own_name_wins_and_the_operator_is_told(
    write: Write,
) -> None:
    file = write("a.conf", "kafka.output.audit.topic = theirs\nkafka.audit.topic = ours\n")

    loaded = load([ACTIVITY], config=file, environ={})

    assert loaded.jobs[ACTIVITY].topics.audit == "ours"
    (warning,) = loaded.warnings
    assert warning.startswith(
        f"{file}:2: kafka.audit.topic is used; kafka.output.audit.topic ({file}:1) names"
    )


def test_both_spellings_with_the_same_value_are_fine(write: Write) -> None:
    file = write("a.conf", "kafka.output.audit.topic = same\nkafka.audit.topic = same\n")

    assert load([ACTIVITY], config=file, environ={}).warnings == []


def test_an_alias_on_the_command_line_wins_over_the_name_in_the_file(write: Write) -> None:
    file = write("a.conf", "lms-cassandra.content_consumption.table = in_file\n")

    loaded = load([ACTIVITY], config=file, overrides=["lms-cassandra.consumption.table=set"], environ={})

    assert loaded.jobs[ACTIVITY].tables.content_consumption == "sunbird_courses.set"


def test_the_profile_can_be_asked_for_against_what_the_file_says(write: Write) -> None:
    file = write("a.conf", 'kafka.broker-servers = "k:9092"\nlms-cassandra.host = c\nredis.host = r\n')

    assert load([ACTIVITY], config=file, environ={}).jobs[ACTIVITY].profile is Profile.CONNECTED
    embedded = load([ACTIVITY], config=file, profile=Profile.EMBEDDED, environ={})
    assert embedded.jobs[ACTIVITY].kafka is None
    assert embedded.warnings == []


def test_a_redis_without_kafka_runs_embedded_and_says_so() -> None:
    loaded = load([ACTIVITY], overrides=["redis.host=r"], environ={})

    assert loaded.jobs[ACTIVITY].profile is Profile.EMBEDDED
    assert loaded.warnings == [
        "--set: redis.host has no effect: kafka.broker-servers is not set, so everything runs embedded"
    ]


def test_an_option_that_the_chosen_job_does_not_use_is_a_warning() -> None:
    loaded = load([RELATIONS], overrides=["activity.module.aggs.enabled=false"], environ={})

    assert loaded.warnings == [f"--set: activity.module.aggs.enabled has no effect on {RELATIONS}"]


def test_access_to_redis_is_meant_for_every_server_that_has_none_of_its_own(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("a certificate")
    options = [
        "kafka.broker-servers=k",
        "lms-cassandra.host=c",
        "redis.host=r",
        "redis.password=first",
        "redis.ssl.enabled=true",
        f"redis.ssl.ca={authority}",
        "redis.enrolments.cache.index=2",
        "dedup-redis.host=d",
        "dedup-redis.password=second",
        "dedup-redis.ssl.enabled=no",
    ]

    redis = load([ACTIVITY], overrides=options, environ={}).jobs[ACTIVITY].redis

    assert redis is not None
    assert (redis.relations.password, redis.relations.tls.ca) == ("first", authority)
    assert (redis.marks.password, redis.marks.tls.enabled, redis.marks.tls.ca) == ("second", False, None)
    assert redis.enrolments is not None
    assert (redis.enrolments.host, redis.enrolments.database, redis.enrolments.password) == ("r", 2, "first")


def test_an_empty_password_means_none_at_all() -> None:
    options = [
        "kafka.broker-servers=k",
        "lms-cassandra.host=c",
        "redis.host=r",
        "redis.password=p",
        "dp-redis.password=",
    ]

    redis = load([RELATIONS], overrides=options, environ={}).jobs[RELATIONS].redis

    assert redis is not None
    assert redis.relations.password == "p"  # noqa: S105  # a value of the test
    assert redis.collections.password is None


def test_a_secured_kafka_gets_user_password_and_encryption() -> None:
    options = [
        "kafka.broker-servers=k:9093, l:9093",
        "lms-cassandra.host=c",
        "redis.host=r",
        "kafka.security.protocol=sasl_ssl",
        "kafka.sasl.mechanism=SCRAM-SHA-512",
        "kafka.sasl.username=lern",
        "kafka.sasl.password=p=q",
    ]

    kafka = load([ACTIVITY], overrides=options, environ={}).jobs[ACTIVITY].kafka

    assert kafka is not None
    assert kafka.brokers == "k:9093,l:9093"
    assert (kafka.sasl_mechanism, kafka.sasl_username, kafka.sasl_password) == (
        "SCRAM-SHA-512",
        "lern",
        "p=q",
    )
    assert kafka.tls.enabled
    assert kafka.transactional


def test_every_spelling_has_an_environment_variable_of_its_own() -> None:
    assert len({variable(spelling) for spelling in BY_SPELLING}) == len(BY_SPELLING)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
@settings(deadline=None)
def test_a_text_is_the_same_from_file_environment_and_command_line(text: str) -> None:
    quoted = "".join(f"\\u{ord(c):04x}" if ord(c) < 32 or c in '"\\' else c for c in text)
    with TemporaryDirectory() as directory:
        file = Path(directory) / "a.conf"
        file.write_bytes(f'redis.password = "{quoted}" // a comment\nredis.host = r\n'.encode())
        from_file = _password(config=file)
    from_environment = _password(environ={"LERN_REDIS_PASSWORD": text, "LERN_REDIS_HOST": "r"})
    from_option = _password(overrides=["redis.host=r", f"redis.password={text}"])

    assert from_file == from_environment == from_option
    if text.strip() and "{{" not in text:
        assert from_file == text


def _password(
    config: Path | None = None, environ: Mapping[str, str] = NOTHING, overrides: Sequence[str] = ()
) -> str | None:
    servers = ["kafka.broker-servers=k", "lms-cassandra.host=c", *overrides]
    redis = load([ACTIVITY], config=config, overrides=servers, environ=environ).jobs[ACTIVITY].redis
    assert redis is not None
    return redis.relations.password


@given(st.integers(1, 10**9), st.sampled_from(["{}", '"{}"', "{}.0", '"""{}"""', " {} ", "{} # a comment"]))
@settings(deadline=None)
def test_a_number_is_the_same_however_it_is_written(number: int, form: str) -> None:
    with TemporaryDirectory() as directory:
        file = Path(directory) / "a.conf"
        file.write_text(f"threshold {{\n batch.read.size = {form.format(number)}\n}}\n")
        loaded = load([ACTIVITY], config=file, environ={})

    assert loaded.jobs[ACTIVITY].batch.read_size == number
