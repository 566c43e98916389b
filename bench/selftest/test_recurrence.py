"""Laws of recurrent networks on the NumPy backend: healthy ones pass, a thousandth beside them does not."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from bench.checks import CHECKS
from bench.evidence.evidence import Evidence
from bench.judging.place import Place
from bench.judging.verdict import FAILED, PASSED, judge
from bench.metamorphic import decide
from bench.metamorphic.scenarios import Scenarios
from bench.report.failure import describe_network
from bench.report.profile import profile
from bench.selftest.kills import seen, verdicts
from bench.selftest.pages import ROOT
from bench.theory import recurrent
from bench.theory.__main__ import main
from models.parts.cells import CELLS
from models.spec import Spec

AT_ORIGIN = "rnn,width=8,batch=16,init=orthogonal,input=tiny"


@cache
def healthy(network: str) -> Evidence:
    return seen("numpy", network, trains=False)


def spoilt(network: str, spoil: Callable[[Any], None], check: str) -> list[str]:
    """Where a check is red once something was changed in what a framework did of itself."""
    evidence = copy.deepcopy(healthy(network))
    spoil(evidence.seen.native)
    verdict = judge(CHECKS[check], evidence)
    assert (verdict.status == FAILED) == bool(verdict.outside)
    return [finding.where for finding in verdict.findings if not finding.within]


@pytest.mark.parametrize("network", [*(f"rnn,cell={cell},width=8,batch=16" for cell in CELLS), "rnn,layers=2,length=70,batch=8,width=8"])
def test_a_healthy_recurrent_network_passes_all_that_applies(network: str) -> None:
    found = verdicts(healthy(network))
    assert {name: verdict.status for name, verdict in found.items() if verdict.status != PASSED} == {}
    assert {"forward_parity", "gradient_parity", "update", "finite", "recurrent_start", "time_scales"} <= set(found)
    assert ("time_gain" in found) == (CELLS[Spec.parse(network).fields["cell"]].gates == 1)


@pytest.mark.parametrize("radius", [0.5, 1.0, 1.5])
def test_at_the_origin_gradients_change_at_the_rate_of_the_radius(radius: float) -> None:
    verdict = judge(CHECKS["time_gain"], healthy(f"{AT_ORIGIN},radius={radius:g}"))
    (total,) = [each for each in verdict.findings if "first step over" in each.where and "own" in each.where]
    assert verdict.status == PASSED
    assert total.value == pytest.approx(radius**7, rel=1e-4)
    assert total.high / total.low < 1.001, "an interval this narrow tells every other radius"


def test_where_steps_bring_nothing_the_state_changes_at_the_rate_of_the_radius() -> None:
    verdict = judge(CHECKS["time_gain"], healthy("rnn,length=80,width=8,batch=16,input=tiny,radius=0.9"))
    waiting = [each for each in verdict.findings if "‖h‖" in each.where]
    assert verdict.status == PASSED and len(waiting) == 2 * (80 - 64)
    assert all(each.value == pytest.approx(0.9, rel=1e-5) for each in waiting)


def test_a_gradient_a_thousandth_beside_its_rate_is_caught_at_its_time_step() -> None:
    def spoil(native: Any) -> None:
        native.pre_activation_gradients["steps"][:, 2] *= 1.001

    where = spoilt(AT_ORIGIN, spoil, "time_gain")
    assert {"own weights layer  1 time 2 ‖δ‖ over the next step's", "own weights layer  1 time 3 ‖δ‖ over the next step's"} <= set(where)


def test_a_gradient_larger_than_weights_can_make_it_is_caught() -> None:
    def spoil(native: Any) -> None:
        native.pre_activation_gradients["steps"][:, 0] *= 100

    assert spoilt("rnn,cell=relu,batch=16", spoil, "time_gain") == ["own weights layer  1 time 1 ‖∂L/∂x‖ over its bound"]


@pytest.mark.parametrize(("kind", "change", "where"), [
    ("recurrent_weight", lambda w: w * 1.001, "RᵀR"), ("weight", lambda w: w * 1.5, "variance"), ("bias", lambda b: b * 0, "bias"),
])  # fmt: skip
def test_a_start_other_than_asked_is_caught(kind: str, change: Callable[[Any], Any], where: str) -> None:
    def spoil(native: Any) -> None:
        name = f"recurrent1.{kind}"
        native.weights[name] = change(native.weights[name])

    network = "rnn,cell=lstm,width=8,batch=16"
    assert judge(CHECKS["recurrent_start"], healthy(network)).status == PASSED
    red = spoilt(network, spoil, "recurrent_start")
    assert red and all(where in place for place in red)


@pytest.mark.parametrize("network", ["rnn,cell=gru,layers=2,length=4,batch=16,direction=both", "rnn,length=80,lengths=uneven,batch=8"])
@pytest.mark.parametrize("kind", ["weight", "bias"])
def test_a_gradient_that_is_not_the_sum_over_time_is_caught(network: str, kind: str) -> None:
    """By exact sums alone: of one time step a thousandth, in the layer whose gradient it is."""
    evidence, rule = copy.deepcopy(healthy(network)), CHECKS["sum_rules"]
    assert judge(rule, evidence).status == PASSED
    evidence.seen.forced_steps[0].gradients[f"recurrent1.{kind}"] *= 1.001
    red = [finding.where for finding in judge(rule, evidence).findings if not finding.within]
    assert red == [f"step 0 layer  1 {'Wᵀ∂W against Σ ∂x xᵀ' if kind == 'weight' else 'Wᵀ∂b against Σ ∂x'} over time"]


@pytest.mark.parametrize("network", ["rnn,width=1,length=600,radius=0.5,batch=8", "rnn,width=1,length=80,radius=1e-30,batch=8"])
def test_norms_that_vanish_through_time_are_not_judged_and_the_others_are(network: str) -> None:
    """Below the smallest normal number processors take numbers for zero, and squares of others are none in float64."""
    verdict = judge(CHECKS["time_gain"], healthy(network))
    assert verdict.status == PASSED and "rounding is as large as what is judged" in verdict.reason

    def spoil(native: Any) -> None:
        native.pre_activation_gradients["steps"][:, -2] *= 1.001

    assert any("‖δ‖ over the next step's" in where for where in spoilt(network, spoil, "time_gain"))


def test_what_is_said_of_a_recurrent_network() -> None:
    evidence = healthy(AT_ORIGIN)
    assert describe_network(evidence.spec).startswith("1 tanh layer · width 8 · 8 time steps · last output read")
    assert str(Place(node="recurrent1", time=3, array="∂L/∂z")) == "∂L/∂z layer  1 time 3"
    assert len(profile(evidence).gradient) == 1 and np.isfinite(profile(evidence).gradient).all()


def test_a_start_whose_gradient_grows_otherwise_through_time_is_caught() -> None:
    def spoil(native: Any) -> None:
        native.pre_activation_gradients["steps"][:, 0] *= 100

    where = spoilt("rnn,cell=lstm,width=8,batch=16", spoil, "time_scales")
    assert where == ["first ‖∂L/∂x‖ over the last in decades"]


def test_keras_draws_one_matrix_for_all_gates_and_is_held_to_that() -> None:
    """A GRU's gates have a third of ρ² each, which is three decades over 64 steps."""
    evidence = seen("keras", "rnn,length=64,cell=gru,width=64", trains=False)
    step, native = evidence.reference.forced_steps[0], evidence.native
    gradient, _ = recurrent.logs(native.pre_activation_gradients["steps"], native.pre_activations["recurrent1"])
    own, other = (recurrent.ensemble(evidence.spec, step.x, step.labels, conventions) for conventions in ("keras", "torch"))
    assert judge(CHECKS["time_scales"], evidence).status == PASSED
    assert abs(gradient - own.gradient[0]) < 3 * own.gradient[1] and abs(gradient - other.gradient[0]) > 5 * other.gradient[1]


