"""Connections to a real Redis: how they end, what their errors say, and what these never say."""

import socket
import threading
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from lern.adapters.redis import EnrolmentLists, RedisJournal, RedisMarks, RedisProbe, RelationSets
from lern.domain.model import CourseId, Relation, RelationKey, UserId
from lern.errors import Unavailable
from lern.job import ForgetEnrolmentList
from lern.ports import Partition
from lern.settings.model import RedisSettings

if TYPE_CHECKING:
    from tests.conftest import Outage

_SECRET = "a-secret-of-the-test"  # noqa: S105  # of the test's own user
_KEY = RelationKey(CourseId("do_1"), "do_1", Relation.LEAF_NODES)


@pytest.fixture
def settings(redis_address: str) -> RedisSettings:
    host, _, port = redis_address.rpartition(":")
    return RedisSettings(host, int(port), database=13)


@pytest.fixture
def other(settings: RedisSettings) -> Iterator[Redis]:
    with Redis(host=settings.host, port=settings.port, db=settings.database) as client:
        yield client


@pytest.fixture
def user(settings: RedisSettings, other: Redis) -> Iterator[RedisSettings]:
    """The settings of a user of its own that may do everything."""
    name = f"test-{uuid.uuid4().hex}"
    other.acl_setuser(name, True, False, [f"+{_SECRET}"], categories=["+@all"], keys=["*"])
    yield replace(settings, username=name, password=_SECRET)
    other.acl_deluser(name)


def failure(call: Callable[[], object]) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        call()
    return caught.value


def told(error: BaseException) -> str:
    """Everything that a log could say of an error, causes included."""
    return "".join(traceback.format_exception(error)) + repr(error)


def test_a_user_with_a_password_is_let_in(user: RedisSettings) -> None:
    marks = RedisMarks(user, 60)

    marks.mark([mark := uuid.uuid4().hex.upper()])

    assert set(marks.seen([mark])) == {mark}
    marks.close()


def test_a_wrong_password_makes_redis_unavailable_and_is_never_told(user: RedisSettings) -> None:
    wrong = replace(user, password=f"{_SECRET}-wrong")
    for adapter, call in (
        (marks := RedisMarks(wrong, 60), lambda: marks.seen(["A"])),
        (sets := RelationSets(wrong), lambda: sets.members([_KEY])),
    ):
        error = failure(call)
        adapter.close()

        assert error.dependency == "redis"
        assert "invalid username-password pair" in str(error)
        assert _SECRET not in told(error)
    assert _SECRET not in repr(user)


def test_a_connection_that_was_cut_while_nobody_used_it_is_no_error(
    user: RedisSettings, other: Redis
) -> None:
    journal = RedisJournal(user, "group")
    journal.record(place := Partition(uuid.uuid4().hex, 0), b"outcome")

    assert other.client_kill_filter(user=str(user.username)) == 1

    assert journal.recall(place) == b"outcome"
    journal.close()


def test_a_command_that_is_not_allowed_makes_redis_unavailable(user: RedisSettings, other: Redis) -> None:
    journal = RedisJournal(user, "group")
    other.acl_setuser(str(user.username), True, commands=["-set"], keys=["*"])
    entry = uuid.uuid4().hex

    error = failure(lambda: journal.record(Partition("topic", 0), entry.encode()))

    journal.close()
    assert "no permissions to run the 'set' command" in str(error)
    assert entry not in told(error)


def test_the_lists_of_the_given_users_are_removed(settings: RedisSettings, other: Redis) -> None:
    users = [UserId(uuid.uuid4().hex) for _ in range(3)]
    for user in users:
        other.set(f"{user}:user-enrolments", "[]")
    lists = EnrolmentLists(settings)

    for _ in range(2):
        lists.apply(
            [ForgetEnrolmentList(users[0]), ForgetEnrolmentList(users[2]), ForgetEnrolmentList(users[0])]
        )

    lists.close()
    assert [other.exists(f"{user}:user-enrolments") for user in users] == [0, 1, 0]


def test_without_settings_there_are_no_lists_to_remove() -> None:
    lists = EnrolmentLists(None)

    lists.apply([ForgetEnrolmentList(UserId("user"))])

    lists.close()


def test_a_database_that_does_not_exist_makes_redis_unavailable(settings: RedisSettings) -> None:
    marks = RedisMarks(replace(settings, database=9999), 60)

    error = failure(lambda: marks.seen(["A"]))

    assert "DB index is out of range" in str(error)


def test_a_server_that_is_down_and_comes_back(settings: RedisSettings, outage: "Outage") -> None:
    marks, journal, probe = RedisMarks(settings, 60), RedisJournal(settings, "group"), RedisProbe([settings])
    place, mark = Partition(uuid.uuid4().hex, 0), uuid.uuid4().hex.upper()
    marks.mark([mark])
    journal.record(place, b"outcome")
    assert probe.available() is None

    outage.stop("redis")
    assert failure(lambda: marks.seen([mark])).dependency == "redis"
    failure(lambda: marks.mark([mark]))
    failure(lambda: journal.record(place, b"later"))
    assert str(probe.available()).startswith("redis: ")
    outage.start("redis")

    assert probe.available() is None
    assert set(marks.seen([mark])) == {mark}
    assert journal.recall(place) == b"outcome"
    for each in (marks, journal, probe):
        each.close()


def test_a_host_that_is_not_there_is_told_by_the_probe() -> None:
    probe = RedisProbe([RedisSettings("redis.invalid")])

    assert str(probe.available()).startswith("redis: ")


@contextmanager
def answering(answer: bytes) -> Iterator[RedisSettings]:
    """A server that says the same to everything."""

    def serve() -> None:
        with listener:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    while answer and client.recv(4096):
                        client.sendall(answer)
                    client.recv(4096)
                    if not answer:
                        done.wait(30)

    done = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve)
    thread.start()
    host, port = listener.getsockname()
    try:
        yield RedisSettings(host, port, username="user", password=_SECRET)
    finally:
        done.set()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_server_that_repeats_the_password_in_its_refusal_is_not_quoted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    refusal = (
        f"-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `user`, `{_SECRET}`, \r\n"
    )
    with answering(refusal.encode()) as old:
        for call in (RedisMarks(old, 60).seen, RelationSets(old).members):
            error = failure(lambda call=call: call([_KEY]))  # type: ignore[misc]  # a default binds the call

            assert "unknown command" in str(error)
            assert _SECRET not in told(error)
    assert _SECRET not in capsys.readouterr().out


def test_a_server_that_says_nothing_is_given_up_after_seconds() -> None:
    with answering(b"") as silent:
        error = failure(lambda: RedisMarks(silent, 60).seen(["A"]))

    assert "Timeout" in str(error)


def test_a_server_that_speaks_something_else_makes_redis_unavailable() -> None:
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as stranger:
        failure(lambda: RedisMarks(stranger, 60).seen(["A"]))
