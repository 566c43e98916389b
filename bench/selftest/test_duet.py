"""Who judges the duet: planted differences are found and confirmed, equal sides are the same, and what cannot be told is not guessed."""

from __future__ import annotations

import functools
import json
import math
from xml.etree import ElementTree

import numpy as np
import pytest

from bench.exit_status import Status
from bench.selftest.made_up_duets import SPEC, Stub, case
from bench.timing.duet import __main__ as command
from bench.timing.duet import calibration, plan, record, render, rounds
from bench.timing.duet.calibration import margins_of
from bench.timing.duet.metrics import METRICS
from bench.timing.duet.plan import Duet, MetricTest, update
from bench.timing.duet.statistics import ALPHA, FASTER, LEAST, OPEN, SAME, SLOWER, discovered, estimate
from bench.timing.duet.verdict import ENVIRONMENT, NOTHING, STATUS, Judged, overall
from fixtures.data.datasets import load
from models.worker.process import WorkerDied


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """No proof by real workers, and a restart is eight rounds."""
    monkeypatch.setattr(plan, "prove", lambda *_: None)


def duet_of(case, **options):
    found = Duet([case], lambda _, metric: METRICS[metric].margin)
    plan.run(found, load(), budget=0.02, piece=0.001, quiet=True, **options)
    return {each.metric: each for each in found.judged()}, found


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, SAME), (1.05, SLOWER), (1.03, SLOWER), (1 / 1.05, FASTER)])
def test_what_was_planted_is_said(factor, verdict, monkeypatch):
    judged, found = duet_of(case(monkeypatch, Stub, lambda: Stub(0.004 * factor)))
    assert judged["step"].verdict == verdict, judged["step"].description
    assert judged["step"].estimate.low - 0.01 < math.log(factor) < judged["step"].estimate.high + 0.01
    assert "device_memory" not in judged, "a device that is not there was judged"
    if verdict in (SLOWER, FASTER):
        assert len(judged["step"].log_ratios) >= LEAST + plan.FRESH, "it was not confirmed on fresh workers"
    if verdict == SAME:
        assert len(found.series) == LEAST, "it went on after everything was decided"


def test_what_a_machine_is_too_noisy_for_is_not_guessed(monkeypatch):
    judged, found = duet_of(case(monkeypatch, lambda: Stub(layout=0.1)))
    assert judged["step"].verdict == OPEN
    assert len(found.series) == 20
    assert "budget was spent" in judged["step"].reason


@pytest.mark.parametrize(("planted", "least"), [(1.0, 0.0), (1.03, 0.9), (1.05, 0.97)])
def test_error_rates_with_restarts_one_percent_apart(planted, least):
    rng, found = np.random.default_rng(4), []
    for _ in range(150):
        test = MetricTest("case", "step", METRICS["step"].margin)
        for value in rng.normal(math.log(planted), 0.01, int(plan.BUDGET / plan.SLICE)):
            test.log_ratios.append(float(value))
            update([test])
            if test.verdict:
                break
        found.append(test.verdict)
    share = {verdict: found.count(verdict) / len(found) for verdict in (SLOWER, SAME, FASTER)}
    assert share[FASTER] == 0
    assert share[SLOWER] >= least
    assert planted != 1.0 or (share[SLOWER] == 0 and share[SAME] > 0.95)


def test_what_fresh_workers_do_not_confirm_is_never_same():
    test = MetricTest("case", "step", 0.015, [0.05, 0.051, 0.049, 0.05])
    update([test])
    assert test.claim == SLOWER
    assert not test.verdict
    test.log_ratios += [0.0, 0.001, -0.001]
    update([test])
    assert test.verdict == OPEN
    assert "not confirmed by 3 fresh" in test.reason


def test_at_the_margin_itself_a_test_is_wrong_as_often_as_it_says_and_many_together_less():
    rng = np.random.default_rng(1)
    p_values = [estimate(list(rng.normal(math.log(1.015), 0.01, 6)), 0.015).p_slower for _ in range(600)]
    assert sum(discovered(p_values)) <= 1
    assert 0.5 * ALPHA < np.mean(np.asarray(p_values) <= ALPHA) < 1.6 * ALPHA
    assert discovered([1e-9] + [0.5] * 99)[0]


def test_an_estimate_needs_two_restarts_and_believes_no_perfect_agreement():
    with pytest.raises(ValueError, match="two restarts"):
        estimate([0.0], 0.01)
    assert estimate([0.0] * 4, 0.01).p_same < 1e-6
    assert estimate([0.0] * 4, 0.01).high > 0


def test_a_worker_that_dies_is_an_environment_error_with_its_last_output_and_the_others_go_on(monkeypatch):
    one = case(monkeypatch, Stub, lambda: Stub(lives=5))
    judged, _ = duet_of(one)
    assert judged["all"].verdict == ENVIRONMENT
    assert "out of memory" in judged["all"].reason
    assert STATUS[overall(list(judged.values()))] == Status.ENVIRONMENT


def test_a_side_that_trains_something_else_is_not_timed(monkeypatch):
    def other(self, do, **given):
        answer = Stub.answer(self, do, **given)
        if do == "prepare":
            answer.weights = {key: value + 0.1 for key, value in answer.weights.items()}
        return answer

    different = type("Different", (Stub,), {"answer": other})
    judged, _ = duet_of(case(monkeypatch, Stub, different))
    assert judged["all"].verdict == NOTHING
    assert "is not timed" in judged["all"].reason


