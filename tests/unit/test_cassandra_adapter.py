"""The parts of the Cassandra adapter that need no server: values as bytes, keys by query, errors."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

import cassandra
import pytest
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionException
from cassandra.cqltypes import ListType, UserType, lookup_casstype
from cassandra.protocol import OverloadedErrorMessage, ServerError, SyntaxException
from hypothesis import given, settings
from hypothesis import strategies as st

from lern.adapters.cassandra.decoding import DECODERS
from lern.adapters.cassandra.encoding import ENCODERS, fields_encoder
from lern.adapters.cassandra.failures import translated, unreachable
from lern.adapters.cassandra.progress import requests
from lern.adapters.tables import QUESTION
from lern.domain.model import BatchId, CourseId, EnrolmentKey, UserId
from lern.errors import Refused, SettingsError, Unavailable
from lern.job import Question

_texts = st.text()
_ints = st.integers(-(2**31), 2**31 - 1)
_times = st.datetimes(datetime(1900, 1, 1), datetime(2900, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001  # bounds have no zone
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
_values = st.one_of(
    st.tuples(st.just("text"), _texts),
    st.tuples(st.just("int"), _ints),
    st.tuples(st.just("boolean"), st.booleans()),
    st.tuples(st.just("timestamp"), _times),
    st.tuples(st.just("list<text>"), st.lists(_texts)),
    st.tuples(st.just("double"), st.floats(allow_nan=False)),
    st.tuples(st.just("list<frozen<map<text, text>>>"), st.lists(st.dictionaries(_texts, _texts))),
    st.tuples(st.just("map<text, int>"), st.dictionaries(_texts, _ints)),
    st.tuples(st.just("map<text, double>"), st.dictionaries(_texts, st.floats(allow_nan=False))),
    st.tuples(st.just("map<text, timestamp>"), st.dictionaries(_texts, _times)),
)
_DRIVER_TYPES = {
    "text": "UTF8Type",
    "int": "Int32Type",
    "boolean": "BooleanType",
    "timestamp": "TimestampType",
    "list<text>": "ListType(UTF8Type)",
    "double": "DoubleType",
    "list<frozen<map<text, text>>>": "ListType(FrozenType(MapType(UTF8Type,UTF8Type)))",
    "map<text, int>": "MapType(UTF8Type,Int32Type)",
    "map<text, double>": "MapType(UTF8Type,DoubleType)",
    "map<text, timestamp>": "MapType(UTF8Type,TimestampType)",
}


_AT = datetime(2024, 3, 1, 9, 59, 10, 123000, tzinfo=UTC)
_FIELD_TYPES = {
    **_DRIVER_TYPES,
    "decimal": "DecimalType",
}


@settings(deadline=None)
@given(_values)
def test_values_are_the_bytes_that_the_driver_makes_of_them(value: tuple[str, object]) -> None:
    cql, given_value = value

    assert ENCODERS[cql](given_value) == lookup_casstype(_DRIVER_TYPES[cql]).serialize(given_value, 4)


@settings(deadline=None)
@given(_values.filter(lambda value: value[0] in DECODERS))
def test_bytes_are_the_values_that_they_were_made_of(value: tuple[str, object]) -> None:
    cql, given_value = value

    assert DECODERS[cql](ENCODERS[cql](given_value)) == given_value


@settings(deadline=None)
@given(st.integers(-(10**18), 10**18) | st.floats(-1e15, 1e15))
def test_decimals_are_what_the_driver_reads_of_them(number: float) -> None:
    encoded = ENCODERS["decimal"](str(number))

    assert lookup_casstype("DecimalType").deserialize(encoded, 4) == Decimal(str(number))


@settings(deadline=None)
@given(
    st.permutations(list(QUESTION)),
    st.just(_AT),
    st.floats(0, 1e9),
    _texts,
    st.lists(st.dictionaries(_texts, _texts)),
)
def test_questions_are_what_the_driver_reads_of_them(
    order: list[str], at: datetime, score: float, text: str, maps: list[dict[str, str]]
) -> None:
    """In any order of the type's fields, and with a field that nobody knows."""
    question = Question(text, at, 1.0, score, "mcq", text, maps, [], text, "1.50")
    fields = {"of_others": "int", **{name: QUESTION[name] for name in order}}
    kinds = tuple(lookup_casstype(_FIELD_TYPES[cql]) for cql in fields.values())
    stored = UserType.make_udt_class("keyspace", "question", tuple(fields), kinds)

    encoded = fields_encoder({**fields, "of_others": "no type of ours"})([question])

    [read] = ListType.apply_parameters([stored]).deserialize(encoded, 4)
    assert {name: getattr(read, name) for name in QUESTION} == {
        "id": text,
        "assess_ts": at.replace(tzinfo=None),
        "max_score": 1.0,
        "score": score,
        "type": "mcq",
        "title": text,
        "resvalues": maps,
        "params": [],
        "description": text,
        "duration": Decimal("1.50"),
    }
    assert read.of_others is None


