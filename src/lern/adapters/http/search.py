"""The search service: what became of a collection (contracts, section 7, collection status)."""

import time
from collections.abc import Callable, Collection, Mapping

import msgspec

from lern.adapters.http.answers import Answers
from lern.adapters.http.client import HttpService
from lern.domain.model import CourseId
from lern.errors import Refused, Unavailable

_NAME = "search"


class _Collection(msgspec.Struct):
    status: str | None = None


class _Result(msgspec.Struct):
    content: list[_Collection] | None = None


class _Answer(msgspec.Struct):
    result: _Result


_decode = msgspec.json.Decoder(_Answer).decode


class SearchDirectory:
    """Port `CollectionDirectory` over the search service at `base`; answers are kept as `Answers` says."""

    def __init__(
        self,
        base: str,
        expiry: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        limit: int = 20_000,
    ) -> None:
        self._service = HttpService(_NAME, base)
        self._answers = Answers(_NAME, self._status, expiry, clock, limit=limit)

    def statuses(self, courses: Collection[CourseId]) -> Mapping[CourseId, str]:
        """The status of each collection that the service knows; one request for each that is not in memory.

        Raises Unavailable, and Refused when the service refuses one of them; the answers to the others are kept.
        """
        known = self._answers.kept(courses)
        for course, answer in self._answers.fetch(
            [each for each in dict.fromkeys(courses) if each not in known]
        ).items():
            if isinstance(answer, Refused):
                raise answer
            known[course] = answer
        return {course: status for course, status in known.items() if status}

    def close(self) -> None:
        """Closes the connections."""
        self._service.close()

    def _status(self, course: CourseId) -> str | None:
        """What the service says."""
        filters = {
            "objectType": "Collection",
            "identifier": course,
            "status": ["Live", "Unlisted", "Retired"],
        }
        body = self._service.post("/v3/search", {"request": {"filters": filters, "fields": ["status"]}})
        try:
            content = _decode(body).result.content
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            # Not this service's words: a page of something in between, which says nothing about the collection.
            raise Unavailable(_NAME, "the answer is not what a search service says") from error
        return content[0].status if content else None


class NoDirectory:
    """Port `CollectionDirectory` where no search service is configured: nothing is known of any collection."""

    def statuses(self, courses: Collection[CourseId]) -> Mapping[CourseId, str]:  # noqa: ARG002  # the port's
        """Nothing."""
        return {}

    def close(self) -> None:
        """There is nothing to close."""
