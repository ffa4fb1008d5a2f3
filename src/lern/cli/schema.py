"""`lern schema`: keyspaces, tables and topics, compared with what the jobs need, or created."""

from typing import Annotated

import typer

from lern.bootstrap import Installation, install
from lern.cli.options import Config, ConfigDir, Overrides, WhichProfile, settings_for_tools, tell

app = typer.Typer(help="Keyspaces, tables and topics.", no_args_is_help=True)


def _installation(
    config: Config, config_dir: ConfigDir, profile: WhichProfile, overrides: Overrides
) -> Installation:
    loaded = settings_for_tools(config, config_dir, profile, overrides)
    return install(loaded.jobs)


@app.command()
def check(
    config: Config = None,
    config_dir: ConfigDir = None,
    profile: WhichProfile = None,
    overrides: Overrides = None,
) -> None:
    """Compares what is there with what the jobs need; exit code 1 when something is missing or different."""
    installation = _installation(config, config_dir, profile, overrides)
    try:
        differences = installation.schema_differences()
    finally:
        installation.close()
    for difference in differences:
        typer.echo(difference)
    if differences:
        raise typer.Exit(1)
    tell("everything the jobs need is there")


@app.command()
def apply(
    replication: Annotated[
        int, typer.Option(metavar="N", min=1, help="Replication factor of keyspaces that are created.")
    ] = 1,
    partitions: Annotated[
        int, typer.Option(metavar="N", min=1, help="Partitions of topics that are created.")
    ] = 4,
    config: Config = None,
    config_dir: ConfigDir = None,
    profile: WhichProfile = None,
    overrides: Overrides = None,
) -> None:
    """Creates what is missing; what exists is never altered. Exit code 1 when differences remain."""
    installation = _installation(config, config_dir, profile, overrides)
    try:
        for created in installation.create_schema(replication, partitions):
            tell(f"created {created}")
        differences = installation.schema_differences()
    finally:
        installation.close()
    for difference in differences:
        typer.echo(difference)
    if differences:
        raise typer.Exit(1)
