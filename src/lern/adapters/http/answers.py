"""What a service has answered, kept for a time, and how several things are asked at once."""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, NamedTuple, TypeVar

from lern.errors import Refused, Unavailable

Key = TypeVar("Key", bound=str)
Answer = TypeVar("Answer")

_AT_ONCE = 4
_UNKNOWN_SECONDS = 60.0
"""For which it is remembered that something is unknown: it may be about to be published."""


class _Kept(NamedTuple, Generic[Answer]):
    answer: Answer | None
    until: float


class Answers(Generic[Key, Answer]):
    """Answers of one service, one request for each key.

    They are kept for `expiry` seconds, that something is unknown for a minute at most; no more than `limit`. Threads
    may share it; two that ask for the same at once may both ask the service.
    """

    def __init__(
        self,
        name: str,
        ask: Callable[[Key], Answer | None],
        expiry: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        limit: int = 20_000,
    ) -> None:
        self._name = name
        self._ask = ask
        self._expiry = expiry
        self._clock = clock
        self._limit = limit
        self._memory: dict[Key, _Kept[Answer]] = {}
        self._lock = threading.Lock()

    def kept(self, keys: Collection[Key]) -> dict[Key, Answer | None]:
        """What is remembered of these; None: the service does not know it."""
        now = self._clock()
        with self._lock:
            found = {key: self._memory.get(key) for key in keys}
        return {key: entry.answer for key, entry in found.items() if entry and entry.until > now}

    def fetch(self, keys: Sequence[Key]) -> Mapping[Key, Answer | Refused | None]:
        """What the service says now, kept unless it is a refusal.

        Raises Unavailable when it does not answer to one of them; the answers to the others are kept.
        """
        if not keys:
            return {}
        down: list[Unavailable] = []

        def ask(key: Key) -> Answer | Refused | Unavailable | None:
            if down:
                return down[0]  # a service that is down is not asked on and on
            try:
                return self._ask(key)
            except Refused as error:
                return error
            except Unavailable as error:
                down.append(error)
                return error

        with ThreadPoolExecutor(min(_AT_ONCE, len(keys)), self._name) as threads:
            answers = list(threads.map(ask, keys))
        found = {
            key: answer
            for key, answer in zip(keys, answers, strict=True)
            if not isinstance(answer, Unavailable)
        }
        self._keep(found)
        if down:
            raise down[0]
        return found

    def _keep(self, found: Mapping[Key, Answer | Refused | None]) -> None:
        now = self._clock()
        with self._lock:
            for key, answer in found.items():
                if not isinstance(answer, Refused):
                    seconds = min(self._expiry, _UNKNOWN_SECONDS) if answer is None else self._expiry
                    self._memory.pop(key, None)  # the newest entries stand last
                    self._memory[key] = _Kept(answer, now + seconds)
            while len(self._memory) > self._limit:
                del self._memory[next(iter(self._memory))]