@pytest.mark.parametrize(("network", "says"), [
    ("rnn,cell=gru,direction=both", "one direction reads from the end"),
    ("rnn,cell=lstm,layers=2", "through the layers above"),
    ("rnn,cell=lstm,outputs=all", "at every step"),
    ("rnn,cell=relu,recurrent=identity", "no random matrix"),
    ("rnn,cell=relu,radius=1e30,length=32", "leave the range"),
])  # fmt: skip
def test_theory_is_silent_where_it_is_untrue(network: str, says: str) -> None:
    spec, x = Spec.parse(network), np.random.default_rng(0).standard_normal((128, 64))
    with np.errstate(all="ignore"):
        assert says in recurrent.lines(spec, x, np.arange(128) % 10)[-1]


@pytest.mark.parametrize(("network", "says"), [
    ("rnn,cell=relu,radius=1e30,length=32", "no number, because signals or gradients leave the range of numbers"),
    ("rnn,cell=lstm,input=huge", "no number, because signals or gradients leave the range of numbers"),
    ("rnn,truncated=4", "0, for nothing arrives there"),
])  # fmt: skip
def test_what_drawn_networks_do_is_told_where_it_is_no_number(network: str, says: str) -> None:
    spec, x = Spec.parse(network), np.random.default_rng(0).standard_normal((32, 64))
    with np.errstate(all="ignore"):
        told = recurrent.lines(spec, x, np.arange(32) % 10)
    assert told[0] == f"gradient of the first step over the last one's: {says} (24 drawn networks)"
    assert "nan" not in "".join(told)


