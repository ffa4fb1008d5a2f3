"""Learners of one batch whose progress is wrong, and what it must be: the consumption is right, the rest is not."""

from dataclasses import dataclass

from tests.conformance.events import Learner
from tests.conformance.learning import cached_course
from tests.conformance.servers import AGGREGATES, CONSUMPTION, ENROLMENTS, Json, unique
from tests.conformance.site import Site, plain

UNITS = {"u1": ["c1", "c2", "c3"], "u2": ["c4", "c5"]}
OPTIONAL = "c5"
REQUIRED = ["c1", "c2", "c3", "c4"]

Seen = tuple[int | None, int | None, dict[str, int] | None, bool, dict[str, float]]
"""Status, progress, content status, whether it has a date of completion, completed counts."""


@dataclass
class Damaged:
    """One batch of a course of its own: how far each learner is follows from the number."""

    site: Site
    learners: list[Learner]

    @classmethod
    def made(cls, site: Site, number: int) -> "Damaged":
        """Publishes, enrols, and writes rows as a bad day has left them."""
        course, batch = cached_course(site, UNITS, [OPTIONAL]), unique("batch")
        found = cls(site, [Learner(f"{course}-u{at:04}", course, batch) for at in range(number)])
        rows: list[Json] = []
        for at, one in enumerate(found.learners):
            key = {"userid": one.user, "courseid": one.course, "batchid": one.batch}
            rows += [key | {"contentid": c, "status": status} for c, status in found.contents(at).items()]
        site.put(CONSUMPTION, *rows)
        site.put(
            ENROLMENTS,
            *(
                {"userid": one.user, "courseid": course, "batchid": batch, "active": True}
                | {"status": 1, "progress": 77, "contentstatus": {"c9": 1}}
                for one in found.learners
            ),
        )
        return found

    def contents(self, at: int) -> dict[str, int]:
        """What a learner has consumed: every fifth nothing, every fifth all, the others something."""
        match at % 5:
            case 0:
                return {}
            case 1:
                return dict.fromkeys(REQUIRED, 2)
            case 2:
                return {"c1": 2, "c2": 1}
            case 3:
                return {"c4": 2, OPTIONAL: 2}
            case _:
                return {"c1": 2, "c2": 2, "c3": 2, OPTIONAL: 1}

    @property
    def completed(self) -> list[str]:
        """The learners who have completed the course."""
        return [one.user for at, one in enumerate(self.learners) if at % 5 == 1]

    def expected(self) -> dict[str, Seen]:
        """By the specification."""
        return {one.user: self._expected(at) for at, one in enumerate(self.learners)}

    def _expected(self, at: int) -> Seen:
        contents, course = self.contents(at), self.learners[at].course
        if not contents:
            return 1, 0, {"c9": 1}, False, {}
        done = {content for content, status in contents.items() if status == 2} & {*REQUIRED}
        counts = {course: float(len(done))}
        for unit, leaves in UNITS.items():
            if not contents.keys().isdisjoint(leaves):
                counts[unit] = float(len(done.intersection(leaves)))
        is_complete = len(done) == len(REQUIRED)
        return 1 + is_complete, len(done), contents, is_complete, counts

    def seen(self) -> dict[str, Seen]:
        """What is stored now."""
        course = self.learners[0].course
        counts: dict[str, dict[str, float]] = {one.user: {} for one in self.learners}
        for row in self._rows(AGGREGATES, "user_id"):
            assert row["context_id"] == f"cb:{self.learners[0].batch}"
            counts[row["user_id"]][row["activity_id"]] = row["aggregates"]["completedCount"]
        return {
            row["userid"]: (
                row["status"],
                row["progress"],
                plain(row["contentstatus"]),
                row["completedon"] is not None,
                counts[row["userid"]],
            )
            for row in self._rows(ENROLMENTS, "userid")
            if row["courseid"] == course
        }

    def _rows(self, table: str, user_column: str) -> list[Json]:
        mine = {one.user for one in self.learners}
        query = f"SELECT * FROM {self.site.table(table)}"  # noqa: S608  # names of the tests
        return [row for row in self.site.servers.cql.execute(query) if row[user_column] in mine]

    def told(self) -> tuple[list[str], list[str]]:
        """Who was told to have completed the course, and for whom a certificate was asked for; sorted."""
        mine = {one.user for one in self.learners}
        audits = [m.value for m in self.site.servers.read(self.site.audit_topic)]
        assert {a["edata"]["type"] for a in audits if a["actor"]["id"] in mine} <= {"enrol-complete"}
        asked = [m.value["edata"]["userIds"][0] for m in self.site.servers.read(self.site.certificate_topic)]
        return (
            sorted(a["actor"]["id"] for a in audits if a["actor"]["id"] in mine),
            sorted(user for user in asked if user in mine),
        )