def test_what_hangs_is_given_up(monkeypatch):
    class Hanging(Stub):
        def submit(self, do, kind=None, /, **given):
            from concurrent.futures import Future

            return Future()

    monkeypatch.setattr(rounds, "PATIENCE", 0.05)
    with (
        pytest.raises(WorkerDied, match=r"did not answer within 0 s; its last output: out of memory"),
        rounds.fresh((case(monkeypatch, Hanging).a,)),
    ):
        pass


def test_rounds_are_a_b_b_a():
    order = []
    rows = rounds.abba_round(3, lambda variant: order.append(variant) or len(order))
    assert order == [0, 1, 2, 2, 1, 0]
    assert rows == [(1, 6), (2, 5), (3, 4)]


def test_every_verdict_has_its_own_status_words_and_junit():
    assert len(set(STATUS.values())) == len(STATUS) == 6
    judged = [Judged(f"case {verdict}", "step", verdict, reason="because \x1b[0m") for verdict in STATUS]
    suite = ElementTree.fromstring(render.junit(judged))
    assert [p.get("value") for p in suite.iter("property")] == list(STATUS)
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["6", "1", "1", "2"]
    for number, verdict in enumerate(STATUS):
        assert verdict in render.text(judged, "a", "b", [])
        assert overall(judged[number:]) == verdict
    assert overall([]) == NOTHING


def test_calibration_widens_margins_until_equal_sides_are_the_same(tmp_path):
    rng = np.random.default_rng(2)
    noisy = [float(x) for x in rng.normal(0, 0.05, 40)]
    made = calibration.Calibration("machine", "now", [calibration.spread("case", "step", noisy)])
    calibration.write(tmp_path, made)
    again = calibration.read(tmp_path, "machine")
    assert calibration.read(tmp_path, "another") is None
    margin = again.margin("case", "step", 12)
    assert margin > METRICS["step"].margin
    same = [estimate(list(rng.normal(0, 0.05, 12)), margin).p_same <= 0.05 for _ in range(400)]
    assert 0.88 < np.mean(same) < 0.995
    assert margins_of(["step=0.2", "case.step=0.3"], again, 12)("case", "step") == 0.3
    assert margins_of(["step=0.2"], again, 12)("other", "step") == 0.2
    assert margins_of([], None, 12)("other", "host_memory") == METRICS["host_memory"].margin


def test_the_command_writes_json_junit_and_history(monkeypatch, tmp_path, capsys):
    one = case(monkeypatch, Stub, lambda: Stub(0.0044))
    monkeypatch.setattr(command.sides, "cases", lambda *_, **__: [one])
    words = ["--a", "torch", "--b", "torch", "--slice", "0.001", "--budget", "0.02", "--record-dir", str(tmp_path / "r")]
    status = command.main([*words, "--network", SPEC.id, "--junit", str(tmp_path / "j.xml")])
    assert status == Status.WORSE
    assert "✗ slower" in capsys.readouterr().out
    written = json.loads(next((tmp_path / "r").glob("duet-*.json")).read_text())
    assert (written["status"], written["exit_status"]) == ("slower", 10)
    assert len(written["series"][0]["wall"][0]) >= rounds.SHORTEST_SERIES
    assert record.read_history(tmp_path / "r")[0].outcomes[0].verdict == SLOWER
    assert 'value="slower"' in (tmp_path / "j.xml").read_text()


def test_a_machine_is_calibrated_by_the_same_on_both_sides(monkeypatch, tmp_path, capsys):
    one = case(monkeypatch)
    monkeypatch.setattr(command.sides, "cases", lambda *_, **__: [one])
    words = ["--aa", "torch", "--slice", "0.001", "--budget", "0.01", "--network", SPEC.id, "--record-dir", str(tmp_path)]
    assert command.main(words) == Status.SAME
    assert "margin of step of torch-eager-cpu-depth=2: 1.5 % with 10 restarts" in capsys.readouterr().out
    written = json.loads((tmp_path / calibration.FILE).read_text())
    assert {spread["restarts"] for spread in written["spreads"]} >= {10}, "a calibration stops early"

    unruly = case(monkeypatch, functools.partial(Stub, layout=0.1))
    monkeypatch.setattr(command.sides, "cases", lambda *_, **__: [unruly])
    elsewhere = [*words[:-1], str(tmp_path / "unruly")]
    assert command.main(elsewhere) == Status.SAME, "a machine that cannot tell equal sides apart is calibrated as well"
    assert "inconclusive" in capsys.readouterr().out
    kept = json.loads(next((tmp_path / "unruly").glob("duet-*.json")).read_text())
    assert (kept["status"], kept["exit_status"]) == ("inconclusive", 0)
    assert json.loads((tmp_path / "unruly" / calibration.FILE).read_text())["spreads"][0]["deviation"] > 0.05

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(command.plan, "run", stop)
    assert command.main(words) == Status.INTERRUPTED
    assert Status.INTERRUPTED in {json.loads(path.read_text())["exit_status"] for path in tmp_path.glob("duet-*.json")}
    assert json.loads((tmp_path / calibration.FILE).read_text()) == written, "what was measured before is lost"


@pytest.mark.parametrize(
    "words",
    [
        ["--a", "torch"], ["--aa", "torch", "--a", "torch"], ["--a", "torch --fast", "--b", "torch"], ["--a", "/no/python", "--b", "torch"],
        ["--a", "keras=3", "--b", "torch"], ["--a", "torch", "--b", "torch", "--margin", "speed=1"],
        ["--a", "torch", "--b", "torch", "--budget", "1"], ["--a", "torch keras", "--b", "torch"],
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_one_sentence(words, capsys, tmp_path):
    assert command.main([*words, "--record-dir", str(tmp_path)]) == Status.BAD_INPUT
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
