"""What a learner's case comes to: every verdict, and what it is told beside."""

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime

import msgspec
import pytest
from tests.events import COLLECTION, NOW, context, settings
from tests.fakes import Tables
from tests.one_course import COURSE, EARLIER, WHO, of

from lern.domain.model import (
    Attempt,
    AttemptId,
    BatchId,
    Consumption,
    ContentId,
    CourseId,
    Enrolment,
    Relation,
    RelationKey,
)
from lern.errors import Refused
from lern.explaining import Code, Report, State, gather, report

_DONE, _BEGUN = Consumption(2, 1, 1), Consumption(1, 2, 0)
_LEAVES = RelationKey(COURSE, COURSE, Relation.LEAF_NODES)


def a_case(**contents: Consumption) -> Tables:
    """A course of unit u1 (a, and b which is optional) and unit u2 (c), as published; a learner with these contents, whose
    rows are what they should be.
    """
    tables = of(
        {COURSE: {"a", "b", "c"}, "u1": {"a", "b"}, "u2": {"c"}},
        {COURSE: {"b"}, "u1": {"b"}},
        Enrolment(1),
    )
    unit_1 = _collection("u1", _resource("a"), _resource("b") | {"relationalMetadata": {"optional": True}})
    tables.trees[COURSE] = json.dumps(_collection(COURSE, unit_1, _collection("u2", _resource("c")))).encode()
    tables.contents[WHO] = {ContentId(content): its for content, its in contents.items()}
    done = {content for content, its in contents.items() if its.status == 2} & {"a", "c"}
    if contents:
        tables.progress[WHO] = (len(done), {ContentId(c): its.status for c, its in contents.items()})
        tables.aggregates[COURSE, WHO.user, WHO.context] = {"completedCount": float(len(done))}
        for unit, leaves in {"u1": {"a", "b"}, "u2": {"c"}}.items():
            if not leaves.isdisjoint(contents):
                tables.aggregates[unit, WHO.user, WHO.context] = {"completedCount": float(len(done & leaves))}
    else:
        tables.progress[WHO] = (0, None)
    tables.columns[WHO] = {"active": True}
    if len(done) == 2:
        tables.enrolled[WHO] = Enrolment(2, EARLIER)
        tables.columns[WHO]["issued_certificates"] = [{"identifier": "cert-1", "lastIssuedOn": "2023-05-02"}]
    return tables


def _collection(identifier: str, *children: dict[str, object]) -> dict[str, object]:
    return {"identifier": identifier, "mimeType": COLLECTION, "children": list(children)}


def _resource(identifier: str) -> dict[str, object]:
    return {"identifier": identifier, "mimeType": "video/mp4"}


def explained(tables: Tables) -> Report:
    return report(gather(WHO, tables.facts(), context(settings("enrolment-reconciliation"))))


def codes(tables: Tables) -> list[Code]:
    return [verdict.code for verdict in explained(tables).verdicts]


def only(tables: Tables, code: Code) -> tuple[str, str | None]:
    """Sentence and command of the only verdict."""
    [verdict] = explained(tables).verdicts
    assert verdict.code == code
    return verdict.sentence, verdict.command


def values(found: Report, title: str) -> dict[str, object]:
    """The facts of one section, by name."""
    [section] = [section for section in found.sections if section.title == title]
    return {fact.name: fact.value for fact in section.facts}


def test_all_right() -> None:
    sentence, command = only(a_case(a=_DONE, c=_DONE), Code.ALL_RIGHT)

    assert sentence == (
        "Everything is as it should be: the course was completed on 2023-05-01, and its certificate is recorded."
    )
    assert command is None


def test_what_the_learner_has_yet_to_do_is_named() -> None:
    tables = a_case(a=_DONE, c=_BEGUN)

    sentence, command = only(tables, Code.CONTENTS_MISSING)

    assert sentence.startswith("1 of 2 required contents is not completed: c.")
    assert command is None
    found = explained(tables)
    assert values(found, "Contents") == {
        "required contents that are completed": "1 of 2",
        "optional contents": ["b"],
        "c (required)": "1 (in progress), views 2, completions 0",
        "a (required)": "2 (completed), views 1, completions 1",
    }
    assert values(found, "Units") == {"the course": "1 of 2", "unit u1": "1 of 1", "unit u2": "0 of 1"}
    assert values(found, "Relation cache against hierarchy") == {
        "sets that are as the hierarchy says": "all 9"
    }
    enrolment = values(found, "Enrolment")
    assert (enrolment["status"], enrolment["progress"]) == ("1 (in progress)", 1)
    assert values(found, "Certificates") == {"issued": "none"}
    assert not [fact for section in found.sections for fact in section.facts if fact.state is State.WRONG]


