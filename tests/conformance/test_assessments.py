"""What attempts at assessments lead to, step by step; rules of the specification, jobs, section 4."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from tests.conformance.assessing import (
    START,
    aggregate,
    attempt_key,
    attempts,
    new_learner,
    scores,
    told,
    totals,
)
from tests.conformance.conftest import NewSite
from tests.conformance.doubles import Contents
from tests.conformance.events import UUID, Learner, answer, assessed
from tests.conformance.learning import cached_course
from tests.conformance.process import Running, config, lern, run
from tests.conformance.servers import (
    AGGREGATES,
    ASSESSMENTS,
    COLLECTION_CACHE,
    COURSE_TABLES,
    Json,
    Keyspaces,
    Servers,
    eventually,
    unique,
)
from tests.conformance.site import ASSESSMENT, Site

LONG_AGO = datetime(2022, 2, 21, 5, 54, 43, 853000, tzinfo=UTC)
MADE = datetime(2023, 1, 5, 15, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def job(site: Site) -> Iterator[Running]:
    """The job at work."""
    with Running(site, [ASSESSMENT]) as running:
        yield running


@pytest.fixture(scope="module")
def contents() -> Iterator[Contents]:
    """The content service."""
    with Contents() as contents:
        yield contents


@pytest.fixture(scope="module")
def strict(new_site: NewSite, contents: Contents) -> Iterator[Site]:
    """An installation that compares answers with the number of questions, at work."""
    site = new_site({"assessment.skip.missingRecords": "true", "content.read.api": contents.url})
    with Running(site, [ASSESSMENT]):
        yield site


def handle(site: Site, *values: bytes, partition: int = 0) -> None:
    """Sends events in order, and waits until they are handled."""
    site.send(ASSESSMENT, values, partition=partition)
    site.settle(ASSESSMENT)


def failures(site: Site, learner: Learner) -> list[Json]:
    """The failed records of a learner."""
    return [m.value for m in site.failed(ASSESSMENT) if m.value.get("userId") == learner.user]


def is_now(moment: datetime) -> bool:
    """Whether it was a moment ago."""
    return abs(datetime.now(UTC) - moment) < timedelta(minutes=1)


@pytest.mark.usefixtures("job")
def test_an_attempt_is_stored_to_the_letter(site: Site) -> None:
    learner = new_learner()
    events = [
        answer("q1", 0, 1, START - 9_000),
        answer("q1", 0.33, 1, START - 2_000, title="पाठ", desc="about", params=[{"a": 1, "b": None}, {}]),
        answer("q1", 1, 1, START - 5_000),
        answer("q2", 1, 2.0, START - 4_000),
    ]
    events[3]["edata"] |= {"resvalues": [{"1": {"text": "x"}, "2": "[1]", "3": True}], "duration": 2.75}
    handle(site, assessed(learner, "quiz", "attempt", START, events))

    [row] = attempts(site, learner).values()
    assert is_now(row.pop("created_on"))
    assert is_now(row.pop("updated_on"))
    first, second = row.pop("question")
    assert row == attempt_key(learner) | {
        "content_id": "quiz",
        "attempt_id": "attempt",
        "last_attempted_on": MADE,
        "grand_total": "1.33/3.0",
        "total_score": 1.33,
        "total_max_score": 3.0,
    }
    assert first == {
        "id": "q1",
        "assess_ts": MADE - timedelta(seconds=2),
        "max_score": 1.0,
        "score": 0.33,
        "type": "mcq",
        "title": "पाठ",
        "resvalues": [{"2": '{"text":"4\\n"}'}],
        "params": [{"a": "1", "b": "null"}, {}],
        "description": "about",
        "duration": Decimal(3),
    }
    [values] = second["resvalues"]
    assert json.loads(values.pop("1")) == {"text": "x"}
    assert values == {"2": "[1]", "3": "true"}
    assert second["duration"] == Decimal("2.75")


@pytest.mark.usefixtures("job")
def test_scores_become_aggregates_and_a_request(site: Site) -> None:
    learner = new_learner()
    handle(site, assessed(learner, "quiz", "attempt", START, [answer("q1", 2, 3)]))
    row = aggregate(site, learner)
    assert row is not None
    assert row["aggregates"] == {"score:quiz": 2.0, "max_score:quiz": 3.0, "attempts_count:quiz": 1.0}
    assert row["agg_last_updated"].keys() == row["aggregates"].keys()
    assert all(is_now(moment) for moment in row["agg_last_updated"].values())
    [detail] = row["agg_details"]
    assert detail == (
        '{"attempt_id":"attempt","last_attempted_on":"Jan 05, 2023, 3:04:05 PM","score":2.0,"content_id":"quiz",'
        '"max_score":3.0,"type":"attempt_metrics"}'
    )
    [request] = site.certificate_requests(learner.user)
    assert request.key == learner.user
    value = request.value
    assert is_now(datetime.fromtimestamp(value.pop("ets") / 1000, UTC))
    assert re.fullmatch(rf"LP\.\d{{13}}\.{UUID}", value.pop("mid"))
    assert value == {
        "eid": "BE_JOB_REQUEST",
        "actor": {"id": "Course Certificate Generator", "type": "System"},
        "context": {"pdata": {"ver": "1.0", "id": "org.sunbird.platform"}},
        "object": {"id": f"{learner.batch}_{learner.course}", "type": "CourseCertificateGeneration"},
        "edata": {
            "userIds": [learner.user],
            "action": "issue-certificate",
            "iteration": 1,
            "trigger": "auto-issue",
            "batchId": learner.batch,
            "reIssue": False,
            "courseId": learner.course,
            "attemptId": "attempt",
        },
    }


@pytest.mark.usefixtures("job")
@pytest.mark.parametrize(
    ("given", "total"),
    [
        ([(1, 1), (1, 1), (0, 1)], "2.0/3.0"),
        ([(0.1, 1), (0.2, 1)], "0.3/2.0"),
        ([(0.33, 1), (0.33, 1), (0.34, 1)], "1.0/3.0"),
        ([("1.5", "2"), (1.0, 2.0)], "2.5/4.0"),
        ([(1.005, 1), (0.12, 1)], "1.12/2.0"),
        ([(1.125, 2)], "1.12/2.0"),
        ([(1.135, 2)], "1.14/2.0"),
        ([(0, 10), (0, 90)], "0.0/100.0"),
    ],
)
def test_the_grand_total_is_written_to_the_letter(
    site: Site, given: list[tuple[object, object]], total: str
) -> None:
    learner = new_learner()
    events = [answer(f"q{number}", *points) for number, points in enumerate(given)]
    handle(site, assessed(learner, "quiz", "a", str(START), events))
    assert totals(site, learner) == {("quiz", "a"): total}


@pytest.mark.usefixtures("job")
@pytest.mark.parametrize("at", [str(START), float(START), f"{START}.0"])
def test_times_may_come_as_text_and_floats(site: Site, at: object) -> None:
    learner = new_learner()
    handle(site, assessed(learner, "quiz", "a", at, [answer("q", 1, 1, ets=at)]))
    [row] = attempts(site, learner).values()
    assert row["last_attempted_on"] == row["question"][0]["assess_ts"] == MADE


def test_repeated_and_late_events_of_an_attempt_are_skipped(site: Site, job: Running) -> None:
    learner = new_learner()
    skipped = job.counts(ASSESSMENT).get("skipped", 0)
    handle(site, assessed(learner, "quiz", "a", START, [answer("q", 1, 2)]))
    before = attempts(site, learner), aggregate(site, learner)
    handle(
        site,
        assessed(learner, "quiz", "a", START, [answer("q", 2, 2)]),
        assessed(learner, "quiz", "a", START - 1, [answer("q", 2, 2)]),
    )
    assert (attempts(site, learner), aggregate(site, learner)) == before
    assert told(site, learner) == ["a"]
    assert job.counts(ASSESSMENT)["skipped"] - skipped == 2


@pytest.mark.usefixtures("job")
def test_a_later_event_replaces_the_attempt_and_keeps_when_it_was_created(site: Site) -> None:
    learner = new_learner()
    key = attempt_key(learner) | {"content_id": "quiz", "attempt_id": "a"}
    stored = {"created_on": LONG_AGO, "updated_on": LONG_AGO, "last_attempted_on": LONG_AGO}
    site.put(
        ASSESSMENTS, key | stored | {"total_score": 9.0, "total_max_score": 9.0, "grand_total": "9.0/9.0"}
    )
    handle(site, assessed(learner, "quiz", "a", START, [answer("q", 1, 2)]))
    [row] = attempts(site, learner).values()
    assert (row["created_on"], row["last_attempted_on"]) == (LONG_AGO, MADE)
    assert is_now(row["updated_on"])
    assert (row["grand_total"], len(row["question"])) == ("1.0/2.0", 1)
    assert scores(site, learner)["score:quiz"] == 1.0


@pytest.mark.usefixtures("job")
def test_events_of_one_batch_are_handled_one_after_the_other(site: Site) -> None:
    learner = new_learner()
    handle(
        site,
        assessed(learner, "quiz", "b", START + 1000, [answer("q", 2, 4)]),
        assessed(learner, "quiz", "a", START, [answer("q", 1, 4)]),
        assessed(learner, "quiz", "a", START, [answer("q", 4, 4)]),
        assessed(learner, "quiz", "b", START + 2000, [answer("q", 1, 4)]),
        assessed(learner, "other", "c", START, [answer("q", 3, 3)]),
    )
    assert totals(site, learner) == {
        ("quiz", "a"): "1.0/4.0",
        ("quiz", "b"): "1.0/4.0",
        ("other", "c"): "3.0/3.0",
    }
    assert scores(site, learner) == {
        "score:quiz": 1.0,
        "max_score:quiz": 4.0,
        "attempts_count:quiz": 2.0,
        "score:other": 3.0,
        "max_score:other": 3.0,
        "attempts_count:other": 1.0,
    }
    assert told(site, learner) == ["b", "b", "b", ""]


@pytest.mark.usefixtures("job")
def test_the_best_of_several_attempts_counts_and_other_aggregates_stay(site: Site) -> None:
    learner = new_learner()
    stored: Json = {
        "activity_type": "Course",
        "activity_id": learner.course,
        "user_id": learner.user,
        "context_id": f"cb:{learner.batch}",
        "agg": {"completedCount": 9},
        "aggregates": {"completedCount": 2.0, "score:quiz": 9.0},
        "agg_last_updated": {"completedCount": LONG_AGO, "score:quiz": LONG_AGO},
        "agg_details": ['{"attempt_id": "gone"}'],
    }
    site.put(AGGREGATES, stored)
    for attempt, score, maximum in (("3", 2.0, 5.0), ("1", 3.0, 4.0), ("2", 3.0, 3.0)):
        key = attempt_key(learner) | {"content_id": "quiz", "attempt_id": attempt}
        columns = {"last_attempted_on": LONG_AGO, "total_score": score, "total_max_score": maximum}
        site.put(ASSESSMENTS, key | columns)
    handle(site, assessed(learner, "quiz", "4", START, [answer("q", 1, 1)]))
    row = aggregate(site, learner)
    assert row is not None
    assert row["aggregates"] == {
        "completedCount": 2.0,
        "score:quiz": 3.0,
        "max_score:quiz": 4.0,
        "attempts_count:quiz": 4.0,
    }
    assert row["agg"] == {"completedCount": 9}
    assert row["agg_last_updated"]["completedCount"] == LONG_AGO
    assert [json.loads(text)["attempt_id"] for text in row["agg_details"]] == ["1", "2", "3", "4"]


@pytest.mark.usefixtures("job")
@pytest.mark.parametrize("events", [None, []])
def test_an_event_without_answers_computes_what_is_stored_again(site: Site, events: object) -> None:
    learner = new_learner()
    key = attempt_key(learner) | {"content_id": "quiz", "attempt_id": "a"}
    site.put(ASSESSMENTS, key | {"last_attempted_on": MADE, "total_score": 3.0, "total_max_score": 4.0})
    handle(site, assessed(learner, "elsewhere", "b", START, events))
    assert list(attempts(site, learner)) == [("quiz", "a")]
    assert scores(site, learner) == {"score:quiz": 3.0, "max_score:quiz": 4.0, "attempts_count:quiz": 1.0}
    assert told(site, learner) == ["a"]


@pytest.mark.usefixtures("job")
def test_a_content_that_is_no_leaf_node_fails_and_the_others_go_on(site: Site) -> None:
    learner = Learner(unique("user"), cached_course(site, {"u1": ["quiz"]}), unique("batch"))
    events = [answer("q", 1, 1)]
    handle(
        site,
        assessed(learner, "elsewhere", "a", START, events),
        assessed(learner, "quiz", "b", START, events),
    )
    assert list(attempts(site, learner)) == [("quiz", "b")]
    [failed] = failures(site, learner)
    assert failed["contentId"] == "elsewhere"
    assert failed["failInfo"]["errorCode"] == "ERR_NOT_A_LEAF_NODE"
    assert told(site, learner) == ["b"]


@pytest.mark.usefixtures("job")
def test_attempts_of_a_learner_in_several_partitions_all_count(site: Site) -> None:
    """The topic's messages carry no key."""
    learner = new_learner()
    for number in range(12):
        handle(
            site,
            assessed(learner, "quiz", f"a{number:02}", START + number, [answer("q", 1, 1)]),
            partition=number % 4,
        )
    assert scores(site, learner)["attempts_count:quiz"] == 12.0


