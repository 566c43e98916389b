"""Judges that cannot fail are the worst defect of a suite: one test for each way to become one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from bench.baselines.metrics import metrics
from bench.checks import CHECKS
from bench.checks.parity import rounding_of_gradients, signature
from bench.judging.check import Check, Condition, Need
from bench.judging.finding import Cause, Finding
from bench.judging.place import Place
from bench.judging.verdict import FAILED, KNOWN, NO_BASELINE, NOT_JUDGED, PASSED, NoBaseline, NotJudged, RestNotJudged, Verdict, judge
from bench.report.failure import blame
from bench.report.summary import counted
from bench.selftest.kills import seen, verdicts
from models.observation import Evaluated, History
from models.reference.network import Pass
from models.spec import Spec

RUN = SimpleNamespace(backend="torch", network="reference", spec=None)


def yielding(*findings: Finding) -> Check:
    def law(run: Any) -> Iterator[Finding]:
        """A law."""
        yield from findings

    return Check(law, "itself")


def test_a_check_names_the_first_thing_that_a_network_lacks() -> None:
    def law(run: Any) -> Iterator[Finding]:
        """The law.

        What else there is to say.
        """
        yield Finding(Place("here"), 0.0, 0.0, 0.0)

    deep = Condition("more than two layers", lambda spec: spec.arch.depth > 2)
    check = Check(law, "itself", {Need.STEPS, Need.DRAWS, Need.SCALED}, deep)
    assert (check.name, check.law) == ("law", "The law")
    reference, shallow = Spec(), Spec.of(depth=2)
    assert check.missing(reference, frozenset()) == Need.STEPS.value
    assert check.missing(reference, {Need.STEPS, Need.CURVES}) == Need.DRAWS.value
    assert check.missing(reference, {Need.STEPS, Need.DRAWS}) == Need.SCALED.value
    assert check.missing(reference, set(Need)) == ""
    assert check.missing(shallow, set(Need)) == "more than two layers"
    assert check.missing(shallow, {Need.DRAWS}) == Need.STEPS.value
    assert Check(law, "itself").missing(shallow, frozenset()) == ""


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1.0000001, -1e-9])
def test_nothing_but_a_number_inside_passes(value: float) -> None:
    finding = Finding(Place("here"), value, 0.0, 1.0)
    assert not finding.within
    assert judge(yielding(finding), RUN).status == FAILED


@pytest.mark.parametrize(
    ("value", "low", "high", "scale", "within", "exceedance", "headroom"),
    [
        (1.0, 1.0, 5.0, "linear", True, 0.0, 0.0),
        (5.0, 1.0, 5.0, "linear", True, 0.0, 0.0),
        (3.0, 1.0, 5.0, "linear", True, 0.0, 1.0),
        (9.0, 1.0, 5.0, "linear", False, 2.0, 0.0),
        (-3.0, 1.0, 5.0, "linear", False, 2.0, 0.0),
        (10.0, 0.0, 5.0, "linear", False, 2.0, 0.0),
        (10.0, -math.inf, 5.0, "linear", False, 2.0, 0.0),
        (4.0, 0.0, 5.0, "linear", True, 0.0, 0.2),
        (0.4, 0.1, math.inf, "linear", True, 0.0, 0.75),
        (0.02, 0.1, math.inf, "linear", False, 5.0, 0.0),
        (0.0, 0.1, math.inf, "linear", False, math.inf, 0.0),
        (1.0, 0.0, 0.0, "linear", False, math.inf, 0.0),
        (0.0, 0.0, 0.0, "linear", True, 0.0, 1.0),
        (1000.0, 1.0, 100.0, "log", False, 1.0, 0.0),
        (0.1, 1.0, 100.0, "log", False, 1.0, 0.0),
        (10.0, 1.0, 100.0, "log", True, 0.0, 1.0),
        (0.0, 0.2, 0.8, "logit", False, math.log(0.801 / 0.201) ** -1 * math.log(1.001 / 0.001) - 1, 0.0),
    ],
)
def test_distances_are_in_half_widths_or_in_multiples_of_a_limit(
    value: float, low: float, high: float, scale: str, within: bool, exceedance: float, headroom: float
) -> None:
    finding = Finding(Place("here"), value, low, high, scale=scale)
    assert finding.within is within
    assert finding.exceedance == pytest.approx(exceedance)
    assert finding.headroom == pytest.approx(headroom)
    assert finding.one_sided is (scale == "linear" and (low == 0 or math.isinf(low)))


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (Place(node="dense2", over="dense1"), "layer  2 over 1"),
        (Place("rms", "dense1"), "layer  1 rms"),
        (Place(over="logits", node="dense3"), "layer  3 over logits"),
        (Place.of("dense5.weight", "drift", step=0, scope="own weights", array="∂L/∂z"), "own weights step 0 ∂L/∂z layer  5 weight drift"),
    ],
)
def test_a_place_reads_as_words(place: Place, words: str) -> None:
    assert str(place) == words


def test_a_finding_stays_as_it_was_found() -> None:
    finding = Finding(Place("a"), 0.5, 0, 1)
    with pytest.raises(FrozenInstanceError):
        finding.value = 0.0  # type: ignore[misc]


def test_a_place_is_written_without_what_it_does_not_say() -> None:
    place = Place.of("dense5.weight", quantity="drift")
    assert msgspec.json.decode(msgspec.json.encode(place)) == {"quantity": "drift", "node": "dense5", "parameter": "weight"}


def test_one_nan_among_good_numbers_is_the_worst() -> None:
    verdict = judge(yielding(Finding(Place("a"), 0.5, 0, 1), Finding(Place("b"), math.nan, 0, 1), Finding(Place("c"), 9.0, 0, 1)), RUN)
    assert verdict.worst is not None
    assert verdict.worst.where == "b"
    assert (verdict.judged, verdict.outside) == (3, 2)


def test_a_check_that_yields_nothing_is_a_defect() -> None:
    with pytest.raises(AssertionError, match="judged nothing"):
        judge(yielding(), RUN)


def test_what_nothing_was_recorded_for_is_neither_green_nor_red_and_causes_are_the_first_that_are_named() -> None:
    def law(run: Any) -> Iterator[Finding]:
        """A law."""
        raise NoBaseline("record it")
        yield

    verdict = judge(Check(law, "baseline"), RUN)
    assert (verdict.status, verdict.reason, verdict.causes) == (NO_BASELINE, "record it", ())
    cause = Cause("vanishing", "by depth")
    assert judge(yielding(Finding(Place("a"), 0, 0, 1), Finding(Place("b"), 0, 0, 1, causes=(cause,))), RUN).causes == (cause,)


def test_what_is_left_is_measured_to_the_nearest_edge() -> None:
    verdict = judge(yielding(Finding(Place("a"), 0.5, 0, 1), Finding(Place("b"), 0.9, -1, 1)), RUN)
    assert verdict.status == PASSED
    assert verdict.headroom == pytest.approx(0.1)
    assert verdict.tightest == Place("b")


def test_not_judged_is_a_status_with_a_reason_and_no_pass() -> None:
    def law(run: Any) -> Iterator[Finding]:
        """A law."""
        raise NotJudged("too noisy")
        yield

    verdict = judge(Check(law, "itself"), RUN)
    assert (verdict.status, verdict.reason, verdict.judged) == (NOT_JUDGED, "too noisy", 0)


def test_what_was_red_before_a_check_declined_stays_red() -> None:
    def law(run: Any) -> Iterator[Finding]:
        """A law."""
        yield Finding(Place("step 0"), 2.0, 0.0, 1.0)
        raise NotJudged("step 1 is too noisy")

    verdict = judge(Check(law, "itself"), RUN)
    assert (verdict.status, verdict.outside, verdict.reason) == (FAILED, 1, "step 1 is too noisy")


@pytest.mark.parametrize("check", CHECKS.values(), ids=lambda check: check.name)
def test_every_check_states_its_law(check: Check) -> None:
    assert check.law
    assert check.against in ("theory", "reference", "itself", "baseline")


def test_a_lucky_rounding_error_of_one_tensor_does_not_make_its_bound_tight() -> None:
    rng = np.random.default_rng(0)
    gradients = {f"dense{n}.weight": rng.standard_normal((4, 4)) for n in range(1, 6)}
    exact = Pass(
        gradients=gradients,
        pre_activation_gradients={f"dense{n}": np.ones((2, 2)) for n in range(1, 6)},
        sizes=dict.fromkeys(gradients, 2.0),
    )
    noise = {key: g + 1e-7 for key, g in exact.gradients.items()} | {"dense3.weight": exact.gradients["dense3.weight"]}
    expected = rounding_of_gradients(exact, [Pass(gradients=noise)])
    assert expected["dense3.weight"] == pytest.approx(expected["dense2.weight"], rel=0.5)


def test_equal_terms_may_be_added_one_by_one() -> None:
    pre_activation_gradients = np.full((64, 10), 1 / 640)  # as of a hinge: summed in any order, the same additions round the same way
    one_by_one = np.cumsum(pre_activation_gradients, axis=0, dtype=np.float32)[-1]
    gradients = {"dense1.bias": pre_activation_gradients.sum(0)}
    exact = Pass(gradients=gradients, pre_activation_gradients={"dense1": pre_activation_gradients}, sizes={"dense1.bias": 1.0})
    near = Pass(gradients={"dense1.bias": gradients["dense1.bias"].astype(np.float32)})
    off = np.linalg.norm(one_by_one - gradients["dense1.bias"])
    assert np.linalg.norm(near.gradients["dense1.bias"] - gradients["dense1.bias"]) < off / 10
    assert rounding_of_gradients(exact, [near])["dense1.bias"] == pytest.approx(off)


def test_a_gradient_of_tiny_inputs_is_not_excused_by_the_signal_that_it_is_made_of() -> None:
    keys = [f"dense{n}.weight" for n in range(1, 6)]
    gradients = {key: np.full((4, 4), 1e-6 if key == "dense1.weight" else 1.0) for key in keys}
    exact = Pass(
        gradients=gradients,
        pre_activation_gradients={f"dense{n}": np.ones((2, 2)) for n in range(1, 6)},
        sizes={key: 1e-6 if key == "dense1.weight" else 1.0 for key in keys},
    )
    near = Pass(gradients={key: g * (1 + 1e-7) for key, g in gradients.items()})
    expected = rounding_of_gradients(exact, [near])
    assert expected["dense1.weight"] < 1e-6 * np.linalg.norm(gradients["dense1.weight"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda g: 1.01 * g, "scaled by 1.01"),
        (lambda g: -g, "scaled by -1"),
        (lambda g: 0 * g, "lost"),
        (lambda g: np.where(g == g.max(), np.nan, g), "1 entries are NaN"),
        (lambda g: g[::-1], "another direction"),
    ],
)
def test_a_wrong_gradient_is_described(change: Any, words: str) -> None:
    g = np.random.default_rng(1).standard_normal((5, 5))
    assert words in signature(change(g), g)


@pytest.mark.parametrize(
    ("against", "status", "words"),
    [
        ("reference", PASSED, "so this is torch's"),
        ("reference", FAILED, "so the cause is shared"),
        ("reference", NOT_JUDGED, "so it cannot tell whose this is"),
        ("reference", KNOWN, "so it cannot tell whose this is"),
        ("baseline", NO_BASELINE, "so it cannot tell whose this is"),
        ("itself", NOT_JUDGED, "but the law is torch's own, so this is torch's"),
        ("itself", KNOWN, "but the law is torch's own, so this is torch's"),
    ],
)
def test_blame_says_no_more_than_the_other_framework_shows(against: str, status: str, words: str) -> None:
    failed = Verdict("check", against, "A law", "torch", "reference", FAILED)
    assert blame(failed, Verdict("check", against, "A law", "keras", "reference", status)).endswith(words)


def test_what_a_check_cannot_decide_of_the_rest_is_counted_and_what_it_decided_stays() -> None:
    def partly(*found: Finding) -> Check:
        def law(run: Any) -> Iterator[Finding]:
            """A law."""
            yield from found
            raise RestNotJudged("too wide")

        return Check(law, "itself")

    for value, status in ((0, PASSED), (2, FAILED)):
        verdict = judge(partly(Finding(Place("a"), value, 0, 1)), RUN)
        assert (verdict.status, verdict.reason, verdict.judged) == (status, "too wide", 1)
        assert [line for line in counted([verdict]) if "too wide" in line]
    nothing = judge(partly(), RUN)
    assert (nothing.status, nothing.reason, nothing.judged) == (NOT_JUDGED, "too wide", 0)


@pytest.mark.parametrize(
    ("recorded", "loss", "status", "judged"),
    [
        ([0.3, 0.31, 0.29, 0.3] * 4, 0.3, PASSED, 12),
        ([0.3, 0.31, 0.29, 0.3] * 4, 0.5, FAILED, 12),
        ([0.3, 0.31] * 7 + [1e6, 1e6], 0.3, PASSED, 10),
        ([0.3, 0.31] * 7 + [1e6, 1e6], math.nan, FAILED, 12),
        ([0.3, 0.31] * 7 + [1e6, 1e6], 1e-30, FAILED, 12),
    ],
)
def test_a_metric_whose_recorded_seeds_spread_too_far_is_not_judged_but_for_what_even_they_rule_out(
    recorded: list[float], loss: float, status: str, judged: int
) -> None:
    labels, logits = np.arange(20) % 10, 3.0 * np.eye(10)[np.arange(20) % 10]
    history = History(0, np.full(30, loss), np.ones((30, 4)), 0.9, logits=logits, averaged=Evaluated({}, logits, 0.9))
    rows = {name: [[value * (1 + 0.001 * (seed % 3))] for seed in range(16)] for name, (value,) in metrics([history], labels, 4).items()}
    rows |= {name: [[value] for value in recorded] for name in ("loss", "mean loss")}
    content = SimpleNamespace(samples={f"digits/reference/{name}": each for name, each in rows.items()}, seeds=list(range(1000, 1016)))
    run = SimpleNamespace(
        backend="torch", network="reference", spec=SimpleNamespace(arch=SimpleNamespace(depth=4), classes=10), data="digits", start=None,
        seen=SimpleNamespace(trainings=[history]), baseline=SimpleNamespace(content=content, fallback=""), held_out=(logits, labels),
        more=None,
    )  # fmt: skip
    verdict = judge(CHECKS["training"], run)
    assert (verdict.status, verdict.judged) == (status, judged)
    assert ("too far apart" in verdict.reason) == (judged == 10)


@pytest.mark.parametrize("network", ["depth=2", "depth=2,width=1", "depth=6,norm=batch,skip=two", "rnn,cell=lstm,length=4", "conv,depth=3"])
def test_no_place_is_judged_twice_by_one_check(network: str) -> None:
    """Comparisons and known failures find a number by its place."""
    for name, verdict in verdicts(seen("torch", network, trains=False)).items():
        places = [finding.place for finding in verdict.findings]
        assert len(places) == len(set(places)), (name, [str(place) for place in places if places.count(place) > 1][:3])
