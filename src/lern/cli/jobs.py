"""`lern jobs`: what there is to run."""

import msgspec
import typer
from rich.table import Table

from lern.cli.options import (
    Config,
    ConfigDir,
    Overrides,
    WhichProfile,
    is_terminal,
    out,
    settings_for_tools,
)
from lern.jobs import JOBS


def jobs(
    config: Config = None,
    config_dir: ConfigDir = None,
    profile: WhichProfile = None,
    overrides: Overrides = None,
) -> None:
    """Lists the jobs, and the topics that each reads and writes."""
    loaded = settings_for_tools(config, config_dir, profile, overrides)
    rows = [
        {
            "job": name,
            "does": JOBS[name].title,
            "reads": one.topics.input,
            "writes": [
                topic
                for topic in (
                    one.topics.audit,
                    one.topics.certificate_requests,
                    one.topics.enrolment_syncs,
                    one.topics.failed,
                )
                if topic
            ],
            "group": one.group,
        }
        for name, one in loaded.jobs.items()
    ]
    if not is_terminal():
        for row in rows:
            typer.echo(msgspec.json.encode(row))
        return
    table = Table("Job", "What it does", "Reads", "Writes", show_lines=True)
    for row in rows:
        table.add_row(f"[bold]{row['job']}[/]", str(row["does"]), str(row["reads"]), "\n".join(row["writes"]))
    out.print(table)
