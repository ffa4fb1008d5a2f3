"""What is printed and written of the benchmarks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from bench.figures import Benchmark, Figure
from bench.machine import is_quiet

_COLOURS = {"aim met": "green", "ok": "green", "below": "red"}


def show(console: Console, benchmark: Benchmark) -> None:
    """Prints one benchmark as a table."""
    table = Table(title=benchmark.name, title_justify="left", title_style="bold", caption=benchmark.about)
    table.caption_justify = "left"
    table.add_column("")
    for column in ("figure", "floor", "of the floor", "at least", "aim", ""):
        table.add_column(column, justify="right")
    for figure in benchmark.figures:
        table.add_row(*_row(figure))
    console.print(table)
    if benchmark.is_noisy:
        warn(console, f"other processes used up to {benchmark.others:.0%} of the machine during these runs")


def warn(console: Console, text: str) -> None:
    """Says what takes the worth from figures."""
    console.print(f"[yellow]warning:[/] {text}", highlight=False)


def show_machine(
    console: Console, machine: Mapping[str, object], load_average: Sequence[float], used: float
) -> None:
    """Prints where the figures come from, and a warning when the machine has something else to do."""
    details, versions = msgspec.to_builtins(machine["machine"]), msgspec.to_builtins(machine["versions"])
    console.print(
        f"{details['model']}, {details['cores']} cores, {details['memory'] / 2**30:.0f} GiB; {machine['date']}",
        highlight=False,
    )
    console.print(", ".join(f"{name} {version}" for name, version in versions.items()), highlight=False)
    averages = " ".join(f"{value:.2f}" for value in load_average)
    console.print(f"load average before the start: {averages}; used just now: {used:.0%}", highlight=False)
    if not is_quiet(used):
        warn(console, "the machine is not quiet: absolute figures mean little, ratios a bit more")


def as_json(
    machine: Mapping[str, object],
    load_average: Sequence[float],
    used: float,
    benchmarks: Sequence[Benchmark],
) -> bytes:
    """Everything, for comparison by programs."""
    document = {
        **machine,
        "load_average": list(load_average),
        "used_before": round(used, 3),
        "quiet": is_quiet(used) and not any(benchmark.is_noisy for benchmark in benchmarks),
        "benchmarks": {
            benchmark.name: {
                "about": benchmark.about,
                "others": benchmark.others,
                "figures": [
                    {
                        **msgspec.to_builtins(figure),
                        "share": figure.share,
                        "verdict": figure.verdict,
                    }
                    for figure in benchmark.figures
                ],
                "runs": msgspec.to_builtins(benchmark.runs),
            }
            for benchmark in benchmarks
        },
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def write(file: Path, document: bytes) -> None:
    """Writes the JSON, whole or not at all."""
    draft = file.with_name(file.name + ".draft")
    draft.write_bytes(document)
    draft.replace(file)


def _row(figure: Figure) -> tuple[str, ...]:
    share = f"{figure.share:.0%}" if figure.share else ""
    verdict = figure.verdict
    shown = f"[{_COLOURS[verdict]}]{verdict}[/]" if verdict else ""
    return (
        figure.name,
        figure.shown(figure.value),
        figure.shown(figure.floor),
        share,
        figure.shown(figure.least),
        figure.shown(figure.aim),
        shown,
    )
