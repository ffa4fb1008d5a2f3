"""What the benchmarks make of their measurements."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from bench import tape
from bench.arrivals import Arrival, Usage, middle, moment, parts, used
from bench.check import wrong_audits, wrong_progress
from bench.figures import Benchmark, Figure
from bench.load import Load
from bench.report import as_json, show
from rich.console import Console

LOAD = Load("0a1b2c3d", learners=3)


@dataclass(frozen=True)
class Run:
    rate: float


def test_a_moment_is_that_of_the_first_arrival_with_enough() -> None:
    arrivals = [Arrival(1.0, 10), Arrival(2.0, 30), Arrival(3.0, 31)]

    assert [moment(arrivals, total) for total in (1, 10, 11, 31)] == [1.0, 1.0, 2.0, 3.0]


def test_what_never_came_has_no_moment() -> None:
    with pytest.raises(ValueError, match="never"):
        moment([Arrival(1.0, 10)], 11)


def test_cpu_between_samples_is_taken_to_be_used_evenly() -> None:
    usage = [Usage(0.0, 5.0), Usage(1.0, 6.0), Usage(2.0, 10.0)]

    assert used(usage, 0.0, 2.0) == 5.0
    assert used(usage, 0.5, 1.5) == pytest.approx(2.5)


def test_cpu_outside_of_the_samples_is_not_made_up() -> None:
    usage = [Usage(1.0, 5.0), Usage(2.0, 6.0)]

    assert used(usage, 0.0, 9.0) == 1.0


def test_a_run_is_told_in_its_first_part_its_rest_and_as_a_whole() -> None:
    arrivals = [Arrival(11.0, 10), Arrival(12.0, 20), Arrival(15.0, 40)]

    found = parts(arrivals, 10.0, 20, 2, {"program": [Usage(10.0, 0.0), Usage(15.0, 5.0)]}, first=10)

    assert {name: (part.events, part.seconds) for name, part in found.items()} == {
        "first": (10, 2.0),
        "rest": (10, 3.0),
        "all": (20, 5.0),
    }
    assert found["all"].rate == 4.0
    assert found["all"].cpu_ms == {"program": pytest.approx(250.0)}
    assert found["first"].cpu_ms == {"program": pytest.approx(200.0)}


def test_a_short_run_is_told_as_a_whole_only() -> None:
    assert parts([Arrival(2.0, 10)], 1.0, 5, 2, {}, first=5).keys() == {"all"}


@pytest.mark.parametrize(("rates", "wanted"), [([3, 1, 2], 2), ([4, 1, 3, 2], 2), ([7], 7)])
def test_the_run_in_the_middle_is_the_slower_of_two(rates: list[float], wanted: float) -> None:
    assert middle(Run(rate) for rate in rates).rate == wanted


@pytest.mark.parametrize(
    ("value", "more_is_better", "verdict"),
    [
        (4, True, "below"),
        (5, True, "ok"),
        (10, True, "aim met"),
        (12, False, "below"),
        (10, False, "ok"),
        (5, False, "aim met"),
    ],
)
def test_the_verdict_says_whether_least_and_aim_are_reached(
    value: float, more_is_better: bool, verdict: str
) -> None:
    least, aim = (5, 10) if more_is_better else (10, 5)

    assert Figure("", value, "x", least=least, aim=aim, more_is_better=more_is_better).verdict == verdict


def test_a_figure_of_which_nothing_is_asked_has_no_verdict() -> None:
    assert not Figure("", 1.0, "x").verdict


def test_the_share_of_the_floor_is_below_one_when_the_floor_is_better() -> None:
    assert Figure("", 60, "/s", floor=100).share == 0.6
    assert Figure("", 5.0, "ms", floor=2.0, more_is_better=False).share == 0.4
    assert Figure("", 5.0, "ms").share is None


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [(0.853, "share", "85%"), (0.05, "x", "1/20.0"), (15.72, "x", "15.7 x"), (3047.4, "/s", "3,047"), (0.1965, "ms", "0.197 ms")],
)  # fmt: skip
def test_numbers_are_shown_in_their_unit(value: float, unit: str, shown: str) -> None:
    assert Figure("", value, unit).shown(value) == shown


def test_a_table_holds_every_figure_its_floor_and_its_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    figure = Figure("events a second", 700, "/s", floor=1000, least=600, aim=850)

    show(Console(width=120), Benchmark("connected", "a test", [figure]))

    printed = capsys.readouterr().out
    for text in ("connected", "events a second", "700", "1,000", "70%", "600", "850", "ok", "a test"):
        assert text in printed
    assert "warning" not in printed


def test_a_benchmark_that_others_disturbed_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    show(Console(width=120), Benchmark("connected", "a test", [], others=0.4))

    assert "40% of the machine" in capsys.readouterr().out


def test_the_json_holds_machine_figures_and_runs() -> None:
    figure = Figure("share", 0.7, "share", least=0.6, aim=0.85)
    benchmark = Benchmark("connected", "a test", [figure], {"ours": [Run(7.0)]}, others=0.2)

    document = json.loads(as_json({"date": "2026-11-23"}, (0.1, 0.2, 0.3), 0.01, [benchmark]))

    assert document["date"] == "2026-11-23"
    assert document["quiet"] is False
    assert document["load_average"] == [0.1, 0.2, 0.3]
    assert document["benchmarks"]["connected"]["figures"][0]["verdict"] == "ok"
    assert document["benchmarks"]["connected"]["runs"] == {"ours": [{"rate": 7.0}]}


def test_a_tape_is_read_as_it_was_written(tmp_path: Path) -> None:
    calls: list[tape.Call] = [
        tape.Send(0, [tape.Bound(0, [b"a", b"\x00"])], batch=True),
        tape.Await(0),
        tape.Exchange(0, b"*1\r\n$4\r\nPING\r\n", 1),
        tape.Begin(),
        tape.Produce([(0, None, b"{}")]),
        tape.Commit(1, 7, transaction=True),
    ]
    written = tape.Tape(
        input="in",
        cql=["SELECT"],
        topics=["out"],
        connections=[tape.Connection(13, 2, text=False)],
        producer={"acks": "all", "linger.ms": 5},
        turns=[tape.Turn(1, 7, calls)],
        threads=2,
    )

    written.write(tmp_path / "tape")

    assert tape.read_tape(tmp_path / "tape") == written


def test_audits_that_are_all_there_once_are_right() -> None:
    assert list(wrong_audits(LOAD, _audits())) == []


def test_a_missing_a_repeated_and_a_strange_audit_are_told() -> None:
    audits = _audits()

    problems = list(wrong_audits(LOAD, [*audits[2:], audits[-1], _audit("someone", "do_1", "start")]))

    assert len(problems) == 4
    assert sum("0 in place of 1" in problem for problem in problems) == 2
    assert sum("2 in place of 1" in problem for problem in problems) == 1


def test_progress_as_it_has_to_be_is_right() -> None:
    assert list(wrong_progress(LOAD, _consumption(), _enrolments(), _aggregates())) == []


def test_every_kind_of_wrong_row_is_told() -> None:
    consumption, enrolments, aggregates = _consumption(), _enrolments(), _aggregates()
    user, content, *_ = consumption[0]
    consumption[0] = (user, content, 2, 2, 1)
    enrolments[1] = (*enrolments[1][:2], 19, enrolments[1][3])
    del aggregates[2]

    problems = list(wrong_progress(LOAD, consumption, enrolments, aggregates))

    assert [problem.split()[0] for problem in problems] == ["consumption", "enrolment", "completedCount"]


def _audit(user: str, content: str, kind: str) -> bytes:
    return json.dumps({"actor": {"id": user}, "object": {"id": content}, "edata": {"type": kind}}).encode()


def _audits() -> list[bytes]:
    return [
        _audit(user, content, kind) for user, content in LOAD.completions for kind in ("start", "complete")
    ]


def _consumption() -> list[tuple[str, str, int, int, int]]:
    return [(user, content, 2, 1, 1) for user, content in LOAD.completions]


def _enrolments() -> list[tuple[str, int, int, dict[str, int]]]:
    return [
        (user, 1, 20, {content: 2 for who, content in LOAD.completions if who == user}) for user in LOAD.users
    ]


def _aggregates() -> list[tuple[str, str, dict[str, float]]]:
    return [
        (activity, user, {"completedCount": float(count)})
        for user, counts in LOAD.progress().items()
        for activity, count in counts.items()
    ]
