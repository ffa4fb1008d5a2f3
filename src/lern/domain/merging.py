"""How what one account did in courses becomes part of another account's.

All functions return what has to be written, as rows with their keys, and nothing that is there already: merging a
second time returns nothing. Source: jobs, section 5.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple

from lern.domain.model import BatchId, ContentId, ContentKey, Counts, CourseId, Row, UserId

Origins = Mapping[UserId, Counts]
"""What the counts of one content are made of: how many came from which account."""

COMPLETED_COUNT = "completedCount"

_CONTENT_KEY = ("courseid", "batchid", "contentid")
_HIGHER = ("status", "progress")
_LATER = ("datetime", "last_access_time", "last_completed_time", "last_updated_time")
_LATER_TEXT = ("lastaccesstime", "lastcompletedtime", "lastupdatedtime")

_NONE = Counts(0, 0)


class Consumed(NamedTuple):
    """Everything that one learner has consumed: rows of `user_content_consumption`."""

    user: UserId
    rows: Sequence[Row]
    origins: Mapping[ContentKey, Origins]
    """Of the contents whose counts hold something of merged accounts."""


class Merged(NamedTuple):
    """What becomes of a learner's consumption; `origins` are in place before the rows are."""

    rows: list[Row]
    origins: dict[ContentKey, dict[UserId, Counts]]


def merge_consumption(source: Consumed, target: Consumed) -> Merged:
    """Adds what one learner consumed to what another one did.

    Counts are never added twice. They are the sum of what came from each account, and of each account the higher of
    what both sides know counts; so the order of merges and their number make no difference, nor does a way over a
    third account.
    """
    held = {_content(row): row for row in target.rows}
    places = _places([_content(row) for row in source.rows], held.keys())
    coming: defaultdict[ContentKey, list[Row]] = defaultdict(list)
    for row in sorted(source.rows, key=_content):
        coming[places[_content(row)]].append(row)

    merged = Merged([], {})
    for place, rows in coming.items():
        before = held.get(place, {})
        known = target.origins.get(place, {})
        origins = _of_each_the_higher(
            _origins(target.user, before, known),
            _sum([_origins(source.user, row, source.origins.get(_content(row), {})) for row in rows]),
        )
        after = before
        for row in rows:
            after = _merged(after, row)
        after = after | _totals(origins)
        changed = {column: value for column, value in after.items() if before.get(column) != value}
        if changed or not before:
            key = dict(zip(_CONTENT_KEY, place, strict=True))
            merged.rows.append(changed | key | {"userid": target.user})
        if origins != known and origins.keys() - {target.user}:
            merged.origins[place] = origins
    return merged


def copies(source: Sequence[Row], target: Collection[Row], key: Sequence[str], owner: Row) -> list[Row]:
    """The rows whose `key` the target does not have, with the target as `owner`: the learner's column and id."""
    identity = itemgetter(*key)
    there = {identity(row) for row in target}
    return [row | owner for row in sorted(source, key=identity) if identity(row) not in there]


def merge_aggregate(source: Row, target: Row, now: datetime) -> Row:
    """What to write to a learner's row of `user_activity_agg`, without its key; nothing: an empty row.

    The higher `completedCount` counts, with its time now where it changes; all else is taken over where the target
    has none of it. Entries of maps are those to add.
    """
    changes: Row = {}
    times: dict[str, datetime] = {}
    for column in ("aggregates", "agg"):
        theirs, own = source.get(column, {}), target.get(column, {})
        added = {name: value for name, value in theirs.items() if name not in own}
        if COMPLETED_COUNT in theirs and theirs[COMPLETED_COUNT] > own.get(COMPLETED_COUNT, -1):
            added[COMPLETED_COUNT] = theirs[COMPLETED_COUNT]
        if added:
            changes[column] = added
            times |= {name: at for name, at in source.get("agg_last_updated", {}).items() if name in added}
            times |= {COMPLETED_COUNT: now} if COMPLETED_COUNT in added else {}
    if times:
        changes["agg_last_updated"] = times
    details = target.get("agg_details", [])
    attempts = {_attempt(detail) for detail in details}
    added_details = [each for each in source.get("agg_details", []) if _attempt(each) not in attempts]
    if added_details:
        changes["agg_details"] = [*details, *added_details]
    others = {column: value for column, value in source.items() if column not in {*target, *_AGGREGATES}}
    return others | changes


