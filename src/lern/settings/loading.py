"""The way from files, environment and options to the settings of each job."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lern.errors import SettingsError
from lern.settings.build import build
from lern.settings.definitions import Definition
from lern.settings.keys import BY_SPELLING, KEYS
from lern.settings.model import JobSettings, Profile
from lern.settings.resolve import Origin, check, shared, supported
from lern.settings.scan import scan
from lern.settings.sources import (
    Gathered,
    Layers,
    from_environment,
    from_options,
    gather,
    idle_options,
    unknown_keys,
    unrendered,
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings of each job, what an operator should know about them, and where each value came from."""

    jobs: dict[str, JobSettings]
    warnings: list[str]
    origins: dict[str, list[Origin]]


@dataclass(frozen=True, slots=True)
class _File:
    path: Path | None
    definitions: list[Definition]
    hint: str
    """What is added to the problem of an undefined substitution: the includes that were not found."""


def load(
    jobs: Sequence[str],
    *,
    config: Path | None = None,
    config_dir: Path | None = None,
    profile: Profile | None = None,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> Loaded:
    """The settings of `jobs`: defaults, below one file for all (`config`) or `<job>.conf` for each (`config_dir`),
    below the environment, below `overrides` (`key=value`).

    Without `profile`: connected when `kafka.broker-servers` is set for any job, else embedded.
    Raises `SettingsError` with all problems, one a line.
    """
    names = tuple(dict.fromkeys(jobs))
    problems = supported(names)
    if config and config_dir:
        problems.append("--config and --config-dir exclude each other")
    _stop(problems)

    environment, warnings = from_environment(environ)
    options, problems = from_options(overrides)
    paths = (
        dict.fromkeys(names, config)
        if config_dir is None
        else {job: config_dir / f"{job}.conf" for job in names}
    )
    files = _read(set(paths.values()), warnings, problems)
    gathered: dict[str, Gathered] = {}
    for job in names:
        if paths[job] in files:
            file = files[paths[job]]
            gathered[job] = gather(Layers(file.definitions, environment, options), job, environ, file.hint)
            problems += gathered[job].problems
            warnings += gathered[job].warnings
    common = Layers(files[config].definitions if config in files else [], environment, options)
    problems += _shared(names, common)

    warnings += idle_options(environment + options, names)

    chosen = profile or _profile(gathered.values())
    if profile is None and chosen is Profile.EMBEDDED:
        warnings += _left_alone(gathered.values())
    checked = {job: check(job, chosen, found.given, paths[job]) for job, found in gathered.items()}
    for one in checked.values():
        problems += one.problems
        warnings += one.warnings
    _stop(problems)
    return Loaded(
        jobs={job: build(job, chosen, one.values) for job, one in checked.items()},
        warnings=list(dict.fromkeys(warnings)),
        origins={job: one.origins for job, one in checked.items()},
    )


def _stop(problems: Sequence[str]) -> None:
    if problems:
        raise SettingsError("\n".join(dict.fromkeys(problems)))


def _read(paths: set[Path | None], warnings: list[str], problems: list[str]) -> dict[Path | None, _File]:
    """The files that can be read; the others are added to `problems`."""
    files: dict[Path | None, _File] = {}
    for path in sorted(paths, key=str):
        if path is None:
            files[None] = _File(None, [], "")
            continue
        try:
            scanned = scan(path)
        except SettingsError as error:
            problems.append(str(error))
            continue
        missing = [f'include "{name}" ({place})' for name, place in scanned.missing]
        hint = f"; not found: {', '.join(missing)}" if missing else ""
        files[path] = _File(path, scanned.definitions, hint)
        warnings += [
            f'{place}: include "{name}": there is no such file, nothing is included'
            for name, place in scanned.missing
        ]
        warnings += unknown_keys(scanned.definitions)
        problems += unrendered(scanned.definitions)
    return files


def _shared(jobs: tuple[str, ...], common: Layers) -> list[str]:
    places = {_name(d): str(d.place) for d in common.for_all_jobs()}
    every = common.file + common.environment + common.options
    overridden = {job: {_name(d, skip=2) for d in every if d.path[:2] == ("jobs", job)} for job in jobs}
    return shared(jobs, overridden, places)


def _name(definition: Definition, skip: int = 0) -> str:
    spelling = ".".join(definition.path[skip:])
    return BY_SPELLING[spelling].name if spelling in BY_SPELLING else spelling


def _profile(gathered: Iterable[Gathered]) -> Profile:
    brokers = any("kafka.broker-servers" in found.given for found in gathered)
    return Profile.CONNECTED if brokers else Profile.EMBEDDED


def _left_alone(gathered: Iterable[Gathered]) -> list[str]:
    """A warning for each server that is set but not spoken to, since there is no Kafka."""
    return [
        f"{given.place}: {key.name} has no effect: kafka.broker-servers is not set, so everything runs embedded"
        for found in gathered
        for key in KEYS
        if key.required and (given := found.given.get(key.name))
    ]
