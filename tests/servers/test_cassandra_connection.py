"""Connections to a real Cassandra: how they are made, lost and found again, and what is said of it."""

import socket
import ssl
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.gate import Gate
from tests.patience import within

from lern.adapters.cassandra import CassandraProgress, CassandraSession, CassandraWriter
from lern.domain.model import BatchId, CourseId, Enrolment, EnrolmentKey, UserId
from lern.errors import SettingsError, Unavailable
from lern.job import SetEnrolment
from lern.settings.model import CassandraSettings, Tables, Tls

if TYPE_CHECKING:
    from tests.conftest import Outage

_NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
_PASSWORD = "a-secret-of-the-test"  # noqa: S105  # of no user


@pytest.fixture
def gate(cassandra_address: tuple[str, int]) -> Iterator[Gate]:
    gate = Gate(cassandra_address)
    yield gate
    gate.end()


@pytest.fixture
def opened() -> Iterator[Callable[..., CassandraSession]]:
    """Makes sessions, which are closed when the test has ended."""
    sessions: list[CassandraSession] = []

    def made(settings: CassandraSettings, **options: float) -> CassandraSession:
        sessions.append(session := CassandraSession(settings, **options))  # type: ignore[arg-type]  # seconds
        return session

    yield made
    for session in sessions:
        session.close()


@pytest.fixture
def enrolment() -> EnrolmentKey:
    return EnrolmentKey(UserId(uuid.uuid4().hex), CourseId("do_1"), BatchId("b1"))


