"""Topic `content.postpublish.request`: a content or a collection has been published."""

from typing import NamedTuple

import msgspec

from lern.domain.model import CourseId
from lern.errors import BadEvent
from lern.job import Skipped
from lern.wire.decoding import Incoming, action_decoder, checked_id, decoder

COLLECTION_MIME_TYPE = "application/vnd.ekstep.content-collection"


class _Published(Incoming):
    identifier: CourseId | msgspec.UnsetType = msgspec.UNSET
    mime_type: str | None = None


class _Publishing(Incoming):
    edata: _Published


class PublishEvent(NamedTuple):
    """`post-publish-process`, `relation-cache-update`: the tree of a collection has a new shape."""

    course: CourseId


_read = decoder(_Publishing)
_by_action = action_decoder({"post-publish-process": _read, "relation-cache-update": _read})


def decode(value: bytes) -> PublishEvent | Skipped:
    """Reads one message; other actions, other types of content and blank identifiers are skipped."""
    event = _by_action(value)
    if isinstance(event, Skipped):
        return event
    if (event.edata.mime_type or "").lower() != COLLECTION_MIME_TYPE:
        return Skipped("mime type")
    identifier = event.edata.identifier
    if identifier is msgspec.UNSET:
        raise BadEvent("edata.identifier: missing")
    if not identifier.strip():
        return Skipped("blank identifier")
    return PublishEvent(checked_id(identifier, "edata.identifier"))