def test_no_remedy_is_told_where_the_norm_stays_within_e() -> None:
    spec, x = Spec.parse("rnn,length=2,cell=lstm"), np.random.default_rng(0).standard_normal((32, 64))
    assert recurrent.lines(spec, x, np.arange(32) % 10)[-1] == "remedy: none is needed, for the norm stays within e over these 2 steps"


def test_a_rate_has_its_time_scale() -> None:
    assert recurrent.time_scale(np.exp(-0.1)) == pytest.approx(20) and np.isinf(recurrent.time_scale(1))


def test_nothing_is_left_of_a_gradient_that_is_below_all_numbers() -> None:
    spec, x = Spec.parse("rnn,width=8,length=80,radius=1e-30"), np.random.default_rng(0).standard_normal((8, 64))
    chi = recurrent.mean_field(spec, x)
    assert chi is not None and chi[0] == 0 and chi[-1] > 0


def test_theory_says_what_time_does_to_a_gradient(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rnn,radius=0.5"]) == 0
    assert "so it vanishes, by e in" in capsys.readouterr().out
    for network, remedy in (("rnn,cell=lstm", "forget biases of"), ("rnn,cell=gru", "recurrent weights of radius")):
        assert main([network]) == 0
        told = capsys.readouterr().out
        assert told.count("so it vanishes, by e in") == told.count(f"remedy: {remedy}") == 2
        assert "begun by torch" in told and "begun by keras" in told, "Keras draws one orthogonal matrix for all gates"
    assert main(["rnn", "--plot", "rates.png"]) == 2
    assert "leave out --plot" in capsys.readouterr().err


ON_PYTORCH = """
import sys
from bench.metamorphic import decide
from bench.metamorphic.scenarios import Scenarios
from models.worker.tasks import scenarios
import keras
path = sys.modules["keras.src.backend.torch.rnn"]
def verdict():
    return decide("path_of_a_gpu", Scenarios("keras-torch", lambda name, given: scenarios.take("keras-torch", name, given)))
print(verdict().status)
right = path.prepare_lstm_params
path.prepare_lstm_params = lambda *given: [1.001 * right(*given)[0], *right(*given)[1:]]
print(sorted({each.where for each in verdict().findings if not each.within})[0])
path.prepare_lstm_params = lambda *given: [each.detach() for each in right(*given)]
for less in (), ("_cudnn_lstm",):
    for name in less:
        delattr(path, name)
    try:
        verdict()
    except RuntimeError as error:
        print(error)
"""


def test_the_path_of_a_gpu_is_held_to_the_layer() -> None:
    """Keras on PyTorch in a process of its own: healthy, with another weight, with the gradient lost, and without such a path."""
    environment = os.environ | {"KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, "-c", ON_PYTORCH], cwd=ROOT, env=environment, capture_output=True, text=True)
    healthy, where, lost, absent = done.stdout.splitlines() or [done.stderr] * 4
    assert healthy == PASSED
    assert where.startswith("lstm path of a GPU: ")
    assert "not have been used in the graph" in lost
    assert "no path of a GPU through LSTM here" in absent


def test_a_stateful_layer_that_cannot_be_trained_is_a_finding_with_the_frameworks_words() -> None:
    def ask(scenario: str, given: dict[str, Any]) -> dict[str, Any]:
        return {"refused": "modified in place"} if given["stateful"] else {"outputs": np.ones(3)}

    verdict = decide("stateful_trained", Scenarios("keras-torch", ask))
    assert verdict.status == FAILED
    assert [(each.where, each.note) for each in verdict.findings] == [("stateful: weights after a step", "modified in place")]


def test_a_time_step_s_gradient_that_half_precision_alone_loses_is_not_judged_and_one_that_it_keeps_is() -> None:
    """Gates that have rounded to 1 have slopes of 0: no framework hands a gradient through them in half precision."""
    evidence = copy.deepcopy(seen("torch", "rnn,layers=2,width=8,batch=8,length=8,cell=gru,precision=mixed_bfloat16", False))
    gradients, weights = evidence.native.pre_activation_gradients, evidence.native.weights
    assert judge(CHECKS["time_scales"], evidence).status == PASSED
    gradients["steps"] = np.zeros_like(gradients["steps"])
    assert judge(CHECKS["time_scales"], evidence).status == FAILED
    weights["recurrent1.weight"] = weights["recurrent1.weight"] * 3000
    judged = judge(CHECKS["time_scales"], evidence)
    assert judged.status != FAILED and "half precision alone loses" in judged.reason
