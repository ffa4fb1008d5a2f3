"""The printed reference and the table of keys."""

from pathlib import Path

from lern.settings import load, reference
from lern.settings.ignored import IGNORED, is_ignored
from lern.settings.key import JOBS
from lern.settings.keys import BY_SPELLING, KEYS

DOCS = Path(__file__).parents[3] / "docs" / "settings.md"


def test_the_settings_page_is_what_the_table_says() -> None:
    assert DOCS.read_text(encoding="utf-8") == reference(), "run: lern settings docs > docs/settings.md"


def test_every_key_has_one_line_of_help_that_ends_as_a_sentence() -> None:
    for key in KEYS:
        assert key.help.endswith(".")
        assert "\n" not in key.help


def test_a_key_with_a_default_for_each_job_has_one_for_every_job_that_uses_it() -> None:
    for key in KEYS:
        if key.default is not None:
            assert all(key.default_for(job) is not None for job in key.jobs), key.name


def test_the_origins_of_a_job_are_exactly_its_keys() -> None:
    loaded = load(JOBS, environ={})

    for job in JOBS:
        assert [origin.key for origin in loaded.origins[job]] == [key.name for key in KEYS if job in key.jobs]


def test_no_key_both_means_something_and_nothing() -> None:
    assert not [spelling for spelling in BY_SPELLING if is_ignored(spelling)]
    assert not set(IGNORED) & set(BY_SPELLING)
    assert is_ignored("task.checkpointing.pause.between.seconds")
    assert is_ignored("task.activity.agg.parallelism")
    assert not is_ignored("task.rc")
