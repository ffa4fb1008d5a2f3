"""The content service: how many questions an assessment has (contracts, section 7, content read)."""

import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Protocol
from urllib.parse import quote

import msgspec

from lern.adapters.http.answers import Answers
from lern.adapters.http.client import HttpService
from lern.adapters.metadata import question_total
from lern.domain.model import ContentId
from lern.errors import Refused, Unavailable
from lern.ports import QuestionTotal

_NAME = "content"
_HOUR = 3600.0


class _Result(msgspec.Struct):
    content: msgspec.Raw = msgspec.Raw(b"null")


class _Answer(msgspec.Struct):
    result: _Result


_decode = msgspec.json.Decoder(_Answer).decode


class Cache(Protocol):
    """The content cache."""

    def question_totals(self, contents: Collection[ContentId]) -> Mapping[ContentId, int]:
        """The number of questions of each content of which the cache knows it."""
        ...

    def close(self) -> None:
        """Lets go."""
        ...


class ContentDirectory:
    """Port `ContentDirectory`: the cache, else the service at `url`, to which a content's id is appended.

    Without a URL, what the cache does not know is unknown. Answers of the service are kept for an hour, as `Answers`
    says.
    """

    def __init__(self, cache: Cache, url: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._cache = cache
        self._service = HttpService(_NAME, url) if url else None
        self._answers = (
            Answers(_NAME, partial(_total, self._service), _HOUR, clock) if self._service else None
        )

    def question_totals(self, contents: Collection[ContentId]) -> Mapping[ContentId, QuestionTotal]:
        """As `ports.ContentDirectory.question_totals`."""
        cached = self._cache.question_totals(contents)
        found = {content: QuestionTotal(total, was_cached=True) for content, total in cached.items()}
        missing = [content for content in dict.fromkeys(contents) if content not in found]
        if self._answers is None:
            return found | dict.fromkeys(missing, QuestionTotal(None, was_cached=False))
        kept = self._answers.kept(missing)
        found |= {content: QuestionTotal(total, was_cached=True) for content, total in kept.items()}
        asked = self._answers.fetch([content for content in missing if content not in kept])
        for content, answer in asked.items():
            if isinstance(answer, Refused):
                found[content] = QuestionTotal(None, was_cached=False, refusal=answer)
            else:
                found[content] = QuestionTotal(answer, was_cached=False)
        return found

    def close(self) -> None:
        """Closes the connections."""
        self._cache.close()
        if self._service:
            self._service.close()


def _total(service: HttpService, content: ContentId) -> int | None:
    """What the service says; None where it does not know the content, or not how many questions it has."""
    body = service.find(f"/{quote(content, safe='')}")
    if body is None:
        return None
    try:
        return question_total(_decode(body).result.content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # Not this service's words: a page of something in between, which says nothing about the content.
        raise Unavailable(_NAME, "the answer is not what a content service says") from error
