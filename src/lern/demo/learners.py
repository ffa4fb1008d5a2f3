"""The invented learners, and what each does in each week: the same for the same seed."""

import random
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from lern.demo.course import Course
from lern.domain.model import Status, UserId

WEEKS = 12
_WEEK_SECONDS = 7 * 86400
_STUDY_SECONDS = _WEEK_SECONDS - 86400
"""Studying ends a day before the week does, so that repetitions fall in the same week."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a learner goes about a course; ranges are inclusive."""

    name: str
    share: int
    """How many of a hundred learners are like that."""
    begins: tuple[int, int]
    """The first week of study, counted from 1."""
    weeks: tuple[int, int]
    """For how many weeks."""
    contents: tuple[int, int]
    """How many contents a week."""
    curiosity: float
    """The probability of taking an optional content."""
    left: int = 0
    """How many contents at the end of the course are never taken."""


_ALMOST = Pace("almost there", 1, (1, 1), (WEEKS, WEEKS), (4, 5), 0.4, left=1)
_DILIGENT = Pace("diligent", 27, (1, 1), (WEEKS, WEEKS), (3, 5), 0.5)
_STEADY = Pace("unhurried", 34, (1, 2), (WEEKS, WEEKS), (2, 4), 0.2)
_LATE = Pace("late starter", 14, (5, 7), (WEEKS, WEEKS), (3, 7), 0.1)
_STOPS = Pace("drops out", 18, (1, 3), (1, 4), (1, 4), 0.3)
_ABSENT = Pace("never came", 6, (1, 1), (0, 0), (0, 0), 0.0)

_PACES = (_ALMOST, _DILIGENT, _STEADY, _LATE, _STOPS, _ABSENT)
_FIRST = (_ALMOST, _DILIGENT, _STEADY, _STOPS, _LATE, _DILIGENT, _ABSENT)
"""The first learners, so that a small demo has one of each kind."""

_OFFLINE = 0.15
"""Share of learners whose phone tells of a whole week at once."""
_REPEATS = 0.06
"""How often a completed content is completed once more in the same week."""
_ONLY_OPENED = 0.4
"""How often the week ends with a content that was opened and not completed."""


@dataclass(frozen=True, slots=True)
class Learner:
    """One invented person."""

    number: int
    user: UserId
    name: str
    pace: Pace
    is_offline: bool


class Study(NamedTuple):
    """What one message of a learner's app tells: contents with their status."""

    at: float
    """Seconds since the begin of the week."""
    learner: Learner
    contents: tuple[tuple[str, Status], ...]
    repeated: int = 0
    """How many of the contents were completed before."""


def learners(seed: int, count: int) -> list[Learner]:
    """The learners, in the order in which they enrolled."""
    order = random.Random(seed)  # noqa: S311  # play, no secret
    names = order.sample(_NAMES, len(_NAMES))
    return [_learner(seed, number, names) for number in range(count)]


def _learner(seed: int, number: int, names: list[str]) -> Learner:
    own = chance(seed, number, "person")
    by_chance = own.choices(_PACES, [pace.share for pace in _PACES])[0]
    name = names[number % len(names)]
    return Learner(
        number=number,
        user=UserId(str(uuid.UUID(int=own.getrandbits(128), version=4))),
        name=f"{name} {own.choice(_INITIALS)}.",
        pace=_FIRST[number] if number < len(_FIRST) else by_chance,
        is_offline=own.random() < _OFFLINE,
    )


def weeks(seed: int, learner: Learner, course: Course, done: Collection[str] = ()) -> Iterator[list[Study]]:
    """What the learner does, one list a week; contents that are `done` already are not taken."""
    own = chance(seed, learner.number, "study")
    pace = learner.pace
    begins = own.randint(*pace.begins)
    ends = begins + own.randint(*pace.weeks)
    taken = [
        node.identifier
        for node in course.contents[: len(course.contents) - pace.left]
        if node.identifier not in course.optional or own.random() < pace.curiosity
    ]
    taken = [content for content in taken if content not in done]
    for week in range(1, WEEKS + 1):
        many = own.randint(*pace.contents) if begins <= week < ends else 0
        now, taken = taken[:many], taken[many:]
        peeks = taken[:1] if many and own.random() < _ONLY_OPENED else []
        yield list(_week(own, learner, now, peeks))


