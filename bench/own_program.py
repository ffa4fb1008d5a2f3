"""`python -m bench load`: the load against any program that reads and writes the same topics and tables.

It creates what is missing, enrols learners with new ids, sends the events at once, waits until both AUDIT events of
each content are there, checks rows and messages, and prints the figures. The program has to run already, and have its
partitions; `--group` waits for that. Rows, sets and marks have ids of their own and stay in the tables unless the
keyspaces are dropped; keys in Redis are removed.
"""

from argparse import ArgumentParser, Namespace

from bench.drive import AUDITS, PROGRAM, Measured, run, wait_for_group
from bench.figures import Benchmark, Figure
from bench.load import Load
from bench.place import PARTITIONS, Place, new_token
from bench.seed import create, filled
from bench.servers import Servers


def add_options(parser: ArgumentParser) -> None:
    """The options of this command, besides the addresses."""
    parser.add_argument(
        "--env", default="dev", help="first part of all names that are not given (default: dev)"
    )
    parser.add_argument("--input-topic", help="default: ENV.coursebatch.job.request")
    parser.add_argument("--audit-topic", help="default: ENV.telemetry.raw")
    parser.add_argument("--failed-topic", help="default: ENV.activity.agg.failed; - is not looked at")
    parser.add_argument(
        "--certificate-topic", help="default: ENV.issue.certificate.request; - is not looked at"
    )
    parser.add_argument("--keyspace", default="sunbird_courses", help="default: sunbird_courses")
    parser.add_argument("--hierarchy-keyspace", help="default: ENV_hierarchy_store")
    parser.add_argument("--relation-database", type=int, default=10, help="Redis index (default: 10)")
    parser.add_argument("--marks-database", type=int, default=13, help="Redis index (default: 13)")
    parser.add_argument("--group", help="consumer group that has to have all partitions before the start")
    parser.add_argument("--pid", type=int, help="process of the program: its CPU and memory are measured")
    parser.add_argument("--partitions", type=int, default=PARTITIONS, help="of the input topic (default: 4)")


def measure(servers: Servers, options: Namespace) -> Benchmark:
    """Runs the load against a program that was started by someone else."""
    place = _place(options)
    load = Load(new_token(), learners=options.learners)
    create(servers, place)
    if options.group:
        wait_for_group(servers, options.group, options.partitions)
    with filled(servers, place, load):
        measured = run(servers, place, load, options.pid)
    return _benchmark(load, measured)


def _place(options: Namespace) -> Place:
    env = options.env

    def topic(given: str | None, default: str) -> str:
        return "" if given == "-" else given or f"{env}.{default}"

    return Place(
        input=topic(options.input_topic, "coursebatch.job.request"),
        audit=topic(options.audit_topic, "telemetry.raw"),
        failed=topic(options.failed_topic, "activity.agg.failed"),
        certificate_requests=topic(options.certificate_topic, "issue.certificate.request"),
        publish="",
        publish_failed="",
        courses=options.keyspace,
        hierarchies=options.hierarchy_keyspace or f"{env}_hierarchy_store",
        group=options.group or "",
        env=env,
        relations=options.relation_database,
        marks=options.marks_database,
    )


def _benchmark(load: Load, measured: Measured) -> Benchmark:
    figures = []
    for name, part in measured.parts.items():
        title = {"all": "all", "first": f"first {part.events:,}", "rest": "the rest"}[name]
        figures.append(Figure(f"{title}: events a second", part.rate, "/s"))
        figures += [
            Figure(f"- CPU of {process}, an event", value, "ms", more_is_better=False)
            for process, value in part.cpu_ms.items()
        ]
    if measured.resident:
        figures.append(Figure(f"resident memory of the {PROGRAM}", measured.resident / 1e6, "MB"))
    return Benchmark(
        "load",
        f"{load.learners:,} learners, {load.size:,} events, {load.size * AUDITS:,} AUDIT events; the result is right",
        figures,
        {"program": [measured]},
        measured.others,
    )
