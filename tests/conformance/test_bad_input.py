"""Messages that are wrong: each ends as it should, and the good ones between them are handled."""

import base64
import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.conformance import bad
from tests.conformance.bad import Bad, Fate
from tests.conformance.conftest import NewSite
from tests.conformance.events import COLLECTION, Learner, answer, assessed, published, update
from tests.conformance.learning import cached_course, consumption, enrol
from tests.conformance.process import Running, config, lern, run
from tests.conformance.servers import ASSESSMENTS, RELATION_CACHE, Message, unique
from tests.conformance.site import ACTIVITY, ASSESSMENT, RELATIONS


def check(record: Message, sent: Bad, job: str) -> None:
    """A failed record against the message that it stands for."""
    value = dict(record.value)
    assert value.pop("jobName") == job, sent.name
    info = value.pop("failInfo")
    assert info.keys() == {"errorCode", "error"}, sent.name
    assert info["errorCode"], sent.name
    assert sent.field in info["error"], (sent.name, info)
    assert len(info["error"]) < 500, sent.name
    assert "Asha" not in info["error"], sent.name
    match sent.fate:
        case Fate.RAW:
            assert value == {"raw": sent.value.decode()}, sent.name
        case Fate.BASE64:
            encoded = base64.b64encode(sent.value).decode()
            assert value == {"raw": encoded, "encoding": "base64"}, sent.name
        case _:
            assert value == json.loads(sent.value), sent.name
    assert record.headers["lern-error-code"] == info["errorCode"], sent.name
    assert record.headers["lern-job"] == job, sent.name
    assert record.headers["lern-attempts"] == "1", sent.name
    assert record.headers["lern-failed-at"].isdigit(), sent.name


def by_offset(records: Sequence[Message], partition: int) -> dict[int, Message]:
    """Failed records by the offset of what failed; one for each."""
    found = {
        int(r.headers["lern-offset"]): r for r in records if r.headers["lern-partition"] == str(partition)
    }
    assert len(found) == len(records)
    return found


def between(good: Sequence[bytes], wrong: Sequence[Bad]) -> list[bytes]:
    """A good message, a wrong one, and so on."""
    return [value for pair in zip(good, (one.value for one in wrong), strict=True) for value in pair]


@pytest.mark.timeout(240)
def test_wrong_updates_fail_or_are_skipped_and_all_good_ones_are_handled(new_site: NewSite) -> None:
    site = new_site()
    victim = enrol(site, cached_course(site, {"u1": ["c1"]}))
    wrong = bad.of_activity(victim)
    contents = [f"c{number}" for number in range(len(wrong))]
    learner = enrol(site, cached_course(site, {"u1": [*contents, "last"]}))
    good = [update(learner, {content: 2}) for content in contents]
    with Running(site, [ACTIVITY]) as running:
        site.send(ACTIVITY, between(good, wrong), partition=1, key=learner.user)
        site.settle(seconds=90)
        counts = running.counts(ACTIVITY)
        log = running.errors
    failed = by_offset(site.failed(), 1)
    for number, one in enumerate(wrong):
        if one.fate is Fate.SKIPPED:
            assert 2 * number + 1 not in failed, one.name
        else:
            record = failed.pop(2 * number + 1)
            check(record, one, ACTIVITY)
            assert record.key == learner.user
            assert record.headers["lern-topic"] == site.input(ACTIVITY)
    assert failed == {}
    assert consumption(site, learner) == dict.fromkeys(contents, (2, 1, 1))
    assert consumption(site, victim) == {}
    skipped = sum(one.fate is Fate.SKIPPED for one in wrong)
    assert counts["total"] == 2 * len(wrong)
    assert counts["skipped"] == skipped
    assert counts["failed"] == len(wrong) - skipped
    assert counts["success"] == len(wrong)
    assert "Asha" not in log
    assert "9876543210" not in log
    assert "Traceback" not in log


@pytest.mark.timeout(240)
def test_wrong_publish_events_fail_or_are_skipped_and_all_good_ones_are_handled(new_site: NewSite) -> None:
    site = new_site()
    wrong = bad.of_relations(unique("do"))
    courses = [unique("do") for _ in wrong]
    for course in courses:
        leaf = {"identifier": "r1", "mimeType": "video/mp4"}
        site.put_hierarchy(course, {"identifier": course, "mimeType": COLLECTION, "children": [leaf]})
    with Running(site, [RELATIONS]) as running:
        site.send(RELATIONS, between([published(course) for course in courses], wrong), partition=0)
        site.settle(RELATIONS, seconds=90)
        log = running.errors
    failed = by_offset(site.failed(RELATIONS), 0)
    for number, one in enumerate(wrong):
        if one.fate is Fate.SKIPPED:
            assert 2 * number + 1 not in failed, one.name
        else:
            check(failed.pop(2 * number + 1), one, RELATIONS)
    assert failed == {}
    cache = site.servers.redis(RELATION_CACHE)
    for course in courses:
        assert cache.smembers(f"{course}:{course}:leafnodes") == {"r1"}
    assert "Asha" not in log
    assert "Traceback" not in log


