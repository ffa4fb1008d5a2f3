"""The reference of all settings as Markdown, made from the table of keys."""

from lern.settings.ignored import IGNORED
from lern.settings.key import JOBS, Key, variable
from lern.settings.keys import GROUPS
from lern.settings.values import Kind, expected

_INTRODUCTION = """\
# Settings

Values come from, lowest to highest:

1. the defaults below;
2. a HOCON file: `--config FILE` for all jobs, or `--config-dir DIR` with `<job>.conf` for each. Deployed files work as
   they are, with their includes and substitutions. A block `jobs { <job> { ... } }` in it overrides the rest of the file
   for that job;
3. environment variables: `LERN_` and the key in capitals, with `_` for `.` and `-`;
4. `--set key=value`, or `--set jobs.<job>.key=value` for one job.

Substitutions in a file see the environment's and the command line's values: with `dedup-redis.host = ${redis.host}` in
the file, `--set redis.host=cache` moves both.

`{env}` stands for the value of `job.env`, and `{other.key}` for the value of that key. When several jobs run, a key whose
default differs between them (such as `kafka.groupId`) cannot be set once for all of them: put it into the `jobs` block or
use `--config-dir`.

A key that is not listed here is a warning, so that a misspelt one is noticed. A wrong value, a missing required key and a
`{{ placeholder }}` that a template left are errors at start, with file and line. Secrets are never printed.

`lern settings show` prints the values of a job and where each came from.
"""

_IGNORED = """\
## Accepted, without a meaning here

Deployed files hold these keys. They are read over silently and change nothing.

| key | why |
|---|---|
"""


def reference() -> str:
    """All of `docs/settings.md`."""
    parts = [_INTRODUCTION]
    for subject, keys in GROUPS.items():
        rows = "\n".join(_row(key) for key in keys)
        parts.append(
            f"## {subject}\n\n| key | default | meaning | value | jobs | variable |\n|---|---|---|---|---|---|\n{rows}\n"
        )
    parts.append(_IGNORED + "\n".join(f"| `{key}` | {reason} |" for key, reason in IGNORED.items()) + "\n")
    return "\n".join(parts)


def _row(key: Key) -> str:
    meaning = key.help
    if key.aliases:
        meaning += f" Also spelled {', '.join(f'`{alias}`' for alias in key.aliases)}."
    if key.required:
        meaning += " Required in the connected profile."
    kind = "a secret text" if key.kind is Kind.SECRET else expected(key.kind, key.choices)
    jobs = "all" if key.jobs == JOBS else ", ".join(key.jobs)
    cells = (f"`{key.name}`", _default(key), meaning, kind, jobs, f"`{variable(key.name)}`")
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _default(key: Key) -> str:
    if key.default is None:
        return "not set"
    if isinstance(key.default, str):
        return f"`{key.default}`"
    return "<br>".join(f"{job}: `{default}`" for job, default in key.default.items())