def test_contents_of_another_course_are_told_and_do_no_harm() -> None:
    tables = a_case(a=_DONE, c=_BEGUN, z=_DONE)

    assert codes(tables) == [Code.CONTENTS_MISSING]
    assert values(explained(tables), "Contents")["z (not part of the course)"] == (
        "2 (completed), views 1, completions 1"
    )


def test_nothing_stored() -> None:
    sentence, command = only(a_case(), Code.NOTHING_STORED)

    assert "all 2 required contents are missing" in sentence
    assert command
    assert command.startswith("lern tail activity-aggregate-updater --failed")


@pytest.mark.parametrize(
    ("damage", "what"),
    [("progress", "progress"), ("status", "progress, status, completedon"), ("unit", "completedCount of u1")],
)
def test_rows_that_are_wrong_are_named_with_the_command_that_mends_them(damage: str, what: str) -> None:
    tables = a_case(a=_DONE, c=_DONE) if damage == "status" else a_case(a=_DONE, c=_BEGUN)
    match damage:
        case "progress":
            tables.progress[WHO] = (7, tables.progress[WHO][1])
        case "status":
            tables.enrolled[WHO] = Enrolment(1)
            tables.progress[WHO] = (7, tables.progress[WHO][1])
        case _:
            tables.aggregates["u1", WHO.user, WHO.context] = {"completedCount": 5.0}

    sentence, command = only(tables, Code.ROWS_DIFFER)

    assert f"({what})" in sentence
    assert command == "lern reconcile --course course_1 --batch batch_1 --user user_1"
    wrong = [
        (fact.name, fact.expected)
        for section in explained(tables).sections
        for fact in section.facts
        if fact.state is State.WRONG
    ]
    assert (
        wrong
        == {
            "progress": [("progress", 1)],
            "status": [("status", "2 (completed)"), ("progress", 2), ("completedon", NOW)],
            "unit": [("unit u1", "1 of 1")],
        }[damage]
    )


def test_ids_in_commands_are_quoted() -> None:
    tables = a_case(a=_DONE, c=_BEGUN)
    who = WHO._replace(batch=BatchId("b; rm -rf /"))
    tables.enrolled[who], tables.contents[who] = Enrolment(1), tables.contents[WHO]

    found = report(gather(who, tables.facts(), context()))

    assert found.verdicts[0].command == "lern reconcile --course course_1 --batch 'b; rm -rf /' --user user_1"


def test_a_cache_that_is_not_what_the_hierarchy_says() -> None:
    tables = a_case(a=_DONE, c=_BEGUN)
    tables.sets[_LEAVES] = frozenset({"a", "b", "x"})
    del tables.sets[RelationKey(COURSE, "u1", Relation.OPTIONAL_NODES)]

    sentence, command = only(tables, Code.CACHE_DIFFERS)

    assert "(2 sets differ)" in sentence
    assert command == "lern cache rebuild --course course_1 && lern reconcile --course course_1"
    facts = values(explained(tables), "Relation cache against hierarchy")
    assert facts == {"leafnodes of course_1": "lacks c; has x too much", "optionalnodes of u1": "lacks b"}


def test_a_cache_that_has_lost_the_course() -> None:
    tables = a_case(a=_DONE, c=_DONE)
    tables.sets.clear()

    sentence, command = only(tables, Code.CACHE_LOST)

    assert command == "lern cache rebuild --course course_1"
    assert sentence == "The relation cache has lost the course: rebuild it."
    found = explained(tables)
    assert values(found, "Contents")["required contents that are completed"] == "2 of 2"
    [contents] = [section for section in found.sections if section.title == "Contents"]
    assert contents.facts[0].source == "content_hierarchy (course_1)"


def test_a_course_that_nobody_knows() -> None:
    tables = a_case(a=_DONE)
    tables.sets.clear()
    tables.trees.clear()

    sentence, _ = only(tables, Code.COURSE_UNKNOWN)

    assert "publish it again" in sentence


def test_a_retired_course() -> None:
    tables = a_case(a=_DONE)
    tables.sets.clear()
    tables.trees.clear()
    tables.collection_statuses[COURSE] = "Retired"

    assert codes(tables) == [Code.COURSE_RETIRED]


@pytest.mark.parametrize("is_cached", [True, False])
def test_a_hierarchy_that_cannot_be_read(is_cached: bool) -> None:
    tables = a_case(a=_DONE, c=_DONE)
    tables.trees[COURSE] = b"{no json"
    if not is_cached:
        tables.sets.clear()

    sentence, _ = only(tables, Code.HIERARCHY_INVALID)

    assert "mend the course and publish it again" in sentence
    assert "hierarchy" in values(explained(tables), "Relation cache against hierarchy")


