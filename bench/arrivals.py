"""When things came: rates over parts of a run. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

FIRST = 5000
"""Events at the start of a run that are told apart from the rest, as they were for the original."""


class Arrival(NamedTuple):
    """So much was there in all at a moment (seconds of a monotonic clock)."""

    at: float
    total: int


class Usage(NamedTuple):
    """What a process had used by a moment: seconds of CPU, user and system."""

    at: float
    cpu: float


class _Rated(Protocol):
    @property
    def rate(self) -> float: ...


_R = TypeVar("_R", bound=_Rated)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a run."""

    events: int
    seconds: float
    cpu_ms: dict[str, float]
    """Milliseconds of CPU for an event, by process."""

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds


def moment(arrivals: Sequence[Arrival], total: int) -> float:
    """When `total` had come; raises ValueError if it never did."""
    for arrival in arrivals:
        if arrival.total >= total:
            return arrival.at
    raise ValueError(f"never came to {total}")


def used(usage: Sequence[Usage], since: float, until: float) -> float:
    """Seconds of CPU between two moments; between two samples it is taken to be used evenly."""
    return _cpu_at(usage, until) - _cpu_at(usage, since)


def _cpu_at(usage: Sequence[Usage], at: float) -> float:
    before = usage[0]
    for sample in usage:
        if sample.at >= at:
            if sample.at <= before.at:
                return sample.cpu
            share = (at - before.at) / (sample.at - before.at)
            return before.cpu + share * (sample.cpu - before.cpu)
        before = sample
    return before.cpu


def parts(
    arrivals: Sequence[Arrival],
    start: float,
    events: int,
    per_event: int,
    usage: dict[str, list[Usage]],
    first: int = FIRST,
) -> dict[str, Part]:
    """The parts `first`, `rest` and `all` of a run; with few events there is only `all`.

    An event is done when `per_event` things have come for it.
    """
    bounds = {"all": (0, events)}
    if 0 < first < events:
        bounds = {"first": (0, first), "rest": (first, events), **bounds}
    found = {}
    for name, (low, high) in bounds.items():
        since = moment(arrivals, low * per_event) if low else start
        until = moment(arrivals, high * per_event)
        count = high - low
        cpu = {process: used(samples, since, until) / count * 1000 for process, samples in usage.items()}
        found[name] = Part(count, until - since, cpu)
    return found


def middle(runs: Iterable[_R]) -> _R:
    """The run in the middle by its rate; of two in the middle the slower."""
    ordered = sorted(runs, key=lambda run: run.rate)
    return ordered[(len(ordered) - 1) // 2]
