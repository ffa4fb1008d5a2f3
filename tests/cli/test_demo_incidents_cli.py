"""What `lern demo` does beside study: quizzes, progress that is lost and repaired, accounts that are merged, one case explained.

What should be is worked out here from the messages that lie in the topics, and compared with the tables and the report.
"""

from collections import Counter
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from tests.demo_run import COURSE, STUDY, Ran, demo_in, merged, query, told_in

_ASSESS = "dev.telemetry.assess"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A demo in which both of the merged accounts have tried quizzes; nobody changes its file."""
    return demo_in(tmp_path_factory.mktemp("demo"), "--learners", "12", "--seed", "9")


def _told_by_apps(folder: Path) -> dict[str, dict[str, set[int]]]:
    """By learner and content, when the apps told that it was completed (epoch milliseconds)."""
    found: dict[str, dict[str, set[int]]] = {}
    for (value,) in query(folder, "SELECT value FROM messages WHERE topic = ?", STUDY):
        with suppress(msgspec.DecodeError, KeyError):
            event = msgspec.json.decode(value)
            for one in event["edata"]["contents"]:
                if one["status"] == 2 and event["edata"]["courseId"] == COURSE:
                    times = found.setdefault(event["edata"]["userId"], {}).setdefault(one["contentId"], set())
                    times.add(event["ets"])
    return found


def _tried(folder: Path) -> dict[str, dict[str, list[tuple[int, float, float]]]]:
    """By learner and quiz: when it was tried, the score, and what it could have been; by the rule for repeated answers."""
    found: dict[str, dict[str, list[tuple[int, float, float]]]] = {}
    for (value,) in query(folder, "SELECT value FROM messages WHERE topic = ?", _ASSESS):
        event = msgspec.json.decode(value)
        if not isinstance(event["events"], list) or not event["events"] or "userId" not in event:
            continue
        if event["contentId"] == "do_310000000000000000001":
            continue
        answers = {one["edata"]["item"]["id"]: one["edata"] for one in event["events"]}
        score = sum(one["score"] for one in answers.values())
        best = sum(one["item"]["maxscore"] for one in answers.values())
        tries = found.setdefault(event["userId"], {}).setdefault(event["contentId"], [])
        tries.append((event["assessmentTs"], score, best))
    return found


def _repaired(folder: Path) -> tuple[str, int]:
    """Whose progress was damaged, and when it was asked to be repaired."""
    topic = "dev.batch.enrolment.sync.request"
    for (value,) in query(folder, "SELECT value FROM messages WHERE topic = ?", topic):
        with suppress(msgspec.DecodeError):
            event = msgspec.json.decode(value)
            if "batchId" in event["edata"]:
                return event["edata"]["userId"], event["ets"]
    pytest.fail("nothing was asked to be repaired")


def _required(folder: Path) -> set[str]:
    """The contents that have to be completed, as the relation cache has them."""
    sets = dict(query(folder, "SELECT relation, members FROM relation_cache WHERE node = ?", COURSE))
    leaves, optional = (
        set(msgspec.json.decode(sets[relation], type=list[str]))
        for relation in ("leafnodes", "optionalnodes")
    )
    return leaves - optional


def test_scores_of_every_learner_are_those_of_the_best_attempts(ran: Ran) -> None:
    tried = _tried(ran.folder)
    old, new = merged(ran.folder)
    assert tried[old].keys().isdisjoint(tried[new])
    tried[new] |= tried[old]

    aggregates = {
        user: msgspec.json.decode(values)
        for user, values in query(
            ran.folder, "SELECT user_id, aggregates FROM user_activity_agg WHERE activity_id = ?", COURSE
        )
    }
    for user, quizzes in tried.items():
        scores = {}
        for content, tries in quizzes.items():
            _, scores[f"score:{content}"], scores[f"max_score:{content}"] = max(tries, key=lambda one: one[1])
            scores[f"attempts_count:{content}"] = len(tries)
        stored = {name: value for name, value in aggregates[user].items() if name != "completedCount"}
        assert stored == scores
    assert any(len(tries) > 1 for quizzes in tried.values() for tries in quizzes.values())


def test_numbers_of_quizzes_are_those_of_the_attempts(ran: Ran) -> None:
    tried = [tries for quizzes in _tried(ran.folder).values() for tries in quizzes.values()]

    assert told_in(ran.output, r"^The quizzes: ([\d,]+) attempts$") == [sum(map(len, tried))]
    for number, word in enumerate(("one", "two", "three"), 1):
        several = [tries for tries in tried if len(tries) == number]
        first = sum(min(tries)[1] / tries[0][2] for tries in several) / len(several)
        best = sum(max(score for _, score, _ in tries) / tries[0][2] for tries in several) / len(several)
        assert told_in(ran.output, rf"^  {word} +([\d,]+) +(\d+) % +(\d+) %") == [
            *(len(several), round(first * 100), round(best * 100))
        ]


def test_each_attempt_asks_for_a_certificate_and_so_do_scores_computed_again(ran: Ran) -> None:
    requests = query(ran.folder, "SELECT value FROM messages WHERE topic = 'dev.issue.certificate.request'")
    asked = Counter(
        edata["userIds"][0]
        for edata in (msgspec.json.decode(value)["edata"] for (value,) in requests)
        if "attemptId" in edata
    )

    attempts = {user: sum(map(len, quizzes.values())) for user, quizzes in _tried(ran.folder).items()}
    victim, _ = _repaired(ran.folder)
    assert asked == Counter(attempts) + Counter([victim])


def test_lost_progress_is_there_again(ran: Ran) -> None:
    victim, when = _repaired(ran.folder)
    done, required = _told_by_apps(ran.folder)[victim], _required(ran.folder)
    until_then = sum(min(times) < when for content, times in done.items() if content in required)

    words = " ".join(ran.output.split())
    assert f"was lost: {until_then} of 34 contents became 0" in words
    assert f"consumed and attempted: {until_then} of 34." in words
    assert until_then > 0
    progress = "SELECT progress, contentstatus FROM user_enrolments WHERE userid = ?"
    [(stored, statuses)] = query(ran.folder, progress, victim)
    assert stored == len(required & done.keys())
    assert {
        content for content, status in msgspec.json.decode(statuses).items() if status == 2
    } == done.keys()


def test_merged_account_has_what_was_done_with_both(ran: Ran) -> None:
    old, new = merged(ran.folder)
    told, required = _told_by_apps(ran.folder), _required(ran.folder)
    assert told[old].keys().isdisjoint(told[new])
    both = told[old] | told[new]

    rows = "SELECT contentid, completedcount, viewcount FROM user_content_consumption WHERE userid = ? AND status = 2"
    assert sorted(query(ran.folder, rows, new)) == [(content, 1, 1) for content in sorted(both)]
    assert {content for content, _, _ in query(ran.folder, rows, old)} == told[old].keys()
    progress = "SELECT progress FROM user_enrolments WHERE userid = ?"
    assert query(ran.folder, progress, new) == [(len(required & both.keys()),)]
    assert query(ran.folder, progress, old) == [(len(required & told[old].keys()),)]
    words = " ".join(ran.output.split())
    before, after, of_old = told_in(
        words, r"the (\d+) of 34 contents of [^.]+\. became (\d+) with the (\d+) of"
    )
    assert before + of_old == after
    assert of_old == len(required & told[old].keys()) > 0
    attempts = "SELECT content_id, attempt_id FROM assessment_aggregator WHERE user_id = ?"
    assert set(query(ran.folder, attempts, old)) <= set(query(ran.folder, attempts, new))


def test_one_page_explains_what_a_learner_lacks(ran: Ran) -> None:
    message = msgspec.json.decode((ran.folder / "last-content.jsonl").read_bytes())
    user = message["edata"]["userId"]
    done = query(
        ran.folder, "SELECT contentid FROM user_content_consumption WHERE userid = ? AND status = 2", user
    )
    [missing] = _required(ran.folder) - {content for (content,) in done}

    page = ran.output[ran.output.index("One case:") : ran.output.index("What failed:")]
    assert f"learner  {user}" in page
    assert f"1 of 34 required contents is not completed: {missing}." in page
    assert " 33 of 34 " in page
    assert "✗" not in page


def test_same_seed_leaves_the_same_progress_and_scores(ran: Ran, tmp_path: Path) -> None:
    again = demo_in(tmp_path, "--learners", "12", "--seed", "9")

    for statement in (
        "SELECT userid, progress, status, contentstatus FROM user_enrolments ORDER BY userid",
        "SELECT userid, contentid, status, viewcount, completedcount FROM user_content_consumption ORDER BY 1, 2",
        "SELECT user_id, content_id, attempt_id, grand_total FROM assessment_aggregator ORDER BY 1, 2, 3",
        # Two jobs write into the same maps, whose order means nothing.
        "SELECT user_id, activity_id, key, value FROM user_activity_agg, json_each(aggregates) ORDER BY 1, 2, 3",
    ):
        assert query(again.folder, statement) == query(ran.folder, statement) != []
