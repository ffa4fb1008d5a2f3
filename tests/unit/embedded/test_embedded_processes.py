"""One process runs the jobs of a file, others may look and send."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from lern.adapters.embedded import Embedded
from lern.errors import SettingsError
from lern.job import Message, Record

_HOLD = """
import sys
from pathlib import Path
from lern.adapters.embedded import Embedded
embedded = Embedded(Path(sys.argv[1]))
embedded.occupy()
with embedded.transaction():
    embedded.put("content_hierarchy", {"identifier": "do_1", "hierarchy": "not committed"})
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(file: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the file, in the middle of a transaction."""
    command = [sys.executable, "-c", _HOLD, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_process_is_told_which_one_has_the_file(tmp_path: Path) -> None:
    file = tmp_path / "lern.db"
    with holder(file) as other, closing(Embedded(file)) as embedded:
        with pytest.raises(SettingsError) as error:
            embedded.occupy()

        assert str(other.pid) in str(error.value)
        assert str(file) in str(error.value)


def test_a_process_that_was_killed_leaves_the_file_to_others(tmp_path: Path) -> None:
    file = tmp_path / "lern.db"
    with holder(file) as other:
        os.kill(other.pid, signal.SIGKILL)
        other.wait(5)
        with closing(Embedded(file)) as embedded:
            embedded.occupy()

            assert embedded.row("content_hierarchy", identifier="do_1") is None
            embedded.put("content_hierarchy", {"identifier": "do_1", "hierarchy": "mine"})


def test_others_may_read_beside_a_transaction(tmp_path: Path) -> None:
    file = tmp_path / "lern.db"
    with closing(Embedded(file)) as embedded:
        embedded.put("content_hierarchy", {"identifier": "do_2", "hierarchy": "committed"})
        with holder(file):
            assert embedded.row("content_hierarchy", identifier="do_1") is None
            assert embedded.row("content_hierarchy", identifier="do_2")
            assert embedded.available() is None


def test_a_file_is_taken_once_by_the_same_program(tmp_path: Path) -> None:
    file = tmp_path / "lern.db"
    with closing(Embedded(file)) as embedded:
        embedded.occupy()
        embedded.occupy()
        with closing(Embedded(file)) as second, pytest.raises(SettingsError, match=str(os.getpid())):
            second.occupy()

    with closing(Embedded(file)) as later:
        later.occupy()


def test_a_message_of_another_process_reaches_the_consumer(tmp_path: Path) -> None:
    file = tmp_path / "lern.db"
    send = (
        "import sys; from pathlib import Path; from lern.job import Message\n"
        "from lern.adapters.embedded import Embedded\n"
        "Embedded(Path(sys.argv[1])).log().send([Message('in', b'key', b'value')])"
    )
    with closing(Embedded(file)) as embedded:
        embedded.occupy()
        consumer = embedded.consumer("in", "group")
        subprocess.run([sys.executable, "-c", send, str(file)], check=True)

        assert [record.value for record in consumer.poll(10, 5.0)] == [b"value"]


def test_threads_of_a_process_do_not_see_what_others_have_not_committed(tmp_path: Path) -> None:
    with closing(Embedded(tmp_path / "lern.db")) as embedded:
        consumer = embedded.consumer("out", "group")
        log = embedded.log()
        seen: list[Sequence[Record]] = []
        thread = threading.Thread(target=lambda: seen.append(consumer.poll(10, 0.0)))
        with embedded.transaction():
            log.send([Message("out", b"key", b"value")])
            thread.start()
            thread.join(0.1)
            assert not seen
        thread.join(5)

        [[record]] = seen
        assert record.value == b"value"
