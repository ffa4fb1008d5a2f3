"""What `explain` says of rows, and what `reconcile` does to them, are the same, whatever is stored."""

from hypothesis import given
from hypothesis import strategies as st
from tests.events import context
from tests.fakes import Outbox, Tables, upkeep
from tests.one_course import COURSE, EARLIER, WHO, of

from lern.domain.model import Consumption, ContentId, Enrolment
from lern.engines.reconcile import reconcile
from lern.explaining import Code, gather, verdicts
from lern.ports import Partition

_counts = st.none() | st.integers(0, 3).map(float)


@st.composite
def cases(draw: st.DrawFn) -> Tables:
    """A course of three contents, one of them optional, and rows of any kind."""
    tables = of({COURSE: {"a", "b", "c"}, "u1": {"a", "b"}, "u2": {"c"}}, {COURSE: {"b"}, "u1": {"b"}})
    tables.contents[WHO] = {
        ContentId(content): Consumption(status)
        for content in "abc"
        if (status := draw(st.sampled_from([None, 0, 1, 2]))) is not None
    }
    status = draw(st.integers(0, 2))
    tables.enrolled[WHO] = Enrolment(status, draw(st.sampled_from([None, EARLIER])))
    stored = draw(st.dictionaries(st.sampled_from("abc").map(ContentId), st.integers(0, 2)))
    tables.progress[WHO] = (draw(st.integers(0, 3)), stored)
    for activity in (COURSE, "u1", "u2"):
        count = draw(_counts)
        if count is not None:
            tables.aggregates[activity, WHO.user, WHO.context] = {"completedCount": count}
    return tables


@given(cases())
def test_what_is_said_to_differ_is_what_is_mended(tables: Tables) -> None:
    before = gather(WHO, tables.facts(), context())
    done = reconcile([WHO], upkeep(tables, Outbox(tables)), context(), Partition("reconcile", 0))
    after = gather(WHO, tables.facts(), context())

    assert [change.differences for change in done.changes] == (
        [before.differences] if before.differences else []
    )
    assert (Code.ROWS_DIFFER in [one.code for one in verdicts(before)]) == bool(before.differences)
    assert after.differences == ()
    assert Code.ROWS_DIFFER not in [one.code for one in verdicts(after)]
