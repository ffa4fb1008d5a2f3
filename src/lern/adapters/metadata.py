"""Metadata of contents as JSON: in the content cache and from the content service (contracts, section 5).

Field names occur in several spellings, which are compared without case and underscores.
"""

from typing import Annotated

import msgspec

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_number = msgspec.json.Decoder(Annotated[float, msgspec.Meta(ge=1, lt=2**53)], strict=False)


def question_total(json: bytes | msgspec.Raw) -> int | None:
    """The number of questions (an int, a float or text), where the JSON of a content has one of 1 or more."""
    try:
        fields = _fields.decode(json)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    for name, value in fields.items():
        if name.replace("_", "").lower() == "totalquestions":
            try:
                return int(_number.decode(value))
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
    return None
