"""Topic `content.postpublish.request`: collections are handled, all else is skipped, what is wrong is said."""

import pytest
from tests.events import COLLECTION, Json, publish, request

from lern.errors import BadEvent
from lern.job import Skipped
from lern.wire.publish import PublishEvent, decode


def edata(**changes: object) -> Json:
    fields: Json = {"action": "post-publish-process", "identifier": "course_1", "mimeType": COLLECTION}
    return fields | changes


def test_a_published_collection_is_handled() -> None:
    event = decode(publish("course_7"))

    assert isinstance(event, PublishEvent)
    assert event.course == "course_7"


@pytest.mark.parametrize("action", ["post-publish-process", "relation-cache-update", "Relation-Cache-Update"])
@pytest.mark.parametrize("mime_type", [COLLECTION, COLLECTION.upper()])
def test_actions_and_mime_types_may_be_in_any_case(action: str, mime_type: str) -> None:
    assert isinstance(decode(request(edata(action=action, mimeType=mime_type))), PublishEvent)


@pytest.mark.parametrize(
    "changes",
    [
        {"action": "publish"},
        {"action": ""},
        {"mimeType": "video/mp4"},
        {"mimeType": ""},
        {"mimeType": None},
        {"mimeType": "video/mp4", "identifier": ""},
        {"identifier": ""},
        {"identifier": " \t"},
    ],
)
def test_other_actions_other_types_and_blank_identifiers_are_skipped(changes: Json) -> None:
    assert isinstance(decode(request(edata(**changes))), Skipped)


def test_another_action_is_skipped_whatever_else_it_holds() -> None:
    assert isinstance(decode(request({"action": "other", "identifier": 7})), Skipped)


@pytest.mark.parametrize("identifier", [None, 7, True, [], {}])
def test_an_identifier_of_the_wrong_type_is_named(identifier: object) -> None:
    with pytest.raises(BadEvent, match=r"^edata\.identifier: "):
        decode(request(edata(identifier=identifier)))


def test_a_publication_that_names_neither_identifier_nor_type_is_skipped() -> None:
    """What is no collection is skipped whatever else it lacks."""
    assert isinstance(decode(request({"action": "post-publish-process"})), Skipped)
    assert isinstance(decode(request({"action": "post-publish-process", "mimeType": "video/mp4"})), Skipped)


def test_a_missing_identifier_is_named() -> None:
    with pytest.raises(BadEvent, match=r"^edata\.identifier: missing$"):
        decode(request({"action": "post-publish-process", "mimeType": COLLECTION}))


@pytest.mark.parametrize("mime_type", [7, [], True])
def test_a_mime_type_of_the_wrong_type_is_named(mime_type: object) -> None:
    with pytest.raises(BadEvent, match=r"^edata\.mimeType: "):
        decode(request(edata(mimeType=mime_type)))


def test_a_course_name_with_a_quote_makes_the_message_a_bad_event() -> None:
    """Its producer puts the name into the JSON as it is."""
    with pytest.raises(BadEvent, match=r"^not JSON: "):
        decode(publish().replace(b"Fractions", b'The "new" fractions'))


@pytest.mark.parametrize("identifier", ["a\x00b", "a" * 100_000])
def test_an_identifier_that_cannot_be_is_a_bad_event(identifier: str) -> None:
    with pytest.raises(BadEvent, match=r"^edata\.identifier: "):
        decode(request(edata(identifier=identifier)))
