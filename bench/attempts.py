"""The load of the assessment benchmark: learners with attempts at assessments, and those that they make. Pure and repeatable.

Two loads with the same parameters are equal, byte for byte; `token` keeps the ids of different runs apart.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

_ETS = 1_764_000_000_000
_CONTENTS = 10


class Made(NamedTuple):
    """One attempt of a learner."""

    user: str
    content: str
    attempt: str
    at: int
    """Milliseconds since 1970."""


@dataclass(frozen=True)  # without slots, which would leave no room for cached properties
class Attempts:
    """Learners of one batch who have made `stored` attempts at ten assessments, and make `each` more."""

    token: str
    """Eight hexadecimal digits that stand in every id."""
    learners: int = 300
    stored: int = 50
    each: int = 10
    questions: int = 20
    seed: int = 1

    @property
    def course(self) -> str:
        """The id of the course."""
        return f"do_{self.token}000000000000"

    @property
    def batch(self) -> str:
        """The id of the batch that all are in."""
        return f"01{self.token}00000000b"

    @property
    def contents(self) -> list[str]:
        """The assessments."""
        return [f"do_{self.token}{number:012d}" for number in range(1, _CONTENTS + 1)]

    @property
    def users(self) -> list[str]:
        """The ids of the learners: UUIDs by their looks."""
        return [f"{self.token}-0000-4000-8000-{number:012d}" for number in range(self.learners)]

    @property
    def size(self) -> int:
        """How many events there are."""
        return self.learners * self.each

    def before(self) -> Iterator[Made]:
        """The attempts that are stored."""
        for user in self.users:
            yield from (self._made(user, number) for number in range(self.stored))

    @cached_property
    def events(self) -> list[Made]:
        """Those that are made, in the order in which they are sent."""
        made = [
            self._made(user, number)
            for user in self.users
            for number in range(self.stored, self.stored + self.each)
        ]
        random.Random(self.seed).shuffle(made)
        return made

    def _made(self, user: str, number: int) -> Made:
        attempt = f"{user[-12:]}{number:020d}"
        return Made(user, self.contents[number % _CONTENTS], attempt, _ETS + number * 60_000)

    def value(self, made: Made) -> bytes:
        """An attempt as it is sent to the topic: 20 questions are about 26 KB."""
        return json.dumps(
            {
                "assessmentTs": made.at,
                "batchId": self.batch,
                "courseId": self.course,
                "userId": made.user,
                "attemptId": made.attempt,
                "contentId": made.content,
                "events": [self._answer(made, number) for number in range(self.questions)],
            },
            separators=(",", ":"),
        ).encode()

    def _answer(self, made: Made, number: int) -> dict[str, object]:
        """ASSESS telemetry as the player sends it."""
        choices = [{str(choice): json.dumps({"text": f"Choice {choice}\n"})} for choice in range(1, 5)]
        return {
            "eid": "ASSESS",
            "ets": made.at - 1000 * number,
            "ver": "3.1",
            "mid": f"ASSESS:{made.attempt}{number}",
            "actor": {"id": made.user, "type": "User"},
            "context": {
                "channel": "0124784842112040965",
                "pdata": {"id": "prod.sunbird.app", "ver": "4.10.0", "pid": "sunbird.app.contentplayer"},
                "env": "contentplayer",
                "sid": made.attempt,
                "did": "a08946e8b72abfeeff6642f245d470cb",
                "cdata": [{"id": made.attempt, "type": "AttemptId"}, {"id": self.batch, "type": "Batch"}],
                "rollup": {"l1": self.course, "l2": made.content},
            },
            "object": {"id": made.content, "type": "Content", "ver": "1", "rollup": {"l1": self.course}},
            "tags": [],
            "edata": {
                "index": number + 1,
                "item": {
                    "id": f"do_{number:020d}",
                    "maxscore": 1,
                    "type": "mcq",
                    "exlength": 0,
                    "uri": "",
                    "title": f"Which of these is the answer to question {number}?\n",
                    "desc": "",
                    "mmc": [],
                    "mc": [],
                    "params": [*choices, {"answer": json.dumps({"correct": ["1"]})}],
                },
                "pass": "Yes",
                "score": number % 3 / 2,
                "resvalues": [choices[number % 4]],
                "duration": 5 + number / 4,
            },
        }
