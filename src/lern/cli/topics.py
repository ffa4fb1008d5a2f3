"""`lern send` and `lern tail`: messages by hand."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
import typer
from rich.json import JSON
from rich.progress import Progress

from lern.bootstrap import install
from lern.cli.options import (
    Config,
    ConfigDir,
    Overrides,
    WhichProfile,
    err,
    is_terminal,
    out,
    settings_for_tools,
    tell,
)
from lern.job import Message, Record
from lern.settings.model import JobSettings
from lern.wire.envelope import learner_of, readable

_AT_ONCE = 2000


def send(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="A topic, or a job: its input topic.")],
    file: Annotated[
        Path, typer.Argument(metavar="[FILE|-]", help="One message a line; - is standard input.")
    ] = Path("-"),
    config: Config = None,
    config_dir: ConfigDir = None,
    profile: WhichProfile = None,
    overrides: Overrides = None,
) -> None:
    """Sends each line of a file to a topic, as it is.

    The key of a message is the learner it names, so that a learner's messages stay in order.
    """
    loaded = settings_for_tools(config, config_dir, profile, overrides)
    name = _input_topic(topic, loaded.jobs)
    total = None if file == Path("-") else _size(file)
    sent = 0
    installation = install(loaded.jobs)
    try:
        log = installation.log()
        with (
            _opened(file) as lines,
            Progress(console=err, transient=True, disable=not err.is_terminal) as progress,
        ):
            task = progress.add_task(f"sending to {name}", total=total)
            for chunk in _chunks(lines):
                log.send([Message(name, learner_of(line), line) for line in chunk])
                sent += len(chunk)
                progress.update(task, advance=sum(len(line) + 1 for line in chunk))
    finally:
        installation.close()
    tell(f"messages sent to {name}: {sent}")


def tail(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="A topic, or a job: its input topic.")],
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Start with the oldest message.")
    ] = False,
    count: Annotated[int | None, typer.Option(metavar="N", min=1, help="End after N messages.")] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Read the failed topic of TOPIC: a job, or what it reads.")
    ] = False,
    metadata: Annotated[
        bool,
        typer.Option(
            "--metadata", help="In a pipe: each line with topic, partition, offset, key and headers."
        ),
    ] = False,
    until_idle: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0.0, help="End when nothing came for that long.")
    ] = None,
    config: Config = None,
    config_dir: ConfigDir = None,
    profile: WhichProfile = None,
    overrides: Overrides = None,
) -> None:
    """Reads a topic: formatted on a terminal, one JSON document a line in a pipe. Ctrl-C ends it."""
    loaded = settings_for_tools(config, config_dir, profile, overrides)
    name = _failed_topic(topic, loaded.jobs) if failed else _input_topic(topic, loaded.jobs)
    installation = install(loaded.jobs)
    try:
        for record in _until(installation.log().read(name, from_beginning=from_beginning), count, until_idle):
            _show(record, metadata=metadata)
    except KeyboardInterrupt:
        return
    finally:
        installation.close()


def _until(records: Iterable[Record | None], count: int | None, until_idle: float | None) -> Iterator[Record]:
    """The messages, until there were so many or none came for so many seconds."""
    seen, last = 0, time.monotonic()
    for record in records:
        if record is None:
            if until_idle is not None and time.monotonic() - last >= until_idle:
                return
            continue
        yield record
        seen, last = seen + 1, time.monotonic()
        if seen == count:
            return


def _show(record: Record, *, metadata: bool) -> None:
    value = readable(record.value or b"")
    if not is_terminal():
        line: object = value
        if metadata:
            line = {
                "topic": record.topic,
                "partition": record.partition,
                "offset": record.offset,
                "timestamp": record.timestamp,
                "key": None if record.key is None else record.key.decode(errors="replace"),
                "headers": {name: (text or b"").decode(errors="replace") for name, text in record.headers},
                "value": value,
            }
        sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
        sys.stdout.flush()
        return
    key = "no key" if record.key is None else record.key.decode(errors="replace")
    sent = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.timestamp / 1000))
    out.rule(f"[dim]{sent}[/]  partition {record.partition}  offset {record.offset}  {key}", align="left")
    for name, text in record.headers:
        out.print(f"[dim]{name}:[/] {(text or b'').decode(errors='replace')}", highlight=False)
    out.print(JSON(msgspec.json.encode(value).decode()))


def _input_topic(name: str, jobs: dict[str, JobSettings]) -> str:
    return jobs[name].topics.input if name in jobs else name


def _failed_topic(name: str, jobs: dict[str, JobSettings]) -> str:
    for job, one in jobs.items():
        if name in {job, one.topics.input, one.topics.failed}:
            return one.topics.failed
    raise typer.BadParameter(f"no job reads {name}, so it has no failed topic", param_hint="--failed")


def _size(file: Path) -> int:
    try:
        with file.open("rb") as opened:
            return opened.seek(0, os.SEEK_END)
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}", param_hint="FILE") from error


def _opened(file: Path) -> BinaryIO:
    return sys.stdin.buffer if file == Path("-") else file.open("rb")


def _chunks(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Lines without their ends, empty ones left out, many at once; what waits longer than a moment goes at once."""
    chunk: list[bytes] = []
    started = time.monotonic()
    for line in lines:
        text = line.rstrip(b"\r\n")
        if text:
            chunk.append(text)
        if len(chunk) >= _AT_ONCE or time.monotonic() - started > 0.2:
            yield chunk
            chunk, started = [], time.monotonic()
    if chunk:
        yield chunk
