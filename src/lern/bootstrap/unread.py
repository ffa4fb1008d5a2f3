"""What cannot be read yet, said by whoever is asked for it."""

from collections.abc import Collection, Mapping, Sequence

from lern.domain.model import AggregateKey, Attempt, EnrolmentKey, UserId
from lern.errors import Unavailable
from lern.ports import Row


class Unread:
    """Stands where `ports.AccountStore` and `ports.AttemptStore` belong on a platform that has no adapter for them."""

    def consumption_rows(self, users: Collection[UserId]) -> Mapping[UserId, Sequence[Row]]:  # noqa: ARG002
        """Never answers."""
        raise _unread()

    def enrolment_rows(self, users: Collection[UserId]) -> Mapping[UserId, Sequence[Row]]:  # noqa: ARG002
        """Never answers."""
        raise _unread()

    def attempt_rows(self, keys: Collection[EnrolmentKey]) -> Mapping[EnrolmentKey, Sequence[Row]]:  # noqa: ARG002
        """Never answers."""
        raise _unread()

    def aggregate_rows(self, keys: Collection[AggregateKey]) -> Mapping[AggregateKey, Row]:  # noqa: ARG002
        """Never answers."""
        raise _unread()

    def attempts(self, keys: Collection[EnrolmentKey]) -> Mapping[EnrolmentKey, Sequence[Attempt]]:  # noqa: ARG002
        """Never answers."""
        raise _unread()


def _unread() -> Unavailable:
    return Unavailable("cassandra", "whole rows are not read by this version")
