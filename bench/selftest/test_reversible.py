"""Layers that are taken back: their reference, what they refuse, what they keep, and what that saves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.experiments.cell import Cell, Row
from bench.experiments.reversible import REVERSIBLE, slope
from bench.experiments.train import train_alone
from fixtures.data.datasets import load
from models.architectures import graph
from models.architectures.reversible import RECOMPUTED, reversible
from models.backends.registry import backend_module
from models.reference.draws import draw_weights
from models.reference.network import Reference
from models.reference.reversible import TakenBack
from models.spec import Spec, SpecError

KINDS = "reversible", "hamiltonian"


def spec_of(dynamics: str, depth: int = 8, **fields: str | float) -> Spec:
    network = Spec.parse(f"ode,dynamics={dynamics},depth={depth},width=16,batch=12,act=tanh,step=0.5")
    return network.but(**{"features": 6, "classes": 3, **fields})


@pytest.mark.parametrize("dynamics", KINDS)
def test_the_reference_takes_back_what_it_computed(dynamics: str) -> None:
    spec, rng = spec_of(dynamics, precision="float64"), np.random.default_rng(0)
    x, labels = rng.standard_normal((spec.batch, spec.features)), rng.integers(0, spec.classes, spec.batch)
    weights = draw_weights(spec, 1, jitter=True)
    kept, again = (passes(spec, weights).run(x, labels).gradients for passes in (Reference, TakenBack))
    assert set(kept) == set(again)
    for name, gradient in kept.items():
        np.testing.assert_allclose(again[name], gradient, rtol=1e-11, atol=1e-15)
    other = TakenBack(spec, weights)
    other._network = reversible(graph(spec_of(dynamics, step=0.4)))
    assert any(abs(other.run(x, labels).gradients[name] - kept[name]).max() > 1e-3 for name in kept), "another step is taken back unseen"


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        ("ode", "sum2 cannot be taken back: mode=recomputed takes dynamics=reversible or hamiltonian."),
        ("depth=4,skip=two", "cannot be taken back"),
        ("depth=4", "No layer can be taken back"),
        ("ode,dynamics=reversible,act=rrelu", "act=rrelu draws random numbers"),
    ],
)
def test_what_cannot_be_taken_back_is_refused(network: str, sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        reversible(graph(Spec.parse(network)))


@pytest.mark.parametrize("dynamics", KINDS)
def test_pytorch_keeps_as_many_tensors_at_any_depth(dynamics: str) -> None:
    torch = pytest.importorskip("torch")
    kept: dict[tuple[str, int], int] = {}
    for mode in ("", RECOMPUTED):
        for depth in (6, 12):
            network: Any = backend_module("torch").Network(spec_of(dynamics, depth), mode=mode)  # PyTorch's own has more than the protocol
            counted: list[object] = []
            with torch.autograd.graph.saved_tensors_hooks(lambda tensor, counted=counted: (counted.append(tensor), tensor)[1], lambda t: t):
                network.forward_loss(torch.ones(12, 6), torch.zeros(12, dtype=torch.int64))
            kept[mode, depth] = len(counted)
    assert kept[RECOMPUTED, 6] == kept[RECOMPUTED, 12] and kept["", 6] < kept["", 12]


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_memory_stands_still_while_depth_grows(backend: str) -> None:
    """A layer that keeps its input alone keeps 0.5 MB of 1,024 samples; gradients of its parameters, which any step has, are 0.06 MB."""
    data, found = load("digits"), dict[str, float]()
    for label, mode in (("kept", ""), ("again", RECOMPUTED)):
        points = []
        for depth in (12, 42):
            row = next(each for each in REVERSIBLE.rows if (each.depth, each.mode) == (depth, mode) and each.label.startswith("reversible"))
            result = train_alone(Cell(row, backend, 0), data, "cpu")
            assert result.memory_mb is not None
            points.append((float(depth), result.memory_mb))
        found[label] = slope(points)
    assert found["again"] < 2 * 0.063 and found["kept"] > 0.5, found


def test_what_is_not_weighed_is_not_told() -> None:
    row = Row("net", 4, "depth=4,width=8,batch=32,features=64,classes=10", epochs=1, seeds=1)
    assert train_alone(Cell(row, "numpy", 0), load("digits"), "cpu").memory_mb is None
