"""From what is written to `JobSettings`: defaults, types, and the rules that hold between settings."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lern.settings.key import JOBS, Key
from lern.settings.keys import BY_SPELLING, KEYS
from lern.settings.model import Profile
from lern.settings.sources import Given, has_template, unrendered_problem
from lern.settings.values import Kind, Value, WrongValueError, expected, parse, shown

Values = Mapping[str, Value | None]


@dataclass(frozen=True, slots=True)
class Origin:
    """One setting as `lern settings show` prints it: its value (`***` for a secret) and where it came from."""

    key: str
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class Checked:
    """The values of one job by key; with problems they must not be used."""

    values: dict[str, Value | None] = field(repr=False)
    origins: list[Origin]
    problems: list[str]
    warnings: list[str]


def check(job: str, profile: Profile, given: Mapping[str, Given], file: Path | None) -> Checked:
    """Complete, parse and check what is given for `job`; `file` is where a missing key should have been."""
    used = {name: one for name, one in given.items() if job in BY_SPELLING[name].jobs}
    checked = Checked({}, [], [], [])
    for key in KEYS:
        value, problem = _value(key, job, profile, used)
        checked.values[key.name] = value
        if problem:
            checked.problems.append(problem)
        elif key.required and value is None and profile is Profile.CONNECTED:
            where = f"{file}: " if file else ""
            checked.problems.append(f"{where}{key.name}: required in the connected profile, not set")
        if job in key.jobs:
            checked.origins.append(_origin(key, value, used.get(key.name)))
    if profile is Profile.CONNECTED and not checked.problems:
        checked.problems.extend(_rules(checked.values, used))
        checked.warnings.extend(_idle(checked.values, used))
    return checked


def _origin(key: Key, value: Value | None, given: Given | None) -> Origin:
    text = "***" if key.kind is Kind.SECRET and value is not None else shown(value)
    if given is None:
        return Origin(key.name, text, "default")
    alias = f" (as {given.spelling})" if given.spelling != key.name else ""
    return Origin(key.name, text, f"{given.place}{alias}")


def _value(
    key: Key, job: str, profile: Profile, used: Mapping[str, Given]
) -> tuple[Value | None, str | None]:
    """The value of one key, or the problem with it."""
    given = used.get(key.name)
    text = given.text if given else _default(key, job, used)
    if text is None or (not text.strip() and key.optional):
        return None, None
    if given and has_template(text):
        return None, unrendered_problem(given.place, given.spelling)
    if given and given.is_list and key.kind not in {Kind.HOSTS, Kind.BROKERS}:
        return (
            None,
            f"{given.place}: {given.spelling}: expected {expected(key.kind, key.choices)}, found a list",
        )
    try:
        return parse(key.kind, text, key.choices), None
    except WrongValueError as error:
        if given is None:
            # A name made from job.env: only a real database minds, or it is the problem of job.env itself.
            bad = profile is Profile.CONNECTED and job in key.jobs and key.kind is Kind.NAME
            return text, f"{key.name}: {error}; its default is made from job.env, so set it" if bad else None
        return None, f"{given.place}: {given.spelling}: {error}{_found(key, given)}"


def _found(key: Key, given: Given) -> str:
    if key.kind is Kind.SECRET:
        return ""
    if "@" in given.text:
        return ", found a value with @ in it (not shown)"
    return f', found "{given.text}"'


def _default(key: Key, job: str, used: Mapping[str, Given]) -> str | None:
    """The default with its placeholders filled in; None when it refers to a key that is not set."""
    default = key.default_for(job)
    if default is None:
        return None
    for placeholder in re.findall(r"\{(.+?)\}", default):
        other = BY_SPELLING["job.env" if placeholder == "env" else placeholder]
        text = used[other.name].text if other.name in used else _default(other, job, used)
        if text is None:
            return None
        default = default.replace(
            f"{{{placeholder}}}", text.strip() if other.kind is not Kind.SECRET else text
        )
    return default


_ENCRYPTED = ("lms-cassandra", "redis", "dp-redis", "dedup-redis")


def _rules(values: Values, used: Mapping[str, Given]) -> list[str]:
    """What must hold between settings in the connected profile."""
    problems = []
    if str(values["kafka.security.protocol"]).startswith("SASL"):
        problems += [
            f"{name}: required, since kafka.security.protocol is {values['kafka.security.protocol']}"
            for name in ("kafka.sasl.username", "kafka.sasl.password")
            if values[name] is None
        ]
    for prefix in ("kafka", *_ENCRYPTED):
        pair = [f"{prefix}.ssl.certificate", f"{prefix}.ssl.key"]
        unset = [name for name in pair if values[name] is None]
        if len(unset) == 1 and any(name in used for name in pair):
            problems.append(f"{unset[0]}: required, since the other of {' and '.join(pair)} is set")
    for name, given in used.items():
        value = values[name]
        if BY_SPELLING[name].kind is Kind.PEM and isinstance(value, Path) and not value.is_file():
            problems.append(f"{given.place}: {given.spelling}: there is no file {value}")
    return problems


def _idle(values: Values, used: Mapping[str, Given]) -> list[str]:
    """A warning for each setting that another one keeps from having an effect."""
    protocol = str(values["kafka.security.protocol"])
    idle = []
    if not protocol.startswith("SASL"):
        idle += [
            (f"kafka.sasl.{name}", f"kafka.security.protocol is {protocol}")
            for name in ("mechanism", "username", "password")
        ]
    if "SSL" not in protocol:
        idle += [
            (f"kafka.ssl.{name}", f"kafka.security.protocol is {protocol}")
            for name in ("ca", "certificate", "key")
        ]
    for prefix in _ENCRYPTED:
        if not values[f"{prefix}.ssl.enabled"]:
            idle += [
                (f"{prefix}.ssl.{name}", f"{prefix}.ssl.enabled is false")
                for name in ("ca", "certificate", "key")
            ]
    return [f"{used[name].place}: {name} has no effect: {why}" for name, why in idle if name in used]


def shared(jobs: tuple[str, ...], overridden: Mapping[str, set[str]], places: Mapping[str, str]) -> list[str]:
    """The problem of a key that has one value for several jobs whose defaults differ.

    `overridden`: by job, the keys that its own `jobs` block sets; `places`: where the keys meant for all jobs are set.
    """
    problems = []
    for key in KEYS:
        concerned = [job for job in jobs if job in key.jobs]
        differ = len({key.default_for(job) for job in concerned}) > 1
        if key.name in places and differ and any(key.name not in overridden[job] for job in concerned):
            problems.append(
                f"{places[key.name]}: {key.name}: one value cannot be meant for {' and '.join(concerned)}: "
                f"put it into `jobs {{ <job> {{ {key.name} = ... }} }}`, or give each job its own file with --config-dir"
            )
    return problems


def supported(jobs: tuple[str, ...]) -> list[str]:
    """A problem for each job that has no settings."""
    return [f"{job}: no such job (there are {', '.join(JOBS)})" for job in jobs if job not in JOBS]
