"""Topic `lms.user.account.merge`: two accounts are named, or the reason says which is not."""

import pytest
from tests.events import Json, merge, request

from lern.counts import Count
from lern.errors import BadEvent
from lern.wire.account_merge import CODE, MergeEvent, decode


def test_both_accounts_are_read() -> None:
    assert decode(merge("old", "new")) == MergeEvent("old", "new")  # type: ignore[arg-type]  # ids of the test


@pytest.mark.parametrize("action", ["merge-user-courses-and-cert", "MERGE", "", 7, None, ["x"]])
def test_the_action_is_not_looked_at(action: object) -> None:
    event = request({"action": action, "fromAccountId": "old", "toAccountId": "new"})

    assert decode(event).target == "new"


@pytest.mark.parametrize(
    ("edata", "field"),
    [
        ({"toAccountId": "new"}, "edata.fromAccountId"),
        ({"fromAccountId": "old"}, "edata.toAccountId"),
        ({"fromAccountId": "", "toAccountId": "new"}, "edata.fromAccountId"),
        ({"fromAccountId": "old", "toAccountId": " \t"}, "edata.toAccountId"),
        ({"fromAccountId": None, "toAccountId": "new"}, "edata.fromAccountId"),
        ({"fromAccountId": "old", "toAccountId": 7}, "edata.toAccountId"),
        ({"fromAccountId": "old", "toAccountId": "a\x00b"}, "edata.toAccountId"),
        ({"fromAccountId": "o" * 600, "toAccountId": "new"}, "edata.fromAccountId"),
        ({"fromAccountId": "same", "toAccountId": "same"}, "edata.toAccountId"),
    ],
)
def test_what_names_no_two_accounts_fails_with_the_code_that_is_known(edata: Json, field: str) -> None:
    with pytest.raises(BadEvent) as failed:
        decode(request({"action": "merge-user-courses-and-cert", **edata}))

    assert failed.value.reason.startswith(f"{field}: ")
    assert (failed.value.code, failed.value.count) == (CODE, Count.SKIPPED)


@pytest.mark.parametrize("value", [b"{}", b'{"edata": null}', b'{"edata": []}', b'{"edata": {}}'])
def test_no_data_at_all_is_no_two_accounts_either(value: bytes) -> None:
    with pytest.raises(BadEvent, match=r"^edata") as failed:
        decode(value)

    assert failed.value.code == CODE


@pytest.mark.parametrize("value", [b"", b"merge", b"[]", b"\xff", b'{"edata": {"fromAccountId": "old'])
def test_what_is_no_object_is_an_invalid_event_as_everywhere(value: bytes) -> None:
    with pytest.raises(BadEvent) as failed:
        decode(value)

    assert (failed.value.code, failed.value.count) == ("ERR_INVALID_EVENT", None)
