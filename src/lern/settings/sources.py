"""Gathers what is written about each key for one job: the file, its `jobs` block, the environment, `--set`."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lern.settings.definitions import Array, Definition, Part, Place, Text
from lern.settings.hocon import Entry, resolve
from lern.settings.ignored import is_ignored
from lern.settings.key import ALL_JOBS, Key, variable
from lern.settings.keys import BY_SPELLING, KEYS

_OTHER_VARIABLES = ("LERN_TEST_", "LERN_SERVERS", "LERN_CACHE", "LERN_LOG_")
"""Variables of the program that are no settings."""


@dataclass(frozen=True, slots=True)
class Given:
    """What was written for one key: the text (a list joined by commas), under which spelling, and where."""

    text: str = field(repr=False)
    is_list: bool
    spelling: str
    place: Place


@dataclass(frozen=True, slots=True)
class Layers:
    """Definitions in the order of their weight, later ones winning."""

    file: list[Definition] = field(default_factory=list)
    environment: list[Definition] = field(default_factory=list)
    options: list[Definition] = field(default_factory=list)

    def for_job(self, job: str) -> list[list[Definition]]:
        """The layers of one job: those for all jobs and, above each, those of its block `jobs { <job> { } }`."""
        return [part for layer in (self.file, self.environment, self.options) for part in _split(layer, job)]

    def for_all_jobs(self) -> list[Definition]:
        """What is meant for every job."""
        return [
            d for layer in (self.file, self.environment, self.options) for d in layer if d.path[0] != "jobs"
        ]


def _split(definitions: list[Definition], job: str) -> tuple[list[Definition], list[Definition]]:
    block = [
        Definition(d.path[2:], d.parts, d.place, d.append)
        for d in definitions
        if d.path[:2] == ("jobs", job) and len(d.path) > 2
    ]
    return [d for d in definitions if d.path[0] != "jobs"], block


def from_environment(environ: Mapping[str, str]) -> tuple[list[Definition], list[str]]:
    """The settings among the variables, and a warning for each `LERN_*` variable that is none."""
    spellings = {variable(spelling): spelling for spelling in BY_SPELLING}
    definitions: list[Definition] = []
    warnings: list[str] = []
    for name in sorted(environ):
        if not name.startswith("LERN_") or name.startswith(_OTHER_VARIABLES):
            continue
        if name in spellings:
            path = tuple(spellings[name].split("."))
            definitions.append(Definition(path, (Text(environ[name]),), Place(f"env {name}")))
        else:
            warnings.append(f"env {name}: no such setting{_nearest(name, spellings)}")
    return definitions, warnings


def from_options(overrides: Sequence[str]) -> tuple[list[Definition], list[str]]:
    """The settings of `--set key=value` (or `jobs.<job>.key=value`), and the problems with them."""
    definitions: list[Definition] = []
    problems: list[str] = []
    for number, override in enumerate(overrides, 1):
        name, equals, value = override.partition("=")
        name = name.strip()
        path = tuple(name.split("."))
        spelling = ".".join(path[2:]) if path[:1] == ("jobs",) else name
        if not equals:
            problems.append(f"--set number {number}: expected key=value")
        elif path[0] == "jobs" and path[1:2] not in {(job,) for job in ALL_JOBS}:
            problems.append(
                f"--set {name}: no such job{_nearest(path[1] if len(path) > 1 else '', ALL_JOBS)}"
            )
        elif spelling not in BY_SPELLING:
            why = "is known but means nothing here" if is_ignored(spelling) else "no such setting"
            problems.append(f"--set {name}: {why}{_nearest(spelling, BY_SPELLING)}")
        else:
            source = "--set" if spelling == name else f"--set {'.'.join(path[:2])}"
            definitions.append(Definition(path, (Text(value),), Place(source)))
    return definitions, problems


def idle_options(definitions: Iterable[Definition], jobs: Sequence[str]) -> list[str]:
    """A warning for each variable and option that none of `jobs` uses."""
    warnings = []
    for definition in definitions:
        for_one = definition.path[0] == "jobs"
        name = ".".join(definition.path[2:] if for_one else definition.path)
        concerned = [job for job in jobs if not for_one or job == definition.path[1]]
        if not any(job in BY_SPELLING[name].jobs for job in concerned):
            warnings.append(f"{definition.place}: {name} has no effect on {', '.join(jobs)}")
    return warnings


def unknown_keys(definitions: Iterable[Definition]) -> list[str]:
    """A warning for each key of a file that is neither a setting nor a deployed key of another job."""
    warnings: dict[str, str] = {}
    for definition in definitions:
        path = definition.path
        full = ".".join(path)
        if path[0] == "jobs" and (len(path) < 3 or path[1] not in ALL_JOBS):
            block = ".".join(path[:2])
            near = _nearest(path[1] if len(path) > 1 else "", ALL_JOBS)
            warnings[block] = f"{definition.place}: {block}: no such job, the block is not used{near}"
            continue
        name = ".".join(path[2:]) if path[0] == "jobs" else full
        if name not in BY_SPELLING and not is_ignored(name):
            warnings[full] = (
                f"{definition.place}: {full}: no such setting, it is not used{_nearest(name, BY_SPELLING)}"
            )
    return list(warnings.values())


def unrendered(definitions: Iterable[Definition]) -> list[str]:
    """A problem for each value in which a template's placeholder is left."""
    return [
        unrendered_problem(d.place, ".".join(d.path))
        for d in definitions
        if any(_has_template(part) for part in d.parts)
    ]


