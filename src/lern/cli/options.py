"""Options that several commands share, and how their values become settings."""

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from lern.errors import SettingsError
from lern.jobs import JOBS
from lern.settings import Loaded, Profile, load

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Settings file (HOCON, as deployed today, with its includes).",
        rich_help_panel="Settings",
    ),
]
ConfigDir = Annotated[
    Path | None,
    typer.Option(
        "--config-dir",
        metavar="DIR",
        help="Folder with one JOB.conf for each job.",
        rich_help_panel="Settings",
    ),
]
WhichProfile = Annotated[
    Profile | None,
    typer.Option(
        "--profile",
        help="Where topics and tables are. Default: connected with Kafka settings, embedded without.",
        rich_help_panel="Settings",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Sets one key; may be repeated.",
        rich_help_panel="Settings",
    ),
]

out = Console()
err = Console(stderr=True)


def settings_of(
    jobs: Sequence[str],
    config: Path | None,
    config_dir: Path | None,
    profile: Profile | None,
    overrides: Sequence[str] | None,
) -> Loaded:
    """The settings of these jobs; warnings go to standard error."""
    loaded = load(jobs, config=config, config_dir=config_dir, profile=profile, overrides=overrides or ())
    for warning in loaded.warnings:
        say("warning", warning)
    return loaded


def known_jobs(names: Sequence[str]) -> list[str]:
    """The names as given; raises a usage error for one that is no job."""
    for name in names:
        if name not in JOBS:
            raise typer.BadParameter(f"{name} is not a job; the jobs are {', '.join(JOBS)}")
    return list(names)


def jobs_with_settings(config_dir: Path | None) -> list[str]:
    """All jobs, or with a folder of settings those that have a file there."""
    if config_dir is None:
        return list(JOBS)
    return [job for job in JOBS if (config_dir / f"{job}.conf").is_file()] or list(JOBS)


def settings_for_tools(
    config: Path | None, config_dir: Path | None, profile: Profile | None, overrides: Sequence[str] | None
) -> Loaded:
    """The settings of a command that works on no job in particular.

    A deployed file is for one job: the one it is named after, or else the first one whose settings it can be.
    """
    if config is None or config.stem in JOBS:
        names = [config.stem] if config else jobs_with_settings(config_dir)
        return settings_of(names, config, config_dir, profile, overrides)
    for names in (list(JOBS), *([job] for job in JOBS)):
        with contextlib.suppress(SettingsError):
            return settings_of(names, config, None, profile, overrides)
    return settings_of(list(JOBS)[:1], config, None, profile, overrides)


_COLOURS = {"error": "red", "failed": "red", "warning": "yellow"}


def say(what: str, text: str) -> None:
    """One line on standard error: `error: text`, whatever the text holds."""
    err.print(Text.assemble((f"{what}:", _COLOURS[what]), " ", text), soft_wrap=True)


def tell(text: str) -> None:
    """A plain line on standard error."""
    err.print(Text(text), soft_wrap=True)


def is_terminal() -> bool:
    """Whether a person reads standard output."""
    return sys.stdout.isatty()