def test_the_first_call_connects_or_the_first_question_whether_it_is_available(
    opened: Callable[..., CassandraSession], cassandra_settings: CassandraSettings
) -> None:
    assert opened(cassandra_settings).available() is None
    assert opened(cassandra_settings).columns("system_schema.columns")["table_name"].type == "text"


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_a_server_that_is_not_there_is_unavailable_and_tried_again(
    opened: Callable[..., CassandraSession], host: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    session = opened(CassandraSettings((host,), port))

    for _ in range(2):
        with pytest.raises(Unavailable) as caught:
            session.connect()
        assert caught.value.dependency == "cassandra"
        assert session.available() == str(caught.value)


def test_of_several_hosts_one_is_enough(
    opened: Callable[..., CassandraSession], cassandra_settings: CassandraSettings
) -> None:
    session = opened(replace(cassandra_settings, hosts=("no-such-host.invalid", *cassandra_settings.hosts)))

    session.connect()

    assert session.available() is None


def test_a_closed_session_stays_closed(
    opened: Callable[..., CassandraSession], cassandra_settings: CassandraSettings
) -> None:
    session = opened(cassandra_settings)
    session.connect()

    session.close()
    session.close()

    with pytest.raises(Unavailable, match="closed"):
        session.connect()
    assert session.available() == "cassandra: the connection is closed"


def test_the_datacenter_of_the_settings_is_used_and_a_wrong_one_is_told(
    opened: Callable[..., CassandraSession], cassandra_settings: CassandraSettings
) -> None:
    opened(replace(cassandra_settings, local_datacenter="datacenter1")).connect()

    with pytest.raises(SettingsError, match="no datacenter 'elsewhere'; the cluster has datacenter1"):
        opened(replace(cassandra_settings, local_datacenter="elsewhere")).connect()


def test_pem_files_that_cannot_be_used_are_told(
    opened: Callable[..., CassandraSession], cassandra_settings: CassandraSettings, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for tls in (
        Tls(enabled=True, ca=tmp_path / "missing.pem"),
        Tls(enabled=True, ca=tmp_path / "ca.pem"),
        Tls(enabled=True, certificate=tmp_path / "ca.pem"),
    ):
        with pytest.raises(SettingsError, match="a PEM file cannot be used"):
            opened(replace(cassandra_settings, tls=tls)).connect()


def test_an_encrypted_server_must_show_a_certificate_of_the_authority_in_the_settings(
    opened: Callable[..., CassandraSession], cassandra_address: tuple[str, int], tmp_path: Path
) -> None:
    for name in ("own", "other"):
        request = (
            f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -keyout {name}.key -out {name}.pem"
        )
        subprocess.run(["openssl", *request.split()], cwd=tmp_path, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tmp_path / "own.pem")
    context.load_cert_chain(tmp_path / "own.pem", tmp_path / "own.key")
    context.verify_mode = ssl.CERT_REQUIRED
    gate = Gate(cassandra_address, context)
    settings = CassandraSettings(("127.0.0.1",), gate.port)
    own = Tls(
        enabled=True, ca=tmp_path / "own.pem", certificate=tmp_path / "own.pem", key=tmp_path / "own.key"
    )

    assert opened(replace(settings, tls=own)).columns("system_schema.columns")
    for wrong in (Tls(), replace(own, ca=tmp_path / "other.pem"), replace(own, certificate=None)):
        with pytest.raises(Unavailable):
            opened(replace(settings, tls=wrong)).connect()
    gate.end()


def test_a_server_without_encryption_is_unavailable_to_who_asks_for_it(
    opened: Callable[..., CassandraSession], cassandra_settings: CassandraSettings
) -> None:
    with pytest.raises(Unavailable):
        opened(replace(cassandra_settings, tls=Tls(enabled=True))).connect()


def test_a_wrong_password_is_an_error_of_the_settings_and_is_never_told(
    opened: Callable[..., CassandraSession], gate: Gate
) -> None:
    gate.mode = Gate.Mode.LOCKED
    gate.refusal = "Provided username lern and/or password are incorrect"
    session = opened(CassandraSettings(("127.0.0.1",), gate.port, username="lern", password=_PASSWORD))

    with pytest.raises(SettingsError, match="user and password are not accepted") as caught:
        session.connect()

    assert _PASSWORD not in f"{caught.value!r} {caught.value.__cause__!r} {session.available()}"
    with pytest.raises(SettingsError):
        opened(CassandraSettings(("127.0.0.1",), gate.port)).connect()


def test_a_server_that_cannot_check_passwords_just_now_is_tried_again(
    opened: Callable[..., CassandraSession], gate: Gate, cassandra_tables: Tables, enrolment: EnrolmentKey
) -> None:
    settings = CassandraSettings(("127.0.0.1",), gate.port, username="lern", password=_PASSWORD)
    session = opened(settings, renew_after=1.0)
    writer = CassandraWriter(session, cassandra_tables, 10)
    write = SetEnrolment(enrolment, 1, _NOW)
    writer.apply([write])

    gate.refusal = "Unable to perform authentication: Cannot achieve consistency level LOCAL_QUORUM"
    gate.mode = Gate.Mode.LOCKED
    end = time.monotonic() + 2
    while time.monotonic() < end:
        with pytest.raises(Unavailable):
            writer.apply([write])
        time.sleep(0.1)
    gate.mode = Gate.Mode.OPEN

    within(5, lambda: writer.apply([write]))
    assert session.available() is None


def test_a_lost_connection_is_unavailable_until_it_is_there_again(
    opened: Callable[..., CassandraSession], gate: Gate, cassandra_tables: Tables, enrolment: EnrolmentKey
) -> None:
    session = opened(CassandraSettings(("127.0.0.1",), gate.port))
    writer = CassandraWriter(session, cassandra_tables, 10)
    progress = CassandraProgress(session, cassandra_tables)
    writer.apply([SetEnrolment(enrolment, 1, _NOW, status=1)])

    gate.mode = Gate.Mode.CLOSED
    for _ in range(3):
        with pytest.raises(Unavailable):
            progress.enrolments([enrolment])
    assert session.available() is not None
    gate.mode = Gate.Mode.OPEN

    within(5, lambda: progress.enrolments([enrolment]))
    assert progress.enrolments([enrolment]) == {enrolment: Enrolment(1)}
    assert session.available() is None


def test_a_server_that_stalls_is_unavailable_in_time_and_goes_on_afterwards(
    opened: Callable[..., CassandraSession], gate: Gate, cassandra_tables: Tables, enrolment: EnrolmentKey
) -> None:
    session = opened(CassandraSettings(("127.0.0.1",), gate.port), request_timeout=0.5)
    writer = CassandraWriter(session, cassandra_tables, 10)
    writes = [
        SetEnrolment(enrolment._replace(user=UserId(f"{enrolment.user}{number}")), 1, _NOW)
        for number in range(3_000)
    ]
    writer.apply(writes[:1])

    gate.mode = Gate.Mode.STALLED
    begun = time.monotonic()
    with pytest.raises(Unavailable, match="no answer in time"):
        writer.apply(writes)
    assert time.monotonic() - begun < 3
    assert session.available() == "cassandra: no answer in time"
    gate.mode = Gate.Mode.OPEN

    within(5, lambda: writer.apply(writes))
    assert session.available() is None


@pytest.mark.timeout(240)
def test_a_server_that_crashes_and_comes_back_is_found_again(
    opened: Callable[..., CassandraSession],
    cassandra_settings: CassandraSettings,
    cassandra_tables: Tables,
    enrolment: EnrolmentKey,
    outage: "Outage",
) -> None:
    session = opened(cassandra_settings)
    writer = CassandraWriter(session, cassandra_tables, 10)
    progress = CassandraProgress(session, cassandra_tables)
    learners = [enrolment._replace(user=UserId(f"{enrolment.user}{number}")) for number in range(300)]
    writer.apply([SetEnrolment(key, 1, _NOW, status=1) for key in learners])
    assert len(progress.enrolments(learners)) == 300

    outage.stop("cassandra", kill=True)
    for _ in range(3):
        with pytest.raises(Unavailable):
            writer.apply([SetEnrolment(key, 2, _NOW, status=2) for key in learners])
        with pytest.raises(Unavailable):
            progress.enrolments(learners)
        assert session.available() is not None
    outage.start("cassandra")

    within(10, lambda: writer.apply([SetEnrolment(key, 2, _NOW, status=2) for key in learners]))
    assert progress.enrolments(learners) == dict.fromkeys(learners, Enrolment(2))
    assert session.available() is None
