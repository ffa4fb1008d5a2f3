"""Reads of attempts at assessments."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from operator import itemgetter

from lern.adapters.cassandra.encoding import moment
from lern.adapters.cassandra.progress import enrolment_key, pages
from lern.adapters.cassandra.session import CassandraSession
from lern.adapters.tables import ASSESSMENT_AGGREGATOR
from lern.domain.model import Attempt, AttemptId, ContentId, EnrolmentKey
from lern.settings.model import Tables

_KEY = ("user_id", "course_id", "batch_id")
"""A prefix of the primary key in both of its layouts."""

_COLUMNS = ("content_id", "attempt_id", "last_attempted_on", "total_score", "total_max_score")


class CassandraAttempts:
    """Implements `ports.AttemptStore`; answers themselves, which make up nearly all of a row, are never read."""

    def __init__(self, session: CassandraSession, tables: Tables) -> None:
        self._session = session
        self._table = tables.assessment_aggregator

    def attempts(self, keys: Collection[EnrolmentKey]) -> Mapping[EnrolmentKey, Sequence[Attempt]]:
        """As `ports.AttemptStore.attempts`."""
        wanted = frozenset(keys)
        # What one request brings besides what it asks for, another may ask for: a row can come twice.
        found: defaultdict[EnrolmentKey, dict[tuple[ContentId, AttemptId], Attempt]] = defaultdict(dict)
        for page in pages(self._session, (self._table, ASSESSMENT_AGGREGATOR), _KEY, _COLUMNS, wanted):
            for key, rows in groupby(page, itemgetter(0, 1, 2)):
                if key in wanted:
                    found[enrolment_key(key)].update(
                        (
                            (content, attempt),
                            Attempt(
                                content,
                                attempt,
                                None if at is None else moment(at),
                                score or 0.0,
                                most or 0.0,
                            ),
                        )
                        for _, _, _, content, attempt, at, score, most in rows
                    )
        # Pages come in any order.
        return {key: [attempts[which] for which in sorted(attempts)] for key, attempts in found.items()}
