"""Figures and what they are held against. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_NOISE = 0.05
"""Share of the machine that others may use in a run without a warning."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number, and what it should be."""

    name: str
    value: float
    unit: str
    floor: float | None = None
    """The same of the bare drivers."""
    least: float | None = None
    aim: float | None = None
    more_is_better: bool = True

    @property
    def share(self) -> float | None:
        """How near it is to the floor: 1 is as good."""
        if not self.floor or not self.value:
            return None
        return self.value / self.floor if self.more_is_better else self.floor / self.value

    @property
    def verdict(self) -> str:
        """`aim met`, `ok`, `below`, or nothing where nothing is asked for."""
        if self.least is None or self.aim is None:
            return ""
        if self._reaches(self.aim):
            return "aim met"
        return "ok" if self._reaches(self.least) else "below"

    def _reaches(self, wanted: float) -> bool:
        return self.value >= wanted if self.more_is_better else self.value <= wanted

    def shown(self, value: float | None) -> str:
        """A number in this figure's unit."""
        if value is None:
            return ""
        match self.unit:
            case "share":
                return f"{value:.0%}"
            case "x":
                return f"{value:.1f} x" if value >= 1 else f"1/{1 / value:.1f}"
            case "/s":
                return f"{value:,.0f}"
            case "ms" | "s":
                return f"{value:.3f} {self.unit}" if value < 10 else f"{value:.1f} {self.unit}"
            case _:
                return f"{value:,.1f} {self.unit}"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """The figures of one benchmark, and the runs that they are taken from."""

    name: str
    about: str
    """What was done, with which settings."""
    figures: Sequence[Figure]
    runs: Mapping[str, Sequence[object]] = field(default_factory=dict)
    """All runs by what was run, as dataclasses."""
    others: float = 0.0
    """The largest share of the machine (0 to 1) that other processes used during a run."""

    @property
    def is_noisy(self) -> bool:
        """Whether others used so much of the machine that the figures mean little."""
        return self.others > _NOISE

    @property
    def is_below(self) -> bool:
        """Whether any figure is not what it has to be at least."""
        return any(figure.verdict == "below" for figure in self.figures)
