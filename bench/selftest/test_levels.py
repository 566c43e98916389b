"""Coarse-to-fine depth: which layer takes whose weights, that a finer network computes nearly the same, and goes on from there."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise

import numpy as np
import pytest

from bench.experiments.cell import Cell, Row
from bench.experiments.levels import LEVELS, seconds
from bench.experiments.train import train_alone
from bench.selftest.made_up_experiments import result
from fixtures.data.datasets import load
from models.architectures import levels
from models.architectures.dynamical import ODE
from models.architectures.levels import coarsened, refined
from models.arrays import Arrays
from models.backends.registry import backend_module
from models.fields import SpecError
from models.reference.draws import draw_weights
from models.reference.network import Reference
from models.spec import Spec
from models.worker.tasks.epochs import Epochs

DYNAMICS = ODE.CHOICES["dynamics"]


def spec_of(dynamics: str, steps: int, step: float) -> Spec:
    text = f"ode,dynamics={dynamics},depth={steps + 2},step={step!r},width=8,act=tanh,batch=10,precision=float64"
    return Spec.parse(text, features=6, classes=3)


def finer(spec: Spec) -> Spec:
    assert isinstance(spec.arch, ODE)
    return spec.but(depth=2 * spec.arch.depth - 2, step=spec.arch.step / 2)


@pytest.mark.parametrize(
    ("dynamics", "expected"),
    [("antisymmetric", [1, 2, 2, 3, 3, 4]), ("hamiltonian", [1, 2, 2, 3, 3, 4]), ("reversible", [1, 2, 3, 2, 3, 4])],
)
def test_which_layer_has_whose_weights(dynamics: str, expected: list[int]) -> None:
    coarse, fine = spec_of(dynamics, 2, 0.4), spec_of(dynamics, 4, 0.2)
    weights = draw_weights(coarse, 0, jitter=True)
    found = refined(weights, coarse.arch, fine.arch)
    assert set(found) == set(draw_weights(fine, 0))
    for layer, origin in enumerate(expected, 1):
        assert all(np.array_equal(found[f"dense{layer}.{kind}"], weights[f"dense{origin}.{kind}"]) for kind in ("weight", "bias"))
    found["dense2.weight"][:] = 0
    assert weights["dense2.weight"].any(), "a copy is the original"
    assert coarsened(fine.arch, 2) == coarse.arch


def moves_by(dynamics: str) -> list[float]:
    """How far outputs move with each of three refinements."""
    rng, spec = np.random.default_rng(0), spec_of(dynamics, 4, 0.1)
    x, weights = rng.standard_normal((10, 6)), draw_weights(spec, 1, jitter=True)
    outputs = [Reference(spec, weights).forward(x).logits]
    for _ in range(3):
        fine = finer(spec)
        weights, spec = refined(weights, spec.arch, fine.arch), fine
        outputs.append(Reference(spec, weights).forward(x).logits)
    return [float(np.linalg.norm(b - a)) for a, b in pairwise(outputs)]


@pytest.mark.parametrize("dynamics", DYNAMICS)
def test_each_refinement_moves_outputs_half_as_far_as_the_one_before(dynamics: str) -> None:
    """All three ways of stepping are of first order."""
    first, second, third = moves_by(dynamics)
    assert 1.6 < first / second < 2.5 and 1.7 < second / third < 2.3


def test_weights_of_a_half_given_to_the_other_half_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "_turns", lambda network: 1)
    first, second, third = moves_by("reversible")
    assert not (1.6 < first / second < 2.5 and 1.7 < second / third < 2.3)


@pytest.mark.parametrize("backend", ["numpy", "torch", "keras"])
@pytest.mark.parametrize("dynamics", DYNAMICS)
def test_a_finer_network_goes_on_from_the_coarser_one(backend: str, dynamics: str) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((20, 6)).astype(np.float32), rng.integers(0, 3, 20)
    coarse, fine = (dataclasses.replace(spec_of(dynamics, steps, 0.8 / steps), precision="float32") for steps in (2, 4))
    epochs = Epochs(backend_module(backend))
    epochs.hold(x_train=x, y_train=y, x_test=x, y_test=y)
    epochs.begin(network=coarse.id, seed=0, device="cpu", every=1)
    epochs.epoch(network=coarse.id, number=1, schedule=np.ones(2))
    reached: Arrays = {name: np.array(value) for name, value in epochs._network.weights().items()}
    epochs.begin(network=fine.id, seed=0, device="cpu", every=1, refines=True)
    for name, value in refined(reached, coarse.arch, fine.arch).items():
        np.testing.assert_array_equal(epochs._network.weights()[name], value)
    epochs.begin(network=fine.id, seed=0, device="cpu", every=1, refines=True)
    np.testing.assert_array_equal(epochs._network.weights()["dense1.weight"], reached["dense1.weight"])


@pytest.mark.parametrize(
    ("attempt", "sentence"),
    [
        (lambda: coarsened(ODE(depth=7), 2), "depth=7 has 5 steps, which 2 at a time do not use up"),
        (lambda: coarsened(ODE(depth=8, dynamics="reversible"), 2), "depth=8 has 6 steps, which 4 at a time"),
        (lambda: refined({}, ODE(depth=8), ODE(depth=5)), "is no coarser form"),
        (lambda: refined({}, ODE(depth=4), ODE(depth=6, act="relu")), "is no coarser form"),
        (lambda: Row("net", 4, "ode,depth=4", epochs=4, levels=(4, 2, 1)), "cannot share 4 epochs"),
        (lambda: Cell(Row("net", 4, "depth=4", epochs=2, levels=(2, 1)), "torch", 0).spec(load("digits"), 2), "begins with ode"),
    ],
)  # fmt: skip
def test_what_has_no_coarser_form_is_refused(attempt: object, sentence: str) -> None:
    assert callable(attempt)
    with pytest.raises(SpecError, match=sentence):
        attempt()


def test_a_cell_of_several_levels_keeps_accuracy_of_all_and_norms_of_the_last() -> None:
    coarse_to_fine = LEVELS.quick[0]
    found = train_alone(Cell(coarse_to_fine, "numpy", 0), load("digits"), "cpu")
    assert len(found.accuracy) == len(found.seconds) == coarse_to_fine.epochs == 3
    assert found.layers == list(range(1, coarse_to_fine.depth + 1)) and list(found.norms) == ["2", "3"]
    assert found.last > 0.5 and found.loss[-1] is not None and math.isfinite(found.loss[-1])


def test_first_epochs_cost_as_much_as_others_of_their_level() -> None:
    row = Row("net", 6, "ode,depth=6", epochs=6, levels=(2, 1))
    assert seconds(row, result(0.9, seconds=[9.0, 1.0, 1.0, 20.0, 2.0, 4.0])) == 12.0
    assert seconds(row, result(0.9)) is None
    assert seconds(Row("net", 6, "ode,depth=6", epochs=2, levels=(2, 1)), result(0.9, seconds=[9.0, 1.0])) is None