def many(number: int) -> list[Json]:
    """Answers to so many questions, to the first one twice."""
    return [*(answer(f"q{each}", 1, 1) for each in range(number)), answer("q0", 0, 1, ets=5)]


@pytest.mark.parametrize("spelling", ["totalQuestions", "totalquestions", "total_questions"])
@pytest.mark.parametrize("number", [2, 2.0, "2"])
def test_more_answers_than_the_cache_says_fail(
    strict: Site, contents: Contents, spelling: str, number: object
) -> None:
    learner, content = new_learner(), unique("quiz")
    strict.servers.redis(COLLECTION_CACHE).set(content, json.dumps({"identifier": content, spelling: number}))
    handle(
        strict,
        assessed(learner, content, "many", START, many(3)),
        assessed(learner, content, "all", START, many(2)),
        assessed(learner, content, "few", START, many(1)),
    )
    assert {attempt for _, attempt in attempts(strict, learner)} == {"all", "few"}
    [failed] = failures(strict, learner)
    assert failed["failInfo"]["errorCode"] == "ERR_TOO_MANY_QUESTIONS"
    assert content not in contents.asked


def test_what_the_cache_does_not_know_the_content_service_says(strict: Site, contents: Contents) -> None:
    learner, content = new_learner(), unique("quiz")
    strict.servers.redis(COLLECTION_CACHE).set(content, json.dumps({"identifier": content, "name": "Quiz"}))
    contents.metadata[content] = {"name": "Quiz", "contentType": "SelfAssess", "totalQuestions": 2}
    for attempt, number in (("many", 3), ("all", 2)):
        handle(strict, assessed(learner, content, attempt, START, many(number)))
    assert [attempt for _, attempt in attempts(strict, learner)] == ["all"]
    assert contents.asked.count(content) == 1


