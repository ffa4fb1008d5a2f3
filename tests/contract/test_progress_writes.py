"""What writes of progress promise (`ports.Stores.apply`)."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lern.domain.model import BatchId, Consumption, ContentId, CourseId, Enrolment, EnrolmentKey, UserId
from lern.job import SetAggregates, SetConsumption, SetEnrolment

if TYPE_CHECKING:
    from tests.contract.conftest import Installation

_NOW = datetime(2026, 11, 23, 9, 30, 0, 7000, UTC)
_BEFORE = datetime(2022, 2, 21, 5, 54, 43, 853000, UTC)
_CONTENT = ContentId("do_content")


def consumption_row(
    installation: "Installation", key: EnrolmentKey, content: str = _CONTENT
) -> dict[str, Any]:
    found = installation.row(
        "user_content_consumption", userid=key.user, courseid=key.course, batchid=key.batch, contentid=content
    )
    assert found
    return found


def enrolment_row(installation: "Installation", key: EnrolmentKey) -> dict[str, Any]:
    found = installation.row("user_enrolments", userid=key.user, courseid=key.course, batchid=key.batch)
    assert found
    return found


def aggregate_key(key: EnrolmentKey) -> dict[str, str]:
    return {
        "activity_type": "Course",
        "activity_id": key.course,
        "user_id": key.user,
        "context_id": key.context,
    }


def aggregate_row(installation: "Installation", key: EnrolmentKey) -> dict[str, Any]:
    found = installation.row("user_activity_agg", **aggregate_key(key))
    assert found
    return found


def enrolment_key(key: EnrolmentKey) -> dict[str, object]:
    return {"userid": key.user, "courseid": key.course, "batchid": key.batch}


def aggregates(key: EnrolmentKey, values: dict[str, float], at: datetime = _NOW) -> SetAggregates:
    return SetAggregates(key.course, key.user, key.context, values, at)


def test_nothing_to_write_is_no_error(installation: "Installation") -> None:
    installation.apply([])


def test_consumption_that_is_written_is_read(installation: "Installation", enrolment: EnrolmentKey) -> None:
    installation.apply([SetConsumption(enrolment, _CONTENT, 2, 3, 1)])

    assert installation.progress.consumption([enrolment]) == {enrolment: {_CONTENT: Consumption(2, 3, 1)}}


def test_consumption_leaves_other_columns(installation: "Installation", enrolment: EnrolmentKey) -> None:
    others = {
        "datetime": _BEFORE,
        "last_access_time": _BEFORE,
        "lastaccesstime": "2022-02-21 05:54:43:853+0000",
        "progress": 40,
        "progressdetails": '{"page": 3}',
        "completionpercentage": 12.5,
    }
    before = {**enrolment_key(enrolment), "contentid": _CONTENT, "status": 1, **others}
    installation.put("user_content_consumption", [before])

    installation.apply([SetConsumption(enrolment, _CONTENT, 2, 3, 1)])

    after = consumption_row(installation, enrolment)
    assert {column: after[column] for column in others} == others
    assert (after["status"], after["viewcount"], after["completedcount"]) == (2, 3, 1)


def test_aggregates_leave_other_keys_and_columns(
    installation: "Installation", enrolment: EnrolmentKey
) -> None:
    installation.put(
        "user_activity_agg",
        [
            {
                **aggregate_key(enrolment),
                "agg": {"old": 1},
                "agg_details": ['{"attempt_id":"a"}'],
                "aggregates": {"completedCount": 1.0, "score:do_1": 7.5},
                "agg_last_updated": {"completedCount": _BEFORE, "score:do_1": _BEFORE},
            }
        ],
    )

    installation.apply([aggregates(enrolment, {"completedCount": 2.0, "new": 0.1})])

    after = aggregate_row(installation, enrolment)
    assert after["aggregates"] == {"completedCount": 2.0, "score:do_1": 7.5, "new": 0.1}
    assert after["agg_last_updated"] == {"completedCount": _NOW, "score:do_1": _BEFORE, "new": _NOW}
    assert after["agg"] == {"old": 1}
    assert after["agg_details"] == ['{"attempt_id":"a"}']


def test_aggregates_make_the_row_that_is_not_there(
    installation: "Installation", enrolment: EnrolmentKey
) -> None:
    installation.apply([aggregates(enrolment, {"completedCount": 5.0})])

    after = aggregate_row(installation, enrolment)
    assert after["aggregates"] == {"completedCount": 5.0}
    assert after["agg_last_updated"] == {"completedCount": _NOW}


def test_an_enrolment_gets_what_is_given_and_keeps_the_rest(
    installation: "Installation", enrolment: EnrolmentKey
) -> None:
    others = {
        "active": True,
        "addedby": "someone",
        "enrolleddate": "2022-02-21 05:54:43:853+0000",
        "enrolled_date": _BEFORE,
        "issued_certificates": [{"name": "Merit", "identifier": "1-2", "token": "A1B2C3"}],
        "lastreadcontentid": "do_9",
        "lastreadcontentstatus": 1,
    }
    before = {**enrolment_key(enrolment), "status": 1, "progress": 1, "contentstatus": {"do_0": 1}, **others}
    installation.put("user_enrolments", [before])

    installation.apply([SetEnrolment(enrolment, 2, _NOW, {ContentId("do_1"): 2}, 2, _NOW)])

    after = enrolment_row(installation, enrolment)
    assert {column: after[column] for column in others} == others
    assert (after["progress"], after["status"]) == (2, 2)
    assert after["contentstatus"] == {"do_1": 2}
    assert after["datetime"] == after["completedon"] == _NOW


def test_none_leaves_status_contents_and_completion_of_an_enrolment(
    installation: "Installation", enrolment: EnrolmentKey
) -> None:
    kept = {"status": 2, "contentstatus": {"do_1": 2}, "completedon": _BEFORE}
    installation.put("user_enrolments", [{**enrolment_key(enrolment), "progress": 1, **kept}])

    installation.apply([SetEnrolment(enrolment, 9, _NOW)])

    after = enrolment_row(installation, enrolment)
    assert after["progress"] == 9
    assert after["datetime"] == _NOW
    assert {column: after[column] for column in kept} == kept


@pytest.mark.parametrize("status", [None, 1])
@pytest.mark.parametrize("completed", [None, _NOW])
@pytest.mark.parametrize("contents", [None, {ContentId("do_1"): 1}])
def test_each_column_of_an_enrolment_is_written_only_when_it_is_given(
    installation: "Installation",
    enrolment: EnrolmentKey,
    status: int | None,
    completed: datetime | None,
    contents: dict[ContentId, int] | None,
) -> None:
    before = {"status": 0, "contentstatus": {"do_0": 2}, "completedon": _BEFORE}
    installation.put("user_enrolments", [{**enrolment_key(enrolment), **before}])

    installation.apply([SetEnrolment(enrolment, 3, _NOW, contents, status, completed)])

    after = enrolment_row(installation, enrolment)
    assert after["status"] == (0 if status is None else status)
    assert after["contentstatus"] == (contents or before["contentstatus"])
    assert after["completedon"] == (completed or _BEFORE)


def test_the_later_of_two_writes_to_one_row_wins(
    installation: "Installation", enrolment: EnrolmentKey
) -> None:
    installation.apply(
        [
            *(SetConsumption(enrolment, _CONTENT, 2, views, 9 - views) for views in (9, 5, 1, 3)),
            *(aggregates(enrolment, {"a": value, f"only {value}": 1.0}) for value in (9.0, 1.0, 5.0)),
            *(SetEnrolment(enrolment, progress, _NOW, status=1) for progress in (9, 1, 4)),
        ]
    )

    assert installation.progress.consumption([enrolment])[enrolment] == {_CONTENT: Consumption(2, 3, 6)}
    assert aggregate_row(installation, enrolment)["aggregates"] == {
        "a": 5.0,
        **{f"only {value}": 1.0 for value in (9.0, 1.0, 5.0)},
    }
    assert enrolment_row(installation, enrolment)["progress"] == 4


_few = st.integers(0, 3)
_keys = st.builds(
    EnrolmentKey, st.builds("u{}".format, _few), st.builds("c{}".format, _few), st.builds("b{}".format, _few)
)
_contents = st.builds("do_{}".format, _few).map(ContentId)
_times = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001  # bounds have no zone
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
_writes = st.lists(
    st.one_of(
        st.builds(SetConsumption, _keys, _contents, st.integers(0, 2), _few, _few),
        st.builds(
            aggregates,
            _keys,
            st.dictionaries(st.sampled_from(("a", "b")), st.floats(0, 99), min_size=1),
            _times,
        ),
        st.builds(
            SetEnrolment,
            *(_keys, _few, _times),
            st.none() | st.dictionaries(_contents, st.integers(0, 2), min_size=1),
            st.none() | st.integers(0, 2),
            st.none() | _times,
        ),
    ),
    max_size=30,
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(writes=_writes)
def test_writing_twice_is_writing_once(
    installation: "Installation", writes: list[SetConsumption | SetAggregates | SetEnrolment]
) -> None:
    prefix = uuid.uuid4().hex
    own = [own_user(write, prefix) for write in writes]

    installation.apply(own)
    once = [written(installation, write) for write in own]
    installation.apply(own)

    assert [written(installation, write) for write in own] == once


def own_user(
    write: SetConsumption | SetAggregates | SetEnrolment, prefix: str
) -> SetConsumption | SetAggregates | SetEnrolment:
    """The same write for a learner whom nobody else has."""
    if isinstance(write, SetAggregates):
        user = UserId(prefix + write.user)
        return SetAggregates(write.activity, user, write.context, write.values, write.at)
    key = write.enrolment._replace(user=UserId(prefix + write.enrolment.user))
    if isinstance(write, SetConsumption):
        return SetConsumption(key, write.content, write.status, write.views, write.completions)
    return SetEnrolment(key, write.progress, write.at, write.content_status, write.status, write.completed_on)


def written(
    installation: "Installation", write: SetConsumption | SetAggregates | SetEnrolment
) -> dict[str, Any]:
    """The row that a write has changed."""
    if isinstance(write, SetConsumption):
        return consumption_row(installation, write.enrolment, write.content)
    if isinstance(write, SetEnrolment):
        return enrolment_row(installation, write.enrolment)
    batch = BatchId(write.context.removeprefix("cb:"))
    return aggregate_row(installation, EnrolmentKey(write.user, CourseId(write.activity), batch))


def test_thousands_of_rows_of_all_kinds_at_once(
    installation: "Installation", enrolment: EnrolmentKey
) -> None:
    keys = [enrolment._replace(user=UserId(f"{enrolment.user}-{number}")) for number in range(1_000)]
    contents = [ContentId(f"do_{number}") for number in range(3)]

    installation.apply(
        [
            *(SetConsumption(key, content, 2, 1, 1) for content in contents for key in keys),
            *(aggregates(key, {"completedCount": 3.0}) for key in keys),
            *(SetEnrolment(key, 3, _NOW, dict.fromkeys(contents, 2), 2, _NOW) for key in keys),
        ]
    )

    assert installation.progress.consumption(keys) == {
        key: dict.fromkeys(contents, Consumption(2, 1, 1)) for key in keys
    }
    assert installation.progress.enrolments(keys) == dict.fromkeys(keys, Enrolment(2, _NOW))
    assert all(
        aggregate_row(installation, key)["aggregates"] == {"completedCount": 3.0} for key in keys[::100]
    )


def test_maps_of_thousands_of_contents(installation: "Installation", enrolment: EnrolmentKey) -> None:
    keys = [enrolment._replace(user=UserId(f"{enrolment.user}-{number}")) for number in range(12)]
    contents = {ContentId(f"do_{number:020}"): 1 + number % 2 for number in range(4_000)}

    installation.apply([SetEnrolment(key, 1, _NOW, contents, 1) for key in keys])

    assert all(enrolment_row(installation, key)["contentstatus"] == contents for key in keys)


def test_ids_may_hold_anything(installation: "Installation", enrolment: EnrolmentKey, odd: str) -> None:
    key = EnrolmentKey(UserId(enrolment.user + odd), CourseId(odd), BatchId(odd))

    installation.apply(
        [
            SetConsumption(key, ContentId(odd), 2, 1, 1),
            aggregates(key, {odd: 1.5}),
            SetEnrolment(key, 1, _NOW, {ContentId(odd): 2}, 1),
        ]
    )

    assert installation.progress.consumption([key]) == {key: {odd: Consumption(2, 1, 1)}}
    assert aggregate_row(installation, key)["aggregates"] == {odd: 1.5}
    assert enrolment_row(installation, key)["contentstatus"] == {odd: 2}


@pytest.mark.parametrize("milliseconds", [-1, 0, 1, 999, 1_234_567_890_123, 4_102_444_799_999])
def test_times_are_kept_to_the_millisecond(
    installation: "Installation", enrolment: EnrolmentKey, milliseconds: int
) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)

    installation.apply(
        [SetEnrolment(enrolment, 1, at, completed_on=at), aggregates(enrolment, {"a": 1.0}, at)]
    )

    after = enrolment_row(installation, enrolment)
    assert after["datetime"] == after["completedon"] == at
    assert aggregate_row(installation, enrolment)["agg_last_updated"] == {"a": at}
