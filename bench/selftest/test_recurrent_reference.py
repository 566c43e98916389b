"""Recurrent layers of the reference: backpropagation through time against finite differences and the complex step, and known cases."""

from __future__ import annotations

import numpy as np
import pytest

from bench.selftest.slopes import IMAGINARY, TO_ROUNDING, assert_slopes, problem
from models.architectures import graph
from models.nodes import Steps
from models.parts.cells import CELLS
from models.parts.losses import LOSSES
from models.parts.parametrizations import PARAMETRIZATIONS
from models.parts.precisions import PRECISIONS
from models.parts.recurrences import RECURRENCES, spectral_radius
from models.reference.arithmetic import Arithmetic
from models.reference.draws import draw_weights
from models.reference.network import Reference
from models.spec import Spec, SpecError

SMALL = "width=5,features=12,classes=3,batch=6,precision=float64"
SHAPES = ("length=4", "layers=3,length=6", "layers=2,length=12,outputs=all", "length=17,outputs=all")
MORE = (
    "cell=lstm,layers=2,length=6,direction=both", "cell=gru,layers=2,length=6,direction=both,lengths=uneven,outputs=all,between=layer",
    "cell=lstm,length=6,lengths=uneven", "cell=tanh,length=12,truncated=5", "cell=lstm,layers=2,length=6,truncated=2,outputs=all",
    "cell=lstm,length=12,forget=chrono", "cell=tanh,layers=2,length=4,between=rms",
    "cell=tanh,layers=2,length=6,parametrization=orthogonal,direction=both", "cell=relu,length=12,width=6,parametrization=unitary",
)  # fmt: skip
WIRED = [*(f"cell={cell},{shape}" for cell in CELLS for shape in SHAPES), *(text for text in MORE if "truncated" not in text)]
SPECS = [Spec.parse(f"rnn,{text},{SMALL}".replace("width=5,", "" if "width" in text else "width=5,")) for text in WIRED]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.id)
def test_gradients_are_derivatives_of_the_loss(spec: Spec) -> None:
    """By the complex step to rounding, by a central difference to what h² cuts off, for every parameter along its gradient and a way."""
    weights, x, labels = problem(spec)
    done = Reference(spec, weights).run(x, labels)
    assert set(done.gradients) == set(done.sizes) == set(graph(spec).parameters)
    for key, gradient in done.gradients.items():
        assert 1e-4 * done.sizes[key] < float(np.linalg.norm(gradient)) <= done.sizes[key] * (1 + TO_ROUNDING), key
    assert_slopes(spec, weights, (x, labels), done.gradients)


@pytest.mark.parametrize("cell", CELLS)
def test_signals_gradients_are_those_of_the_sequences(cell: str) -> None:
    """∂L/∂x of every time step, by a complex step of one number of the sequence; a step that brings nothing has one, too."""
    spec = Spec.parse(f"rnn,cell={cell},length=14,{SMALL}")
    weights, x, labels = problem(spec)
    done = Reference(spec, weights).run(x, labels)
    seen = done.pre_activation_gradients["steps"]
    assert seen.shape == (spec.batch, 14, 1)
    assert done.pre_activations["recurrent1"].shape == (spec.batch, 14, 5)
    for time in range(spec.features):
        moved = x.astype(complex)
        moved[:, time] += 1j * IMAGINARY
        reference = Reference(spec, weights, np.complex128)
        loss = LOSSES[spec.loss].f(reference.forward(moved).logits, reference.target(labels))
        np.testing.assert_allclose(np.imag(loss) / IMAGINARY, seen[:, time, 0].sum(), rtol=1e-9, atol=1e-18)
    assert np.all(seen[:, 12:] != 0) and np.all(done.pre_activations["steps"][:, 12:] == 0)


def test_a_reset_before_the_product_is_another_network_than_one_after() -> None:
    after, before = (Spec.parse(f"rnn,cell={cell},{SMALL},length=4") for cell in ("gru", "gru_reset_before"))
    weights, x, _ = problem(after)
    bare = {name: w for name, w in weights.items() if name in graph(before).parameters}
    without = weights | {"recurrent1.recurrent_bias": np.zeros(15)}
    one, other = Reference(after, without).forward(x), Reference(before, bare).forward(x)
    first = "recurrent1"
    np.testing.assert_allclose(one.pre_activations[first][:, 0], other.pre_activations[first][:, 0], rtol=1e-13)
    assert np.abs(one.logits - other.logits).max() > 1e-3


@pytest.mark.parametrize("start", RECURRENCES)
def test_recurrent_weights_begin_as_their_row_says(start: str) -> None:
    row, spec = RECURRENCES[start], Spec.parse(f"rnn,recurrent={start},width=40,batch=8")
    for radius in (0.5, 1.5) if row.scaled else (1.0,):
        w = draw_weights(spec.but(radius=radius, precision="float64"), 0)["recurrent1.recurrent_weight"]
        assert not row.scaled or spectral_radius(w) == pytest.approx(radius, rel=1e-9)
        assert np.allclose(w @ w.T, radius**2 * np.eye(40)) == row.isometric


def test_a_forget_gate_begins_with_the_bias_that_was_asked() -> None:
    for forget in (0, 1):
        drawn = draw_weights(Spec.parse(f"rnn,cell=lstm,forget={forget},width=6"), 0)["recurrent1.bias"]
        assert drawn.reshape(4, 6).tolist() == [[0] * 6, [forget] * 6, [0] * 6, [0] * 6]