def _week(own: random.Random, learner: Learner, contents: list[str], peeks: list[str]) -> Iterator[Study]:
    """The messages of one week."""
    again = [content for content in contents if own.random() < _REPEATS]
    opened = [(content, Status.IN_PROGRESS) for content in peeks]
    if learner.is_offline:
        told = [(content, Status.COMPLETED) for content in [*contents, *again]]
        if told or opened:
            at = _STUDY_SECONDS + own.random() * 40000
            yield Study(at, learner, (*told, *opened), len(again))
        return
    moments = sorted(own.random() * _STUDY_SECONDS for _ in [*contents, *peeks])
    for at, content in zip(moments, contents, strict=False):
        yield Study(at, learner, ((content, Status.IN_PROGRESS),))
        yield Study(at + own.uniform(120, 1500), learner, ((content, Status.COMPLETED),))
    for status in opened:
        yield Study(moments[-1] + 1600, learner, (status,))
    for content in again:
        yield Study(_STUDY_SECONDS + own.random() * 40000, learner, ((content, Status.COMPLETED),), 1)


def chance(seed: int, number: int, purpose: str) -> random.Random:
    """A source of chance of one's own, so that a learner is the same however many others there are."""
    return random.Random(f"{seed} {number} {purpose}")  # noqa: S311  # play, no secret


_INITIALS = "ABCDGHIJKLMNPRSTVY"
_NAMES = [
    "Aarav",
    "Aditi",
    "Ahmed",
    "Aisha",
    "Ajay",
    "Akash",
    "Alok",
    "Amina",
    "Amrita",
    "Anand",
    "Ananya",
    "Anil",
    "Anjali",
    "Ankit",
    "Arjun",
    "Asha",
    "Ashok",
    "Avni",
    "Ayesha",
    "Balwinder",
    "Bhavna",
    "Bijoy",
    "Binita",
    "Chandni",
    "Chetan",
    "Daisy",
    "Deepa",
    "Devika",
    "Dhruv",
    "Dilip",
    "Esther",
    "Farhan",
    "Fatima",
    "Gauri",
    "Gautam",
    "Gita",
    "Gurpreet",
    "Harsh",
    "Heena",
    "Imran",
    "Indira",
    "Irfan",
    "Ishaan",
    "Jaya",
    "Jigme",
    "Joseph",
    "Jyoti",
    "Kabir",
    "Kalpana",
    "Karthik",
    "Kavya",
    "Khushi",
    "Kiran",
    "Lakshmi",
    "Lalit",
    "Lata",
    "Leela",
    "Madhav",
    "Maria",
    "Meena",
    "Meera",
    "Mohan",
    "Mumtaz",
    "Naina",
    "Nandini",
    "Naveen",
    "Neha",
    "Nikhil",
    "Nirmala",
    "Omkar",
    "Padma",
    "Pallavi",
    "Parvati",
    "Pooja",
    "Prakash",
    "Priya",
    "Rahul",
    "Rajan",
    "Rani",
    "Ravi",
    "Rekha",
    "Rohan",
    "Rosy",
    "Rukmini",
    "Sahil",
    "Salma",
    "Sanjay",
    "Sarita",
    "Shanti",
    "Shivam",
    "Simran",
    "Sneha",
    "Sunil",
    "Suresh",
    "Tara",
    "Tashi",
    "Tenzin",
    "Uma",
    "Usha",
    "Varun",
    "Vikram",
    "Yasmin",
    "Zoya",
]
