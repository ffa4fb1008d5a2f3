"""Messages of any kind, as the tools show and key them."""

import base64
import json

import pytest
from tests.events import publish, sync, update

from lern.wire.envelope import learner_of, readable


@pytest.mark.parametrize("value", [update("do_1", user="u7"), sync("u7"), b'{"userId": "u7", "events": []}'])
def test_the_learner_of_a_message_is_its_key(value: bytes) -> None:
    assert learner_of(value) == b"u7"


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"no JSON",
        b"null",
        b"[]",
        b"{}",
        b'{"edata": {}}',
        b'{"edata": 7}',
        b'{"edata": {"userId": 7}}',
        b'{"edata": {"userId": ""}}',
        b'{"userId": "\xff"}',
        b"[" * 10_000,
        b'{"edata": ' * 10_000,
        publish(),
    ],
)
def test_a_message_without_a_learner_has_no_key(value: bytes) -> None:
    assert learner_of(value) is None


def test_a_document_is_readable_as_it_is() -> None:
    assert readable(update("do_1")) == json.loads(update("do_1"))


@pytest.mark.parametrize("value", [b"", b"no JSON", b"[" * 10_000, b'{"a": ' * 10_000, b"1" * 5_000])
def test_other_text_is_readable_as_raw(value: bytes) -> None:
    assert readable(value) == {"raw": value.decode()}


def test_bytes_are_readable_as_base64() -> None:
    assert readable(b"\xff\x00") == {"raw": base64.b64encode(b"\xff\x00").decode(), "encoding": "base64"}
