"""Networks as discretised dynamics: their reference against the complex step, what they conserve, and how they begin in frameworks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.experiments.remedies import CHANGES, REMEDIES
from bench.theory.bands import predict
from models.architectures import graph
from models.arrays import Arrays
from models.backends.registry import backend_module
from models.matrix import FURTHER, networks
from models.naming import describe, describe_part
from models.nodes import Antisymmetric, Transposed
from models.reference.draws import draw_weights
from models.reference.network import Reference
from models.spec import Spec, SpecError

KINDS = ("ode,damping=0.3", "ode,dynamics=hamiltonian", "ode,dynamics=reversible")
IMAGINARY = 1e-30


def small(text: str, **fields: float | str) -> Spec:
    return Spec.parse(text).but(**{"depth": 7, "width": 8, "batch": 12, "features": 6, "classes": 3, "precision": "float64", **fields})


def batch_of(spec: Spec) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((spec.batch, spec.features)), rng.integers(0, spec.classes, spec.batch)


@pytest.mark.parametrize("text", KINDS)
@pytest.mark.parametrize("act", ["tanh", "linear"])
def test_gradients_are_those_of_the_complex_step(text: str, act: str) -> None:
    spec = small(text, act=act, step=0.5)
    weights, (x, labels) = draw_weights(spec, 1, jitter=True), batch_of(spec)
    gradients = Reference(spec, weights).run(x, labels).gradients
    assert set(gradients) == set(graph(spec).parameters)
    for name, gradient in gradients.items():
        way = np.random.default_rng(1).standard_normal(gradient.shape)
        moved: Arrays = {key: w.astype(complex) for key, w in weights.items()}
        moved[name] = moved[name] + IMAGINARY * 1j * way
        along = float(np.imag(Reference(spec, moved, np.complex128).run(x, labels).loss)) / IMAGINARY
        assert along == pytest.approx(float(np.vdot(gradient, way)), rel=1e-10, abs=1e-14)


@pytest.mark.parametrize("text", KINDS)
def test_a_network_is_weighed_as_if_it_were_built(text: str) -> None:
    spec = small(text)
    nodes = graph(spec)
    learned = sum(math.prod(shape) for shape in nodes.parameters.values())
    assert spec.arch.size(spec.features, spec.classes) == (learned, sum(node.width for node in nodes.nodes))
    assert len(nodes.dense) == spec.arch.depth and nodes.nodes[-1] is nodes.dense[-1]


def test_wiring() -> None:
    turned, leap, taken = (graph(Spec.parse(f"{text},depth=4")) for text in ("ode,damping=0.5", *KINDS[1:]))
    assert [(node.name, node.damping) for node in turned.of(Antisymmetric)] == [("dense2", 0.5), ("dense3", 0.5)]
    assert [block.sum.inputs for block in turned.blocks] == [("dense1", "act2"), ("sum2", "act3")]
    assert not leap.blocks and not taken.blocks
    assert [(leap[name].inputs, leap[name].width) for name in ("sum3", "backsum3", "join")] == [
        (("sum2", "act3"), 32), (("backsum2", "backact3"), 32), (("sum3", "backsum3"), 64),
    ]  # fmt: skip
    assert [node.of for node in leap.of(Transposed)] == ["dense2", "dense3"] and "back3.weight" not in leap.parameters
    assert [taken[name].inputs for name in ("sum2", "dense3", "sum3")] == [("upper", "act2"), ("sum2",), ("lower", "act3")]
    assert [describe("back3.bias"), describe_part("dense3"), describe_part("backsum3")] == [
        "layer  3 bias", "layer  3 dense", "layer  3 sum",
    ]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), [
    ("ode,dynamics=reversible,width=5", "use an even width"), ("ode,dynamics=hamiltonian,damping=0.1", "leave it out"),
    ("ode,depth=2", "at least 3"), ("ode,step=0", "positive"), ("ode,precision=mixed_bfloat16", "use float32 or float64"),
])  # fmt: skip
def test_what_does_not_go_together_is_refused(text: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        Spec.parse(text)


def test_a_skew_matrix_turns_the_state_and_does_not_stretch_it() -> None:
    """A linear antisymmetric step of size s multiplies the squared state by 1 + O(s²), so that halving s quarters what is gained."""
    gained = []
    for step in (0.02, 0.01):
        spec = small("ode", act="linear", step=step, depth=3)
        seen = Reference(spec, draw_weights(spec, 0))
        x, _ = batch_of(spec)
        w, h = seen.weights, x @ seen.weights["dense1.weight"].T
        after = h + step * h @ (w["dense2.weight"] - w["dense2.weight"].T).T
        assert seen.forward(x).logits == pytest.approx(after @ w["dense3.weight"].T)
        gained.append(float(np.sum(after**2) / np.sum(h**2)) - 1)
    assert gained[0] / gained[1] == pytest.approx(4, rel=1e-6)


def test_a_reversible_network_is_taken_back_exactly() -> None:
    """From its last state, layer by layer, to the state that it began with (Gomez et al. 2017)."""
    spec = small("ode,dynamics=reversible", step=1.0)
    weights, (x, _) = draw_weights(spec, 0, jitter=True), batch_of(spec)
    begun = x @ weights["dense1.weight"].T + weights["dense1.bias"]
    halves = np.hsplit(begun, 2)

    def force(layer: int, half: np.ndarray) -> np.ndarray:
        return np.tanh(half @ weights[f"dense{layer}.weight"].T + weights[f"dense{layer}.bias"])

    layers = range(2, spec.arch.depth)
    for layer in layers:
        halves[layer % 2] = halves[layer % 2] + force(layer, halves[1 - layer % 2])
    last = spec.arch.depth
    order = (0, 1) if graph(spec)["join"].inputs[0] == f"sum{max(each for each in layers if each % 2 == 0)}" else (1, 0)
    state = np.hstack([halves[each] for each in order])
    logits = state @ weights[f"dense{last}.weight"].T + weights[f"dense{last}.bias"]
    assert Reference(spec, weights).forward(x).logits == pytest.approx(logits)
    for layer in reversed(layers):
        halves[layer % 2] = halves[layer % 2] - force(layer, halves[1 - layer % 2])
    assert np.hstack(halves) == pytest.approx(begun, abs=1e-13)


@pytest.mark.parametrize("text", KINDS)
def test_gradients_of_a_hundred_small_steps_neither_vanish_nor_explode(text: str) -> None:
    spec = Spec.parse(text).but(depth=100, width=32, step=0.03, init="glorot_normal", **({"damping": 0.0} if "damping" in text else {}))
    rng = np.random.default_rng(0)
    prediction = predict(spec, rng.standard_normal((16, 64)))
    assert prediction is not None and abs(prediction.backward_total.mean) < math.log(100)


@pytest.mark.parametrize("text", KINDS)
@pytest.mark.parametrize("init", ["he_normal", "torch_default", "keras_default"])
@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_frameworks_begin_as_the_reference_does(backend: str, init: str, text: str) -> None:
    spec = small(text, init=init, precision="float32", width=64, features=64)
    network, drawn = backend_module(backend).Network(spec, seed=0), draw_weights(spec, 0)
    _alike(network.weights(), drawn)
    network.redraw(1)
    _alike(network.weights(), drawn)


def _alike(own: Arrays, drawn: Arrays) -> None:
    assert {name: w.shape for name, w in own.items()} == {name: w.shape for name, w in drawn.items()}
    weights = [name for name in own if name.endswith("weight")]
    assert [np.linalg.norm(own[name]) for name in weights] == pytest.approx([np.linalg.norm(drawn[name]) for name in weights], rel=0.15)
    one, other = (np.linalg.norm(np.concatenate([of[name] for name in own if name.endswith("bias")])) for of in (own, drawn))
    assert one == pytest.approx(other, rel=0.2)


def test_dynamics_are_of_the_full_matrix_and_remedies() -> None:
    full = networks("full")
    assert all(Spec.parse(text) in full for text in FURTHER["dynamics"]) and not any(s.id.startswith("ode") for s in networks("core"))
    labels = [label for label, change in CHANGES.items() if change.get("family") == "ode"]
    assert len(labels) == 3
    assert all(Spec.parse(row.network).id.startswith("ode") == (row.label in labels) for row in REMEDIES.rows)
