"""Whether a run has led to what it had to: rows and messages, compared with what the load says."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cassandra.cluster import Session
from cassandra.concurrent import execute_concurrent_with_args
from confluent_kafka import Consumer, TopicPartition

from bench.load import Load
from bench.place import Place
from bench.servers import BenchError, Servers, cassandra

_SHOWN = 5


def verify(
    servers: Servers, place: Place, load: Load, audits: Sequence[bytes], before: Mapping[str, int]
) -> None:
    """Raises BenchError unless all progress, all counts and all messages are right.

    `before` is what `unwanted` said when nothing was sent yet.
    """
    problems = [
        *wrong_audits(load, audits),
        *(
            f"{topic} has {count - before[topic]} new messages"
            for topic, count in unwanted(servers, place).items()
            if count > before[topic]
        ),
    ]
    with cassandra(servers) as session:
        problems += _wrong_rows(session, place, load)
    if problems:
        shown = "; ".join(problems[:_SHOWN])
        raise BenchError(f"the result is wrong ({len(problems)} differences): {shown}")


def unwanted(servers: Servers, place: Place) -> dict[str, int]:
    """How many messages were ever sent to the topics to which nothing must come: failed, and completed courses."""
    consumer = Consumer({"bootstrap.servers": servers.kafka, "group.id": "bench-check"})
    try:
        return {
            topic: _ever_sent(consumer, topic)
            for topic in (place.failed, place.certificate_requests)
            if topic
        }
    finally:
        consumer.close()


def wrong_audits(load: Load, audits: Iterable[bytes]) -> Iterator[str]:
    """Each completion has exactly one AUDIT `start` and one `complete`, and there is nothing else."""
    found: Counter[tuple[str, str, str]] = Counter()
    for value in audits:
        audit = json.loads(value)
        found[audit["actor"]["id"], audit["object"]["id"], audit["edata"]["type"]] += 1
    wanted = Counter(
        {(user, content, kind): 1 for user, content in load.completions for kind in ("start", "complete")}
    )
    for key in (found - wanted) | (wanted - found):
        yield f"audit {key}: {found[key]} in place of {wanted[key]}"


def wrong_progress(
    load: Load,
    consumption: Iterable[tuple[str, str, int, int, int]],
    enrolments: Iterable[tuple[str, int, int, dict[str, int]]],
    aggregates: Iterable[tuple[str, str, dict[str, float]]],
) -> Iterator[str]:
    """Differences in rows, keys first: user and content, user, activity and user."""
    rows = {(user, content): tuple(counts) for user, content, *counts in consumption}
    wanted = dict.fromkeys(load.completions, (2, 1, 1))
    yield from _differences("consumption (status, views, completions)", rows, wanted)

    done: dict[str, dict[str, int]] = {user: {} for user in load.users}
    for user, content in load.completions:
        done[user][content] = 2
    yield from _differences(
        "enrolment (status, progress, contents)",
        {user: (status, progress, contents) for user, status, progress, contents in enrolments},
        {user: (1, load.each, done[user]) for user in load.users},
    )
    yield from _differences(
        "completedCount",
        {(activity, user): values.get("completedCount") for activity, user, values in aggregates},
        {
            (activity, user): float(count)
            for user, counts in load.progress().items()
            for activity, count in counts.items()
        },
    )


def _differences(what: str, found: Mapping[Any, object], wanted: Mapping[Any, object]) -> Iterator[str]:
    for key in found.keys() | wanted.keys():
        if found.get(key) != wanted.get(key):
            yield f"{what} of {key}: {found.get(key)} in place of {wanted.get(key)}"


def _wrong_rows(session: Session, place: Place, load: Load) -> list[str]:
    def rows(select: str, arguments: Sequence[tuple[str, ...]]) -> Iterator[Any]:
        statement = session.prepare(select)
        for answer in execute_concurrent_with_args(session, statement, arguments, concurrency=64):
            if not answer.success:
                raise answer.result_or_exc
            yield from answer.result_or_exc

    keys = [(user, load.course, load.batch) for user in load.users]
    where = "WHERE userid = ? AND courseid = ? AND batchid = ?"
    activities = [
        (activity, user, f"cb:{load.batch}") for user in load.users for activity in (load.course, *load.tree)
    ]
    return list(
        wrong_progress(
            load,
            rows(
                "SELECT userid, contentid, status, viewcount, completedcount"  # noqa: S608  # names are ours
                f" FROM {place.courses}.user_content_consumption {where}",
                keys,
            ),
            (
                (user, status, progress, dict(contents or {}))
                for user, status, progress, contents in rows(
                    f"SELECT userid, status, progress, contentstatus FROM {place.courses}.user_enrolments {where}",  # noqa: S608  # names are ours
                    keys,
                )
            ),
            (
                (activity, user, dict(values or {}))
                for activity, user, values in rows(
                    f"SELECT activity_id, user_id, aggregates FROM {place.courses}.user_activity_agg"  # noqa: S608  # names are ours
                    " WHERE activity_type = 'Course' AND activity_id = ? AND user_id = ? AND context_id = ?",
                    activities,
                )
            ),
        )
    )


def _ever_sent(consumer: Consumer, topic: str) -> int:
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    places = [TopicPartition(topic, number) for number in partitions]
    return sum(int(consumer.get_watermark_offsets(place, timeout=30)[1]) for place in places)