def test_no_gradient_passes_from_a_piece_to_those_before() -> None:
    """A truncated network's gradients are those of its last piece, taken from the state that the others hand to it."""
    spec = Spec.parse(f"rnn,cell=lstm,length=12,{SMALL}")
    weights, x, labels = problem(spec)
    whole, cut = (Reference(each, weights).run(x, labels) for each in (spec, spec.but(truncated=5)))
    assert cut.loss == whole.loss
    seen, true = (each.pre_activation_gradients["steps"] for each in (cut, whole))
    assert np.array_equal(seen[:, 10:], true[:, 10:]) and not np.any(seen[:, :10]) and np.all(true[:, :10])


@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru"])
def test_a_masked_step_changes_nothing(cell: str) -> None:
    """Features of masked steps have no gradient, and other values there give the same logits to the last bit."""
    spec = Spec.parse(f"rnn,cell={cell},length=6,lengths=uneven,{SMALL}")
    weights, x, labels = problem(spec)
    done, (steps, *_) = Reference(spec, weights).run(x, labels), graph(spec).nodes
    assert isinstance(steps, Steps) and steps.tellers == 3
    lengths = 6 - (x[:, :3] > 0).sum(1)
    assert 3 <= lengths.min() < lengths.max() <= 6
    masked = np.arange(6) >= lengths[:, None]
    assert np.array_equal(np.abs(done.pre_activation_gradients["steps"]).sum(2) == 0, masked)
    moved = np.where(np.repeat(masked, 2, axis=1), x + 7, x)
    assert np.array_equal(Reference(spec, weights).forward(moved).logits, done.logits)


@pytest.mark.parametrize(("text", "says"), [
    ("rnn,layers=4", "more than 3"), ("rnn,length=7", "must divide the 64 features"), ("rnn,length=1021", "the longest"),
    ("rnn,forget=0", "cell=tanh has none"), ("rnn,cell=lstm,forget=2", "one of 0, 1, chrono"),
    ("rnn,cell=gru,recurrent=identity", "has gates"),
    ("rnn,recurrent=torch_default,radius=2", "radius scales"), ("rnn,depth=4", "is a field of"), ("rnn,cell=elman", "elman is not known"),
    ("rnn,cell=lstm,length=2,forget=chrono", "length=3 or more"), ("rnn,cell=lstm,forget=chrono,direction=both", "copies a layer"),
    ("rnn,length=1000,truncated=1", "makes 1,000 pieces of length=1000, each traced apart: use 16 or more"),
    ("rnn,truncated=8", "cuts no gradient"), ("rnn,truncated=2,lengths=uneven", "from step to step"),
    ("rnn,between=rms,lengths=uneven", "mask"), ("rnn,cell=gru,parametrization=orthogonal", "one a gate"),
    ("rnn,parametrization=orthogonal,radius=0.5", "at radius 1"), ("rnn,parametrization=unitary,width=7", "in pairs"),
    ("rnn,width=2,between=layer", "over so few units"), ("rnn,cell=gru,forget=chrono", "cell=gru has none"),
    ("rnn,precision=tf32", "not judged in recurrent networks"), ("depth=4,cell=lstm", "is a field of"),
    ("rnn,cell=relu,precision=mixed_bfloat16", "kink"), ("rnn,parametrization=unitary,precision=mixed_float16", "solves equations"),
])  # fmt: skip
def test_what_cannot_be_built_is_refused_in_one_sentence(text: str, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        Spec.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "rnn",
        "rnn,layers=2,length=16,cell=lstm,outputs=all,forget=0,optimizer=adam",
        "rnn,layers=3,cell=gru,direction=both,between=layer",
    ],
)
def test_ids_read_back(text: str) -> None:
    spec = Spec.parse(text)
    assert spec.id == text and Spec.parse(spec.id) == spec
    learned, units = spec.arch.size(spec.features, spec.classes)
    assert learned == sum(int(np.prod(shape)) for shape in graph(spec).parameters.values()) and units > 0


@pytest.mark.parametrize("name", PARAMETRIZATIONS)
def test_a_parametrized_weight_is_orthogonal_whatever_is_learned(name: str) -> None:
    """To rounding for numbers of any size, and as complex multiplication where units are paired; A = 0 gives the identity."""
    row, maths = PARAMETRIZATIONS[name], Arithmetic(np.float64, PRECISIONS["float64"])
    rng, i = np.random.default_rng(0), np.kron([[0, -1], [1, 0]], np.eye(4))
    for size in (0.0, 1e-3, 1.0, 1e3):
        weight, _ = row.make(maths, size * rng.standard_normal((8, 8)))
        np.testing.assert_allclose(weight.T @ weight, np.eye(8), atol=1e-12)
        assert np.linalg.det(weight) == pytest.approx(1)
        assert (np.abs(weight @ i - i @ weight).max() < 1e-12) == (row.paired or size == 0)
        assert size or np.array_equal(weight, np.eye(8))


@pytest.mark.parametrize("name", PARAMETRIZATIONS)
def test_a_parametrized_recurrence_keeps_gradients_as_long_while_it_is_trained(name: str) -> None:
    """Where tanh is linear and inputs see all of δ (WWᵀ = 1), ‖δ‖ of every time step is that of the last one."""
    spec = Spec.parse(f"rnn,width=8,batch=16,parametrization={name},precision=float64,input=tiny,init=orthogonal")
    rng, weights, learned = np.random.default_rng(0), draw_weights(spec, 0), "recurrent1.recurrent_weight"
    before = weights[learned].copy()
    for _ in range(3):
        done = Reference(spec, weights).run(1e-6 * rng.standard_normal((16, 64)), rng.integers(0, 10, 16))
        norms = np.linalg.norm(done.pre_activation_gradients["steps"], axis=(0, 2))
        np.testing.assert_allclose(norms, norms[-1], rtol=1e-9)
        weights[learned] = weights[learned] - 1e6 * done.gradients[learned]
    assert np.abs(weights[learned] - before).max() > 0.1