@pytest.mark.timeout(240)
def test_wrong_attempts_fail_and_all_good_ones_are_handled(new_site: NewSite) -> None:
    site = new_site()
    learner = Learner(unique("user"), unique("do"), unique("batch"))
    victim = learner._replace(user=unique("user"))
    wrong = bad.of_assessment(victim)
    good = [
        assessed(learner, "quiz", f"a{number}", 1675000000000 + number, [answer("q", 1, 1)])
        for number in range(len(wrong))
    ]
    with Running(site, [ASSESSMENT]) as running:
        site.send(ASSESSMENT, between(good, wrong), partition=1)
        site.settle(ASSESSMENT, seconds=90)
        counts, log = running.counts(ASSESSMENT), running.errors
    failed = by_offset(site.failed(ASSESSMENT), 1)
    for number, one in enumerate(wrong):
        check(failed.pop(2 * number + 1), one, ASSESSMENT)
    assert failed == {}
    key = {"course_id": learner.course, "batch_id": learner.batch}
    assert len(site.rows(ASSESSMENTS, user_id=learner.user, **key)) == len(good)
    assert site.rows(ASSESSMENTS, user_id=victim.user, **key) == []
    assert len(site.certificate_requests(learner.user)) == counts["success"] == len(good)
    assert counts["failed"] == len(wrong)
    assert "Asha" not in log
    assert "9876543210" not in log
    assert "Traceback" not in log


def test_a_message_as_large_as_topics_take_fails_without_its_content(new_site: NewSite) -> None:
    site = new_site()
    learner = enrol(site, cached_course(site, {"u1": ["c1"]}))
    # Just below the limit of 1 MiB, and nothing in it that could be compressed.
    noise = base64.b64encode(random.Random(3).randbytes(800_000))[:1_048_400]
    site.send(ACTIVITY, [noise, update(learner, {"c1": 2})], partition=0)
    run(site, ACTIVITY)
    [record] = site.failed()
    assert record.value["jobName"] == ACTIVITY
    assert record.value["failInfo"]["error"]
    assert "raw" not in record.value
    assert (record.headers["lern-partition"], record.headers["lern-offset"]) == ("0", "0")
    assert consumption(site, learner) == {"c1": (2, 1, 1)}


def test_a_message_without_value_fails(new_site: NewSite) -> None:
    site = new_site()
    learner = enrol(site, cached_course(site, {"u1": ["c1"]}))
    site.servers.producer.produce(site.input(ACTIVITY), None, b"key", partition=0)
    site.servers.producer.produce(site.input(ACTIVITY), b"", b"key", partition=0)
    site.send(ACTIVITY, [update(learner, {"c1": 2})], partition=0)
    run(site, ACTIVITY)
    assert [record.value["raw"] for record in site.failed()] == ["", ""]
    assert consumption(site, learner) == {"c1": (2, 1, 1)}


def replayable(record: Message) -> bytes:
    """A failed record as it was before it failed."""
    fields = {name: value for name, value in record.value.items() if name not in {"jobName", "failInfo"}}
    if "encoding" in fields:
        return base64.b64decode(fields["raw"])
    return fields["raw"].encode() if fields.keys() == {"raw"} else json.dumps(fields).encode()


def test_a_failed_record_can_be_sent_again_when_the_cause_is_gone(new_site: NewSite) -> None:
    site = new_site()
    course = unique("do")
    learner = enrol(site, course)
    hopeless = b"\xff no JSON"
    site.send(ACTIVITY, [update(learner, {"c1": 2}), hopeless], key=learner.user)
    run(site, ACTIVITY)
    failed = site.failed()
    assert [record.headers["lern-attempts"] for record in failed] == ["1", "1"]
    assert min(map(replayable, failed), key=len) == hopeless
    cached_course(site, {"u1": ["c1"]}, course=course)
    for record in failed:
        site.send(ACTIVITY, [replayable(record)], key=record.key, headers=record.headers)
    run(site, ACTIVITY)
    assert consumption(site, learner) == {"c1": (2, 1, 1)}
    known = {record[:2] for record in failed}
    [again] = [record for record in site.failed() if record[:2] not in known]
    assert replayable(again) == hopeless
    assert again.headers["lern-attempts"] == "2"


@pytest.mark.parametrize("profile", ["connected", "embedded"])
@pytest.mark.timeout(240)
def test_wrong_lines_of_a_file_end_as_they_should(new_site: NewSite, profile: str, tmp_path: Path) -> None:
    wrong = [one for one in bad.of_activity(Learner("u", "c", "b")) if b"\n" not in one.value]
    skipped = sum(one.fate is Fate.SKIPPED for one in wrong)
    file = tmp_path / "events"
    file.write_bytes(b"".join(one.value + b"\n" for one in wrong))
    embedded = ("--profile", "embedded", "--set", f"embedded.file={tmp_path}/lern.db")
    where = config(new_site(), ACTIVITY) if profile == "connected" else embedded
    sent = lern("send", ACTIVITY, file, *where)
    assert sent.returncode == 0, sent.stderr
    assert str(len(wrong)) in sent.stderr
    done = lern("run", ACTIVITY, *where, "--until-idle", 1)
    assert done.returncode == 0, done.stderr
    assert "Asha" not in done.stderr
    shown = lern("tail", ACTIVITY, "--failed", "--from-beginning", "--metadata", "--until-idle", 1, *where)
    assert shown.returncode == 0, shown.stderr
    records = [json.loads(line) for line in shown.stdout.splitlines()]
    values = [record["value"] for record in records]
    assert len(values) == len(wrong) - skipped
    for one in wrong:
        match one.fate:
            case Fate.SKIPPED:
                continue
            case Fate.RAW:
                content: object = {"raw": one.value.decode()}
            case Fate.BASE64:
                content = {"raw": base64.b64encode(one.value).decode(), "encoding": "base64"}
            case _:
                content = json.loads(one.value)
        mine = [
            v for v in values if {n: x for n, x in v.items() if n not in {"jobName", "failInfo"}} == content
        ]
        assert len(mine) == sum(other.value == one.value for other in wrong), one.name
        assert one.field in mine[0]["failInfo"]["error"], one.name
