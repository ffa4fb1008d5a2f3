"""Topic `lms.user.account.merge`: a person with two accounts keeps one."""

from typing import NamedTuple

from lern.counts import Count
from lern.domain.model import UserId
from lern.errors import BadEvent
from lern.wire.decoding import Incoming, User, decoder

CODE = "ERR_MERGE_USER_COURSES_SAMZA"
"""The code of a message that does not name two accounts, as the consumers of the failed topic know it."""


class _Accounts(Incoming):
    from_account_id: User
    to_account_id: User


class _Merge(Incoming):
    edata: _Accounts


class MergeEvent(NamedTuple):
    """What the first account did in courses moves to the second one; both stay."""

    source: UserId
    target: UserId


_read = decoder(_Merge)


def decode(value: bytes) -> MergeEvent:
    """Reads one message, whatever its action says; raises BadEvent unless it names two accounts."""
    try:
        accounts = _read(value).edata
    except BadEvent as error:
        if error.reason.startswith("edata"):
            raise BadEvent(error.reason, CODE, Count.SKIPPED) from error
        raise
    if accounts.from_account_id == accounts.to_account_id:
        raise BadEvent("edata.toAccountId: the same as edata.fromAccountId", CODE, Count.SKIPPED)
    return MergeEvent(accounts.from_account_id, accounts.to_account_id)