def keys(*sizes: int) -> list[EnrolmentKey]:
    """So many learners in each of so many batches."""
    return [
        EnrolmentKey(UserId(f"u{user}"), CourseId(f"c{batch}"), BatchId(f"b{batch}"))
        for batch, size in enumerate(sizes)
        for user in range(size)
    ]


@settings(deadline=None)
@given(st.lists(st.integers(1, 50), max_size=12))
def test_every_key_is_in_one_request_of_a_size_that_servers_take(sizes: list[int]) -> None:
    asked = keys(*sizes)

    made = list(requests(asked))

    assert Counter(key for request in made for key in request) == Counter(asked)
    for request in made:
        users, courses, batches = (set(parts) for parts in zip(*request, strict=True))
        assert len(users) <= 20
        assert len(courses) * len(batches) <= 25


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([1], [1]),
        ([45], [20, 20, 5]),
        ([21], [20, 1]),
        ([1] * 12, [5, 5, 2]),
        ([22, 3, 20], [20, 20, 5]),
    ],
)
def test_batches_of_many_learners_are_asked_for_by_themselves_and_small_ones_together(
    sizes: Sequence[int], expected: Sequence[int]
) -> None:
    assert [len(request) for request in requests(keys(*sizes))] == expected


@pytest.mark.parametrize(
    "error",
    [
        cassandra.InvalidRequest("Key may not be empty"),
        cassandra.AlreadyExists("a", "b"),
        SyntaxException(0x2000, "line 1:0 no viable alternative", None),
    ],
)
def test_what_a_server_understands_and_does_not_take_is_refused(error: Exception) -> None:
    refused = translated(error)

    assert isinstance(refused, Refused)
    assert refused.code == "ERR_STORE_REFUSED"


@pytest.mark.parametrize(
    "error",
    [
        NoHostAvailable("no host", {}),
        NoHostAvailable("no host", {"127.0.0.1:9042": ConnectionRefusedError(111, "Connection refused")}),
        ConnectionException("closed"),
        OverloadedErrorMessage(0x1001, "too much", None),
        ServerError(0, "something", None),
        cassandra.OperationTimedOut(),
        cassandra.Unavailable("not enough replicas", 6, 2, 1),
        cassandra.ReadTimeout("slow", consistency=6, required_responses=2, received_responses=1),
        cassandra.WriteTimeout(
            "slow", write_type=0, consistency=6, required_responses=2, received_responses=1
        ),
        cassandra.WriteFailure("failed", write_type=0),
        cassandra.Unauthorized("no MODIFY permission"),
    ],
)
def test_all_other_failures_are_waited_out(error: Exception) -> None:
    unavailable = translated(error)

    assert isinstance(unavailable, Unavailable)
    assert unavailable.dependency == "cassandra"
    assert "\n" not in str(unavailable)


def test_a_server_that_takes_no_password_of_ours_is_an_error_of_the_settings() -> None:
    wrong = cassandra.AuthenticationFailed("Bad credentials")
    unsure = cassandra.AuthenticationFailed("Unable to perform authentication: LOCAL_QUORUM")

    assert isinstance(
        unreachable(NoHostAvailable("", {"a": ConnectionException("down"), "b": wrong})), SettingsError
    )
    assert isinstance(unreachable(NoHostAvailable("", {"a": unsure})), Unavailable)