def test_where_nobody_knows_the_number_every_attempt_counts(strict: Site, contents: Contents) -> None:
    learner, content = new_learner(), unique("quiz")
    handle(strict, assessed(learner, content, "a", START, many(5)))
    assert len(attempts(strict, learner)) == 1
    assert content in contents.asked
    assert failures(strict, learner) == []


def test_a_content_that_the_service_refuses_fails_alone(strict: Site, contents: Contents) -> None:
    learner, content = new_learner(), unique("quiz")
    contents.broken[content] = 400
    handle(
        strict,
        assessed(learner, content, "a", START, many(1)),
        assessed(learner, unique("quiz"), "b", START, many(1)),
    )
    assert [attempt for _, attempt in attempts(strict, learner)] == ["b"]
    [failed] = failures(strict, learner)
    assert failed["failInfo"]["errorCode"] == "ERR_CONTENT_REFUSED"


def test_a_content_service_that_is_down_is_waited_for(strict: Site, contents: Contents) -> None:
    learner, content = new_learner(), unique("quiz")
    contents.broken[content] = 503
    contents.metadata[content] = {"totalQuestions": 2}
    strict.send(ASSESSMENT, [assessed(learner, content, "a", START, many(2))], partition=0)
    asked = eventually(lambda: contents.asked.count(content), lambda times: times >= 2)
    assert asked >= 2
    assert attempts(strict, learner) == {}
    del contents.broken[content]
    strict.settle(ASSESSMENT)
    assert len(attempts(strict, learner)) == 1
    assert failures(strict, learner) == []


