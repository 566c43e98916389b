"""Recurrent layers: whichever way the same cells are taken through a sequence, outputs and gradients are the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from bench.evidence.reference import ROUNDINGS, rms_error
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.tolerance import ROUNDING_MULTIPLE
from bench.metamorphic.scenarios import UNIT, Scenarios
from models.arrays import Array, Arrays
from models.backends.registry import info
from models.nodes import INPUT, Recurrent
from models.parts.cells import CELLS
from models.parts.parametrizations import PARAMETRIZATIONS
from models.parts.precisions import PRECISIONS
from models.reference import recurrence
from models.reference.arithmetic import Arithmetic
from models.reference.operations import Execution

BATCH, LENGTH, INPUTS, UNITS, EVEN = 3, 4, 5, 7, 8
LENGTHS = (2, 4, 1)
"""Uneven lengths, not sorted, of which one is a single step."""
LOOKED_AT = tuple(cell for cell, row in CELLS.items() if not row.kink)
"""Cells whose layers have code of their own: a ReLU's is tanh's."""
GATED = "lstm", "gru"
NAME = "recurrent1"
OPEN, CAROUSEL = 40.0, 30
"""A forget gate's bias at which it is open to rounding, and time steps of a law that holds at every length."""


def cells_in_a_loop(scenarios: Scenarios) -> Iterator[Finding]:
    """A recurrent layer computes what its cells do in a loop written by hand."""
    yield from _equal(scenarios, "layer", "cells in a loop")


def unrolled(scenarios: Scenarios) -> Iterator[Finding]:
    """A recurrent layer computes the same unrolled, and hands out its last output as its state."""
    yield from _equal(scenarios, "layer", "unrolled")
    yield from _equal(scenarios, "layer", "last output")


def time_first(scenarios: Scenarios) -> Iterator[Finding]:
    """A sequence with time first gives what it gives with the batch first."""
    yield from _equal(scenarios, "layer", "time first")


def stateful_halves(scenarios: Scenarios) -> Iterator[Finding]:
    """Two halves of a sequence, the state carried on, give what the whole gives."""
    yield from _equal(scenarios, "layer", "halves")


def padded_tail(scenarios: Scenarios) -> Iterator[Finding]:
    """A tail that is masked, or left out of a packed sequence, gives what shorter sequences give."""
    yield from _equal(scenarios, "shorter", "padded", lengths=LENGTHS)


def both_directions(scenarios: Scenarios) -> Iterator[Finding]:
    """A bidirectional layer gives what two layers give, the second on the reversed sequence."""
    yield from _equal(scenarios, "two directions", "bidirectional", layers=2)


def stacked_layers(scenarios: Scenarios) -> Iterator[Finding]:
    """Layers stacked in one give what they give one by one."""
    yield from _equal(scenarios, "one by one", "stacked", layers=2, stacked=True)


def stacked_padded(scenarios: Scenarios) -> Iterator[Finding]:
    """Layers stacked in one give what they give one by one where a tail is masked, too."""
    yield from _equal(scenarios, "one by one padded", "stacked padded", lengths=LENGTHS, layers=2, stacked=True, cells=GATED)


def stateful_trained(scenarios: Scenarios) -> Iterator[Finding]:
    """A training step of a stateful layer that begins with zeros is that of one that keeps no state."""
    (weights,), x, targets = _drawn("lstm", 1, False)
    one, other = (scenarios("stateful_trained", weights=weights, x=x, targets=targets, stateful=stateful) for stateful in (False, True))
    if refused := one.get("refused") or other.get("refused"):
        yield Finding(Place("weights after a step", scope="stateful:"), np.nan, 0.0, 0.0, refused)
        return
    yield from _apart(one, other, "stateful:", _rounding("lstm"))


def padded_head(scenarios: Scenarios) -> Iterator[Finding]:
    """A beginning that is masked gives what shorter sequences give."""
    yield from _equal(scenarios, "shorter", "padded before", lengths=LENGTHS)


