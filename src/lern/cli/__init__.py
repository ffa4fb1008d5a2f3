"""The command `lern`.

Exit codes: 0 done, 1 failed, 2 wrong usage or settings.
"""

import sys

import typer

from lern import __version__
from lern.cli import cache, demo, explain, failed, jobs, reconcile, run, schema, settings, topics
from lern.cli.logs import configure_logs
from lern.cli.options import say
from lern.errors import LernError, SettingsError

app = typer.Typer(
    name="lern",
    help="The stream jobs behind Sunbird Lern's courses: progress, completion, certificate requests.\n\n"
    "Start with [bold]lern demo[/]. Exit codes: 0 done, 1 failed, 2 wrong usage or settings.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.demo)
app.command("run")(run.run)
app.command("send")(topics.send)
app.command("tail")(topics.tail)
app.command("explain")(explain.explain)
app.command("reconcile")(reconcile.command)
app.add_typer(cache.app, name="cache")
app.add_typer(failed.app, name="failed")
app.add_typer(schema.app, name="schema")
app.add_typer(settings.app, name="settings")
app.command("jobs")(jobs.jobs)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lern-jobs {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: bool = typer.Option(  # noqa: ARG001  # typer wants it in the signature
        False, "--version", callback=_print_version, is_eager=True, help="Show the version and end."
    ),
) -> None:
    # Jobs tell how they are doing; tools speak when something is wrong.
    configure_logs("info" if context.invoked_subcommand == "run" else "warning")


def main() -> None:
    """Runs the command and ends the process with its exit code; wrong usage is told and ended by typer."""
    try:
        app()
    except SettingsError as error:
        _say(error)
        sys.exit(2)
    except LernError as error:
        _say(error)
        sys.exit(1)


def _say(error: LernError) -> None:
    for line in str(error).splitlines():
        say("error", line)
