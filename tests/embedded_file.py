"""What an embedded file holds, read beside the program that uses it."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

_TIMES = {"timestamp", "expires", "datetime", "completedon", "agg_last_updated", "journal"}
_VARYING = re.compile(
    r"LP\.(?:AUDIT|\d+)\.[0-9a-f-]{36}"  # message ids
    r"|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # other ids
    r"|1[6-9]\d{11}"  # milliseconds since 1970
)

Row = tuple[object, ...]


def everything(file: Path) -> dict[str, list[Row]]:
    """All rows of all tables, without times and ids; messages as what is in a topic, whatever their order."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        return {table: _rows(connection, table) for table in tables}


def count(file: Path, table: str, where: str = "TRUE") -> int:
    """How many rows a table has."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        [(number,)] = connection.execute(f"SELECT count(*) FROM {table} WHERE {where}")  # noqa: S608  # ours
        return int(number)


def _rows(connection: sqlite3.Connection, table: str) -> list[Row]:
    names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    left_out = _TIMES | ({"offset"} if table == "messages" else set())
    columns = ", ".join(f'"{name}"' for name in names if name not in left_out)
    set_at = [f'"{name}" IS NULL' for name in names if name in ("datetime", "completedon")]
    rows = connection.execute(f"SELECT {', '.join([columns, *set_at])} FROM {table}")  # noqa: S608  # ours
    return sorted((tuple(map(_fixed, row)) for row in rows), key=repr)


def _fixed(value: object) -> object:
    """A value without what differs from run to run."""
    if not isinstance(value, bytes | str):
        return value
    try:
        event = json.loads(value)
    except ValueError:
        return _VARYING.sub("ID", value if isinstance(value, str) else value.decode(errors="replace"))
    if isinstance(event, dict):
        event = {name: part for name, part in event.items() if name not in ("ets", "syncts")}
    return _VARYING.sub("ID", json.dumps(event, sort_keys=True))