def unrendered_problem(place: Place, key: str) -> str:
    """The sentence for `{{ ... }}` in a value."""
    return f"{place}: {key}: a template's placeholder {{{{ ... }}}} is left in the value: it was not rendered"


def has_template(text: str) -> bool:
    """Whether `{{ ... }}` is left in `text`."""
    return re.search(r"\{\{.*\}\}", text) is not None


def _has_template(part: Part) -> bool:
    if isinstance(part, Array):
        return any(_has_template(inner) for element in part.elements for inner in element)
    return isinstance(part, Text) and has_template(part.text)


@dataclass(frozen=True, slots=True)
class Gathered:
    """What is written for one job, by key; problems and warnings are whole sentences."""

    given: dict[str, Given]
    problems: list[str]
    warnings: list[str]


def gather(layers: Layers, job: str, environ: Mapping[str, str], hint: str) -> Gathered:
    """Resolve the layers of `job` and choose among the spellings of each key.

    Environment and options take part in the resolution, so that `dedup-redis.host = ${redis.host}` in a file follows a
    `redis.host` that is set on the command line.
    """
    stacked = layers.for_job(job)
    weight = {definition.place: number for number, layer in enumerate(stacked) for definition in layer}
    resolved = resolve([definition for layer in stacked for definition in layer], environ, hint)
    given: dict[str, Given] = {}
    warnings: list[str] = []
    for key in KEYS:
        found = {name: resolved.values[name] for name in key.spellings if name in resolved.values}
        if found:
            name, entry = _strongest(found, weight)
            given[key.name] = _given(name, entry)
            warnings += _disagreement(key, name, entry, found, weight)
    return Gathered(given, resolved.problems, warnings)


def _strongest(found: Mapping[str, Entry], weight: Mapping[Place, int]) -> tuple[str, Entry]:
    """The spelling of the heaviest layer; within one layer the key's own name, then the aliases in order."""
    heaviest = max(weight[entry.place] for entry in found.values())
    return next((name, entry) for name, entry in found.items() if weight[entry.place] == heaviest)


def _disagreement(
    key: Key, name: str, entry: Entry, found: Mapping[str, Entry], weight: Mapping[Place, int]
) -> list[str]:
    return [
        f"{entry.place}: {name} is used; {other} ({theirs.place}) names the same setting ({key.name}) with another value"
        for other, theirs in found.items()
        if other != name and theirs.value != entry.value and weight[theirs.place] == weight[entry.place]
    ]


def _given(name: str, entry: Entry) -> Given:
    is_list = isinstance(entry.value, tuple)
    text = entry.value if isinstance(entry.value, str) else ",".join(entry.value)
    return Given(text, is_list, name, entry.place)


def _nearest(name: str, names: Iterable[str]) -> str:
    lowered = {one.lower(): one for one in names}
    close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.75)
    return f"; did you mean {lowered[close[0]]}?" if close else ""