_AGGREGATES = (
    *("activity_type", "activity_id", "user_id", "context_id"),
    *("aggregates", "agg", "agg_last_updated", "agg_details"),
)


def _content(row: Row) -> ContentKey:
    return ContentKey(CourseId(row["courseid"]), BatchId(row["batchid"]), ContentId(row["contentid"]))


def _places(coming: Sequence[ContentKey], held: Collection[ContentKey]) -> dict[ContentKey, ContentKey]:
    """Where each row goes: to the row of the same key, else of the same key but for case, else to a new one."""
    folded: dict[tuple[str, ...], ContentKey] = {}
    for key in sorted(held):
        folded.setdefault(_folded(key), key)
    return {key: key if key in held else folded.get(_folded(key), key) for key in coming}


def _folded(key: ContentKey) -> tuple[str, ...]:
    return tuple(part.lower() for part in key)


def _origins(user: UserId, row: Row, known: Origins) -> dict[UserId, Counts]:
    """What the counts of a row are made of: what is known of merges, and the learner's own.

    What is known may be ahead of the row, where a merge stopped half-way; then it holds the learner's own as well.
    """
    others = [counts for account, counts in known.items() if account != user]
    views = row.get("viewcount", 0) - sum(counts.views for counts in others)
    completions = row.get("completedcount", 0) - sum(counts.completions for counts in others)
    return _of_each_the_higher(known, {user: Counts(max(0, views), max(0, completions))})


def _of_each_the_higher(one: Origins, other: Origins) -> dict[UserId, Counts]:
    """Of each account the higher counts; accounts without any are left out."""
    highest = {
        user: Counts(*map(max, one.get(user, _NONE), other.get(user, _NONE)))
        for user in sorted({*one, *other})
    }
    return {user: counts for user, counts in highest.items() if counts != _NONE}


def _sum(many: Sequence[Origins]) -> Origins:
    """Rows that differ in case alone become one: their counts are added."""
    if len(many) == 1:
        return many[0]
    users = {user for one in many for user in one}
    return {
        user: Counts(*(sum(counts) for counts in zip(*(one.get(user, _NONE) for one in many), strict=True)))
        for user in users
    }


def _totals(origins: Origins) -> Row:
    totals = {
        "viewcount": sum(counts.views for counts in origins.values()),
        "completedcount": sum(counts.completions for counts in origins.values()),
    }
    return {column: total for column, total in totals.items() if total}


def _merged(to: Row, other: Row) -> Row:
    """The columns of both; where both have a value, the one by the rules, which for most columns is `to`'s."""
    result = other | to
    for column in to.keys() & other.keys():
        if column in _HIGHER or column in _LATER:
            result[column] = max(to[column], other[column])
        elif column in _LATER_TEXT and to[column] != other[column]:
            result[column] = _later(to[column], other[column])
    return result


def _later(one: str, other: str) -> str:
    """Of two texts the one with the later time; what cannot be read is earlier than anything."""
    time_of_one, time_of_other = _time(one), _time(other)
    if time_of_other is None or (time_of_one is not None and time_of_one >= time_of_other):
        return one
    return other


def _time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S:%f%z")
    except ValueError:
        return None


def _attempt(detail: str) -> object:
    """Which attempt an element of `agg_details` is about; one that does not say it stands for itself."""
    try:
        fields = json.loads(detail)
        return str(fields["content_id"]), str(fields["attempt_id"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return detail
