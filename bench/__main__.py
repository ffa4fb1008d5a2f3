"""The command line: `python -m bench [NAMES...]`, and `python -m bench load` for any other program."""

import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from bench import assessments, connected, embedded, merge, own_program, publish, reconcile
from bench.figures import Benchmark
from bench.load import Load
from bench.machine import describe, quiet
from bench.place import new_token
from bench.report import as_json, show, show_machine, warn, write
from bench.servers import NAMES, BenchError, Servers, addresses

_LEARNERS = 1000

_ABOUT = """\
Measures speed against real servers and prints each figure beside its floor, what it has to be at least, and its aim.
Addresses come from LERN_TEST_KAFKA, LERN_TEST_CASSANDRA, LERN_TEST_REDIS or the options; `make bench ARGS="..."`
starts servers. `load` measures any program that reads and writes the same topics and tables: `load --help`.
How to read the figures: docs/benchmarks.md. Exit code 1: a figure is below what it has to be, or a result was wrong.
"""


def main(arguments: Sequence[str]) -> int:
    """Runs the benchmarks and returns the exit code."""
    options = _parse(arguments)
    console = Console(width=None if sys.stdout.isatty() else 140)
    load_average, used = quiet()
    machine = describe()
    show_machine(console, machine, load_average, used)
    done: list[Benchmark] = []
    try:
        for name in options.names:
            done.append(_measure(name, options))
            show(console, done[-1])
    except BenchError as error:
        warn(console, f"{name}: {error}")
        return 1
    finally:
        if options.json and done:
            write(options.json, as_json(_with_servers(machine, options), load_average, used, done))
    return int(any(benchmark.is_below for benchmark in done))


def _measure(name: str, options: Namespace) -> Benchmark:
    if name == "embedded":
        return embedded.measure(_load(options), options.repeat)
    servers = addresses(options)
    connected_ones: dict[str, Callable[[Servers], Benchmark]] = {
        "connected": lambda servers: connected.measure(servers, _load(options), options.repeat),
        "assessments": lambda servers: assessments.measure(servers, options.repeat),
        "publish": lambda servers: publish.measure(servers, options.repeat),
        "reconcile": reconcile.measure,
        "merge": lambda servers: merge.measure(servers, options.repeat),
        "load": lambda servers: own_program.measure(servers, options),
    }
    return connected_ones[name](servers)


def _load(options: Namespace) -> Load:
    return Load(new_token(), learners=options.learners)


def _with_servers(machine: dict[str, object], options: Namespace) -> dict[str, object]:
    if options.names == ["embedded"]:
        return machine
    return machine | {"servers": addresses(options).versions()}


def _parse(arguments: Sequence[str]) -> Namespace:
    parser = ArgumentParser(
        prog="python -m bench", description=_ABOUT, formatter_class=RawDescriptionHelpFormatter
    )
    if arguments[:1] == ["load"]:
        parser.prog += " load"
        parser.description, arguments = own_program.__doc__, arguments[1:]
        own_program.add_options(parser)
        parser.set_defaults(names=["load"])
    else:
        parser.add_argument(
            "names",
            nargs="*",
            metavar="NAME",
            help="embedded, connected, assessments, publish, reconcile, merge; all by default",
        )
        parser.add_argument(
            "--repeat", type=int, default=3, metavar="N", help="runs of ours and of the floor (default: 3)"
        )
    for name in NAMES:
        parser.add_argument(f"--{name}", metavar="HOST:PORT", help=f"a {name.title()} server")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    parser.add_argument(
        "--learners", type=int, default=_LEARNERS, metavar="N", help="20 events each (default: 1000)"
    )
    options = parser.parse_args(arguments)
    known = ["embedded", "connected", "assessments", "publish", "reconcile", "merge"]
    if unknown := [name for name in options.names if name not in (*known, "load")]:
        parser.error(f"no benchmark is called {unknown[0]}; there are {', '.join(known)}")
    options.names = options.names or known
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