OTHER_LAYOUT = """course_id text, batch_id text, user_id text, content_id text, attempt_id text,
    created_on timestamp, grand_total text, last_attempted_on timestamp, question list<frozen<question>>,
    total_max_score double, total_score double, updated_on timestamp,
    PRIMARY KEY (course_id, batch_id, user_id, content_id, attempt_id)"""


def test_the_other_layout_of_the_table_serves_as_well(
    servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> None:
    names = Keyspaces(unique("courses"), unique("hierarchy"))
    servers.create_keyspaces(names, COURSE_TABLES | {ASSESSMENTS: OTHER_LAYOUT})
    site = Site(servers, tmp_path_factory.mktemp("site"), names)
    learner, other = new_learner(), new_learner()
    other = other._replace(course=learner.course, batch=learner.batch)
    checked = lern("schema", "check", *config(site, ASSESSMENT))
    assert (checked.returncode, checked.stdout) == (0, "")
    for at in (START, START, START + 1):
        events = [answer("q", at - START, 2)]
        site.send(
            ASSESSMENT, [assessed(who, "quiz", "a", at, events) for who in (learner, other)], partition=0
        )
    run(site, ASSESSMENT)
    assert totals(site, learner) == totals(site, other) == {("quiz", "a"): "1.0/2.0"}
    assert scores(site, learner)["attempts_count:quiz"] == 1.0
    assert told(site, learner) == ["a", "a"]
    servers.drop_keyspaces(names)


def test_a_dry_run_changes_nothing(new_site: NewSite) -> None:
    site = new_site()
    learner = new_learner()
    site.send(ASSESSMENT, [assessed(learner, "quiz", "a", START, [answer("q", 1, 1)]), b"no JSON"])
    done = run(site, ASSESSMENT, "--dry-run")
    assert "SetAttempt" in done.stdout
    assert "SetAggregates" in done.stdout
    assert attempts(site, learner) == {}
    assert aggregate(site, learner) is None
    assert told(site, learner) == []
    assert site.failed(ASSESSMENT) == []
    assert site.behind(ASSESSMENT) == 2
    run(site, ASSESSMENT)
    assert totals(site, learner) == {("quiz", "a"): "1.0/1.0"}