def test_a_learner_who_is_not_enrolled_may_be_so_in_another_batch() -> None:
    tables = a_case(a=_DONE, c=_BEGUN)
    del tables.enrolled[WHO]
    tables.enrolled[WHO._replace(batch=BatchId("batch_2"))] = Enrolment(1)

    sentence, command = only(tables, Code.NOT_ENROLLED)

    assert "enrolled in batch_2 of this course" in sentence
    assert "counts once there is an enrolment" in sentence
    assert command is None
    assert values(explained(tables), "Enrolment") == {
        "enrolment": "none",
        "other batches of the course": ["batch_2"],
    }


def test_other_batches_of_a_learner_are_told_beside() -> None:
    tables = a_case(a=_DONE, c=_BEGUN)
    tables.enrolled[WHO._replace(batch=BatchId("batch_2"))] = Enrolment(1)

    assert values(explained(tables), "Enrolment")["other batches of the course"] == ["batch_2"]
    assert codes(tables) == [Code.CONTENTS_MISSING]


def test_an_enrolment_that_is_not_active() -> None:
    tables = a_case(a=_DONE, c=_DONE)
    tables.columns[WHO]["active"] = False

    assert codes(tables) == [Code.NOT_ACTIVE]


def test_a_course_that_has_grown_stays_completed() -> None:
    tables = a_case(a=_DONE, c=_DONE)
    tables.contents[WHO].pop(ContentId("c"))
    tables.aggregates[COURSE, WHO.user, WHO.context] = {"completedCount": 1.0}
    tables.aggregates.pop(("u2", WHO.user, WHO.context))

    sentence, command = only(tables, Code.COURSE_GROWN)

    assert "completed on 2023-05-01" in sentence
    assert "c came after that" in sentence
    assert command is None


def test_a_completed_course_without_a_certificate() -> None:
    tables = a_case(a=_DONE, c=_DONE)
    tables.columns[WHO].pop("issued_certificates")

    sentence, _ = only(tables, Code.NO_CERTIFICATE)

    assert "no certificate is recorded" in sentence


def test_scores_that_are_not_those_of_the_attempts() -> None:
    tables = a_case(a=_DONE, c=_BEGUN)
    quiz = Attempt(ContentId("a"), AttemptId("t1"), datetime(2023, 5, 1, tzinfo=UTC), 3.0, 5.0)
    again = [
        msgspec.structs.replace(quiz, attempt=AttemptId("t2"), score=4.0),
        msgspec.structs.replace(quiz, attempt=AttemptId("t3"), score=4.0, attempted_on=None),
    ]
    tables.tried[WHO] = [quiz, *again]
    row = tables.aggregates[COURSE, WHO.user, WHO.context]
    row |= {"score:a": 3.0, "max_score:a": 5.0, "attempts_count:a": 3.0}

    assert codes(tables) == [Code.SCORES_DIFFER, Code.CONTENTS_MISSING]
    assert values(explained(tables), "Attempts") == {
        "a, attempt t1": "3 of 5, on 2023-05-01 00:00",
        "a, attempt t2": "4 of 5, on 2023-05-01 00:00: this one counts",
        "a, attempt t3": "4 of 5",
        "score:a": 3,
        "max_score:a": 5,
        "attempts_count:a": 3,
    }
    row["score:a"] = 4.0
    assert codes(tables) == [Code.CONTENTS_MISSING]


def test_what_a_service_refuses_is_told_as_it_is() -> None:
    class Refusing(Tables):
        def statuses(self, courses: Collection[CourseId]) -> Mapping[CourseId, str]:
            raise Refused("ERR_SEARCH_REFUSED", f"search answered 403 for {[*courses]}")

    tables = a_case(a=_DONE)
    tables.sets.clear()

    found = explained(Refusing(**vars(tables)))

    assert [verdict.code for verdict in found.verdicts] == [Code.NOT_COMPUTABLE, Code.CACHE_LOST]
    assert found.verdicts[0].sentence == "Progress cannot be computed: search answered 403 for ['course_1']."


def test_names_never_appear() -> None:
    tables = a_case(a=_DONE, c=_DONE)
    tables.trees[COURSE] = tables.trees[COURSE].replace(b'"mimeType"', b'"name": "Asha Kumari", "mimeType"')
    tables.columns[WHO] |= {"addedby": "Asha Kumari", "certificates": [{"name": "Asha Kumari"}]}
    tables.columns[WHO]["issued_certificates"][0]["name"] = "Asha Kumari"

    assert "Asha" not in msgspec.json.encode(explained(tables)).decode()
