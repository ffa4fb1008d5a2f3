"""What is old and handled is forgotten; offsets go on, and nothing unread is lost."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from tests.embedded_file import count
from tests.events import settings

from lern.adapters.embedded import Embedded
from lern.job import Message
from lern.ports import Partition


def test_old_messages_are_forgotten_once_every_group_has_handled_them(tmp_path: Path) -> None:
    file = tmp_path / "lern.db"
    with closing(Embedded(file, partitions=1)) as embedded:
        embedded.log().send([Message("in", None, b"%d" % number) for number in range(5)])
        embedded.consumer("in", "first").commit(Partition("in", 0), 4)
        embedded.consumer("in", "second").commit(Partition("in", 0), 2)
    time.sleep(0.01)

    with closing(Embedded(file, partitions=1, retention_days=0.0)) as embedded:
        second = embedded.consumer("in", "second")
        assert [record.value for record in second.poll(10, 0.0)] == [b"2", b"3", b"4"]
        assert not second.poll(10, 0.1)
        assert count(file, "messages") == 3

        embedded.log().send([Message("in", None, b"5")])
        assert [(record.offset, record.value) for record in second.poll(10, 1.0)] == [(5, b"5")]


def test_messages_of_late_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "lern.db"
    with closing(Embedded(file, partitions=1)) as embedded:
        consumer = embedded.consumer("in", "group")
        embedded.log().send([Message("in", None, b"1"), Message("out", None, b"2")])
        consumer.poll(10, 0.0)
        consumer.commit(Partition("in", 0), 1)

        assert not consumer.poll(10, 0.1)

    assert count(file, "messages") == 2


def test_whoever_only_looks_forgets_nothing(tmp_path: Path) -> None:
    file = tmp_path / "lern.db"
    with closing(Embedded(file, partitions=1, retention_days=0.0)) as embedded:
        embedded.log().send([Message("out", None, b"1")])
        time.sleep(0.01)

        embedded.consumer("in", "group", observe=True).poll(10, 0.1)
        assert count(file, "messages") == 1

        embedded.consumer("in", "group").poll(10, 0.1)
        assert count(file, "messages") == 0


def test_expired_marks_are_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "lern.db"
    with closing(Embedded(file)) as embedded:
        embedded.stores(settings()).mark(["LIVE", "EXPIRED"])
        _age(file, "EXPIRED")

        embedded.consumer("in", "group").poll(10, 0.1)

        assert set(embedded.facts().marks.seen(["LIVE", "EXPIRED"])) == {"LIVE"}
        assert count(file, "dedup_marks") == 1


def _age(file: Path, mark: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE dedup_marks SET expires = 1 WHERE mark = ?", [mark])