def masked_loss(scenarios: Scenarios) -> Iterator[Finding]:
    """A loss of whole sequences behind a layer that masks its input is the loss of what the layer hands out.

    The loss is CTC (Graves et al. 2006), with one number a sample, and a mask has one a time step. Where samples are as many as time
    steps, no shape tells that the one was multiplied by the other.
    """
    (weights,), _, _ = _drawn("lstm", 1, False)
    rng = np.random.default_rng(EVEN)
    for samples in (BATCH, EVEN):
        x, scope = rng.standard_normal((samples, EVEN, INPUTS)).astype(np.float32), f"{samples} samples:"
        x[0, EVEN // 2 :] = x[-1, -1:] = 0
        labels = rng.integers(1, UNITS, (samples, 2))
        seen = scenarios("masked_loss", weights=weights, x=x, labels=labels)
        if refused := seen.get("refused"):
            yield Finding(Place("loss", scope=scope), np.nan, 0.0, 0.0, refused)
            continue
        slack = ROUNDING_MULTIPLE * EVEN * _rounding("lstm") * abs(seen["by hand"])
        yield Finding(Place("loss", scope=scope), seen["reported"], seen["by hand"] - slack, seen["by hand"] + slack)


def path_of_a_gpu(scenarios: Scenarios) -> Iterator[Finding]:
    """The path that Keras on PyTorch takes on a GPU computes on a CPU what the layer does there.

    A layer falls back in silence where this path fails, so that nothing but its time shows it (keras #22470).
    """
    yield from _equal(scenarios, "cells in a loop", "path of a GPU", cells=GATED)


def scanned(scenarios: Scenarios) -> Iterator[Finding]:
    """A recurrent layer computes what its cells do in the library's scan."""
    yield from _equal(scenarios, "layer", "scan", cells=GATED)


def while_loop(scenarios: Scenarios) -> Iterator[Finding]:
    """A recurrent layer computes what its cells do in the library's while loop, compiled where the library compiles.

    JAX has no reverse mode of it, so that outputs alone are compared there.
    """
    row = info(scenarios.backend)
    way = "while loop" if row.step == "eager" else "compiled while loop"
    yield from _equal(scenarios, "layer", way, cells=GATED, differentiated=row.library != "jax")


def compiled_layer(scenarios: Scenarios) -> Iterator[Finding]:
    """A recurrent layer and its gradient are compiled to what they are eagerly."""
    yield from _equal(scenarios, "layer", "compiled layer", cells=GATED)


def compiled_cells(scenarios: Scenarios) -> Iterator[Finding]:
    """A loop of cells under torch.compile, which takes whole layers as they are, computes what the layer does."""
    yield from _equal(scenarios, "layer", "compiled cells", cells=("lstm",))


def dropout_between(scenarios: Scenarios) -> Iterator[Finding]:
    """Dropout between two layers gives what its mask does, drawn again from the same seed and multiplied by hand."""
    yield from _equal(scenarios, "dropout replayed", "dropout between", layers=2, stacked=True, cells=GATED)


def dropout_in_time(scenarios: Scenarios) -> Iterator[Finding]:
    """Recurrent dropout multiplies what each gate is given of the state by a mask of its own, the same in all steps, and nothing else.

    The masks are drawn again from the same seed, and the cell is written out by hand (Gal & Ghahramani 2016).
    """
    yield from _equal(scenarios, "recurrent dropout replayed", "recurrent dropout", cells=GATED)


def truncated_through_time(scenarios: Scenarios) -> Iterator[Finding]:
    """Where the state is handed on without its gradient, gradients are the sum of those of each piece by itself."""
    for cell in GATED:
        weights, x, pull = _drawn(cell, 1, False)
        half, given = LENGTH // 2, {"cell": cell, "weights": weights}
        node = _node(cell, INPUTS)
        at = Execution(
            Arithmetic(np.float64, PRECISIONS["float32"]), {f"{NAME}.{kind}": w.astype(np.float64) for kind, w in weights[0].items()}
        )
        before = pull[:, :half].copy()
        before[:, -1] -= 1  # the last output of the first piece counts as one of many, and is not read besides
        ends = [each.astype(np.float32) for each in recurrence.state_after(at, replace(node, length=half), x[:, :half].astype(np.float64))]
        cut = scenarios("recurrent", way="detached", x=x, pull=pull, lengths=[LENGTH] * BATCH, **given)
        first = scenarios("recurrent", way="layer", x=x[:, :half], pull=before, lengths=[half] * BATCH, **given)
        second = scenarios(
            "recurrent", way="layer", x=x[:, half:], pull=pull[:, half:], lengths=[LENGTH - half] * BATCH, state=ends, **given
        )
        joined = {name: np.concatenate([first[0][name], second[0][name]], axis=1) for name in ("outputs", "gradient of x")}
        joined |= {kind: first[1][kind] + second[1][kind] for kind in weights[0]}
        yield from _apart(joined, cut[0] | cut[1], f"{cell} detached:", _rounding(cell))


def error_carousel(scenarios: Scenarios) -> Iterator[Finding]:
    """A forget gate held open hands an LSTM's gradient back unchanged over all steps; half open, it halves it in each.

    With R = 0, without input to forget and output gates, and the same input in every step, ∂L/∂x of a step is σ(b) times that of the next
    one, where b is the forget gate's bias: 1 to rounding for b = 40 (Hochreiter & Schmidhuber 1997), 1/2 for b = 0.
    """
    (weights,), x, _ = _drawn("lstm", 1, False)
    held = {kind: w.reshape(4, UNITS, *w.shape[1:]).copy() for kind, w in weights.items()}
    held["recurrent_weight"][:] = 0
    held["weight"][[1, 3]] = 0
    for bias in (OPEN, 0.0, -1.0):
        held["bias"][1] = bias
        given = [{kind: w.reshape(weights[kind].shape).copy() for kind, w in held.items()}]
        x = np.repeat(x[:, :1], CAROUSEL, axis=1)
        pull = np.zeros((BATCH, CAROUSEL, UNITS), np.float32)
        asked = {"cell": "lstm", "way": "layer", "weights": given, "x": x, "pull": pull, "lengths": [CAROUSEL] * BATCH}
        norms = np.linalg.norm(np.asarray(scenarios("recurrent", **asked)[0]["gradient of x"], np.float64), axis=(0, 2))
        rate, slack = 1 / (1 + np.exp(-bias)), ROUNDING_MULTIPLE * _rounding("lstm")
        for time in range(CAROUSEL - 1):
            place = Place("gradient over the next step's", scope=f"forget bias {bias:g}:", time=time + 1)
            yield Finding(place, float(norms[time] / norms[time + 1]), rate * (1 - slack), rate * (1 + slack))


def kept_orthogonal(scenarios: Scenarios) -> Iterator[Finding]:
    """A recurrent weight that is kept orthogonal is so after every step, and its layer computes what a plain one with it does.

    It is kept by what users write, and by the parametrizations of recurrent networks; a unitary one is P + iQ for R = (P −Q; Q P). A
    linear recurrence with a unitary weight changes no norm, forward or back (Arjovsky et al. 2016), where the framework has one.
    """
    allowed = ROUNDING_MULTIPLE * 2 * UNIT * EVEN**0.5
    for kept in ("usual", *PARAMETRIZATIONS):
        seen = dict(scenarios("kept_orthogonal", units=EVEN, length=CAROUSEL, steps=5, way=kept))
        weight, scope = np.asarray(seen.pop("weight"), np.float64), f"{kept}:"
        off = float(np.abs(weight.T @ weight - np.eye(EVEN)).max())
        yield Finding(Place("largest entry of RᵀR − 1", scope=scope), off, 0.0, allowed)
        yield Finding(Place("outputs", scope=scope), seen.pop("off"), 0.0, ROUNDING_MULTIPLE * _rounding("tanh") * CAROUSEL)
        if kept in PARAMETRIZATIONS and PARAMETRIZATIONS[kept].paired:
            (a, b), (c, d) = (np.split(half, 2, axis=1) for half in np.split(weight, 2))
            off = float(max(np.abs(a - d).max(), np.abs(b + c).max()))
            yield Finding(Place("largest entry of what is no P or Q", scope=scope), off, 0.0, allowed)
        for way, ratio in seen.items():
            yield Finding(Place(f"norm {way} through a unitary recurrence"), ratio, 1 - CAROUSEL * allowed, 1 + CAROUSEL * allowed)


def _equal(
    scenarios: Scenarios,
    one: str,
    other: str,
    lengths: tuple[int, ...] = (LENGTH,) * BATCH,
    layers: int = 1,
    stacked: bool = False,
    cells: tuple[str, ...] = LOOKED_AT,
    differentiated: bool = True,
) -> Iterator[Finding]:
    """A finding an array and cell: how far apart two ways are, relative to its size."""
    for cell in cells:
        if CELLS[cell].torch is None and scenarios.conventions == "torch":
            continue
        weights, x, pull = _drawn(cell, layers, stacked)
        given: dict[str, Any] = {"cell": cell, "weights": weights, "x": x, "pull": pull, "lengths": list(lengths)}
        if not differentiated:
            given["differentiated"] = False
        first, second = (scenarios("recurrent", way=way, **given) for way in (one, other))
        rounding = _rounding(cell)
        for number, (arrays, others) in enumerate(zip(first, second, strict=True)):
            if set(arrays) != set(others):
                raise AssertionError(f"{sorted(set(arrays) ^ set(others))} are missing or unknown in {other}")
            which = f" of layer {number}" if number and layers > 1 else ""
            yield from _apart(arrays, others, f"{cell} {other}:", layers * rounding, which)


def _apart(arrays: Arrays, others: Arrays, scope: str, rounding: float, which: str = "") -> Iterator[Finding]:
    """How far each of `others` is from that of `arrays`, relative to its size."""
    for name, value in arrays.items():
        size = float(np.linalg.norm(value)) or 1.0
        off = float(np.linalg.norm(np.asarray(others[name], np.float64) - value)) / size
        yield Finding(Place(name.replace("_", " ") + which, scope=scope), off, 0.0, ROUNDING_MULTIPLE * rounding)


def _node(cell: str, fan_in: int) -> Recurrent:
    return Recurrent(NAME, (INPUT,), UNITS, LENGTH, cell, fan_in, "orthogonal", 1.0, "1")


def _drawn(cell: str, layers: int, stacked: bool) -> tuple[list[Arrays], Array, Array]:
    """Weights of each layer, inputs, and what outputs are multiplied with before they are summed."""
    rng = np.random.default_rng(list(cell.encode()))
    weights = []
    for number in range(layers):
        fan_in = UNITS if stacked and number else INPUTS
        shapes = _node(cell, fan_in).parameters
        weights.append({kind: (0.4 * rng.standard_normal(shape)).astype(np.float32) for kind, shape in shapes.items()})
    outputs = UNITS * (layers if not stacked else 1)
    x = rng.standard_normal((BATCH, LENGTH, INPUTS)).astype(np.float32)
    return weights, x, rng.standard_normal((BATCH, LENGTH, outputs)).astype(np.float32)


@cache
def _rounding(cell: str) -> float:
    """The largest relative rounding error of outputs and gradients of one layer in float32."""
    weights, x, pull = _drawn(cell, 1, False)

    def computed(dtype: DTypeLike, order: int | None) -> Arrays:
        node = _node(cell, INPUTS)
        held = {f"{NAME}.{kind}": w.astype(dtype) for kind, w in weights[0].items()}
        at = Execution(Arithmetic(dtype, PRECISIONS["float32"], order), held)
        outputs, unrolled = recurrence.recur(at, node, x.astype(dtype))
        (back,) = recurrence.recur_back(at, node, unrolled, pull.astype(dtype))
        return {"outputs": outputs, "gradient of x": back, **at.out.gradients}

    exact, rounded = computed(np.float64, None), [computed(np.float32, order) for order in range(ROUNDINGS)]
    return max(rms_error(value, [each[name] for each in rounded]) / float(np.linalg.norm(value)) for name, value in exact.items()) + UNIT
