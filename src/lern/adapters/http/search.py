"""The search service: what became of a collection (contracts, section 7, collection status)."""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import msgspec

from lern.adapters.http.client import HttpService
from lern.domain.model import CourseId
from lern.errors import LernError, Unavailable

_NAME = "search"
_AT_ONCE = 4
_UNKNOWN_SECONDS = 60.0
"""For which it is remembered that a collection is unknown: it may be about to be published."""


class _Kept(NamedTuple):
    status: str | None
    until: float


class _Collection(msgspec.Struct):
    status: str | None = None


class _Result(msgspec.Struct):
    content: list[_Collection] | None = None


class _Answer(msgspec.Struct):
    result: _Result


_decode = msgspec.json.Decoder(_Answer).decode


class SearchDirectory:
    """Port `CollectionDirectory` over the search service at `base`.

    Answers are kept for `expiry` seconds, that a collection is unknown for a minute at most; no more than `limit`.
    Threads may share it; two that ask for the same collection at once may both ask the service.
    """

    def __init__(
        self,
        base: str,
        expiry: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        limit: int = 20_000,
    ) -> None:
        self._service = HttpService(_NAME, base)
        self._expiry = expiry
        self._clock = clock
        self._limit = limit
        self._memory: dict[CourseId, _Kept] = {}
        self._lock = threading.Lock()

    def statuses(self, courses: Collection[CourseId]) -> Mapping[CourseId, str]:
        """The status of each collection that the service knows; one request for each that is not in memory.

        Raises Unavailable, and Refused when the service refuses one of them; the answers to the others are kept.
        """
        now = self._clock()
        with self._lock:
            kept = {course: self._memory.get(course) for course in courses}
        known = {course: entry for course, entry in kept.items() if entry and entry.until > now}
        known |= self._ask([course for course in kept if course not in known])
        return {course: entry.status for course, entry in known.items() if entry.status}

    def close(self) -> None:
        """Closes the connections."""
        self._service.close()

    def _ask(self, courses: Sequence[CourseId]) -> dict[CourseId, _Kept]:
        if not courses:
            return {}
        down: list[Unavailable] = []

        def ask(course: CourseId) -> str | LernError | None:
            answer = (
                down[0] if down else self._status(course)
            )  # a service that is down is not asked on and on
            if isinstance(answer, Unavailable):
                down.append(answer)
            return answer

        with ThreadPoolExecutor(min(_AT_ONCE, len(courses)), "search") as threads:
            answers = dict(zip(courses, threads.map(ask, courses), strict=True))
        now = self._clock()
        found = {
            course: _Kept(answer, now + (self._expiry if answer else min(self._expiry, _UNKNOWN_SECONDS)))
            for course, answer in answers.items()
            if not isinstance(answer, LernError)
        }
        with self._lock:
            for course, entry in found.items():
                self._memory.pop(course, None)  # the newest entries stand last
                self._memory[course] = entry
            while len(self._memory) > self._limit:
                del self._memory[next(iter(self._memory))]
        for error in (*down, *answers.values()):
            if isinstance(error, LernError):
                raise error
        return found

    def _status(self, course: CourseId) -> str | LernError | None:
        """What the service says, or why it says nothing."""
        filters = {
            "objectType": "Collection",
            "identifier": course,
            "status": ["Live", "Unlisted", "Retired"],
        }
        try:
            body = self._service.post("/v3/search", {"request": {"filters": filters, "fields": ["status"]}})
            content = _decode(body).result.content
        except (msgspec.DecodeError, UnicodeDecodeError):
            # Not this service's words: a page of something in between, which says nothing about the collection.
            return Unavailable(_NAME, "the answer is not what a search service says")
        except LernError as error:
            return error
        return content[0].status if content else None


class NoDirectory:
    """Port `CollectionDirectory` where no search service is configured: nothing is known of any collection."""

    def statuses(self, courses: Collection[CourseId]) -> Mapping[CourseId, str]:  # noqa: ARG002  # the port's
        """Nothing."""
        return {}

    def close(self) -> None:
        """There is nothing to close."""
