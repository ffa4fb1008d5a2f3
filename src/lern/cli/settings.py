"""`lern settings`: what is set, where it came from, and what could be."""

from typing import Annotated

import msgspec
import typer
from rich.table import Table

from lern.cli.options import (
    Config,
    ConfigDir,
    Overrides,
    WhichProfile,
    is_terminal,
    known_jobs,
    out,
    settings_for_tools,
    settings_of,
    tell,
)
from lern.settings import Loaded, reference

app = typer.Typer(
    help="Effective settings, problems in them, and the reference of all keys.", no_args_is_help=True
)

Jobs = Annotated[list[str] | None, typer.Argument(metavar="JOB", help="Default: all jobs.")]


def _loaded(
    jobs: Jobs, config: Config, config_dir: ConfigDir, profile: WhichProfile, overrides: Overrides
) -> Loaded:
    if jobs:
        return settings_of(known_jobs(jobs), config, config_dir, profile, overrides)
    return settings_for_tools(config, config_dir, profile, overrides)


@app.command()
def show(
    jobs: Jobs = None,
    config: Config = None,
    config_dir: ConfigDir = None,
    profile: WhichProfile = None,
    overrides: Overrides = None,
) -> None:
    """Shows every value that is in effect and where it came from; secrets are hidden."""
    loaded = _loaded(jobs, config, config_dir, profile, overrides)
    for job, origins in loaded.origins.items():
        if not is_terminal():
            for origin in origins:
                line = {"job": job, "key": origin.key, "value": origin.value, "from": origin.source}
                typer.echo(msgspec.json.encode(line))
            continue
        table = Table("Key", "Value", "From", title=job, title_justify="left")
        for origin in origins:
            dim = "[dim]" if origin.source == "default" else ""
            table.add_row(f"{dim}{origin.key}", f"{dim}{origin.value}", f"{dim}{origin.source}")
        out.print(table)


@app.command()
def check(
    jobs: Jobs = None,
    config: Config = None,
    config_dir: ConfigDir = None,
    profile: WhichProfile = None,
    overrides: Overrides = None,
) -> None:
    """Looks for problems: each with its key, file and line; exit code 2 when the settings cannot work."""
    loaded = _loaded(jobs, config, config_dir, profile, overrides)
    profile_name = next(iter(loaded.jobs.values())).profile.value
    warnings = f", {len(loaded.warnings)} warnings" if loaded.warnings else ""
    tell(f"settings of {', '.join(loaded.jobs)}: in order (profile {profile_name}){warnings}")


@app.command()
def docs() -> None:
    """Prints the reference of every key, default and meaning as Markdown."""
    typer.echo(reference(), nl=False)
