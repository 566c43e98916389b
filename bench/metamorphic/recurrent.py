"""Recurrent layers: whichever way the same cells are taken through a sequence, outputs and gradients are the same."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import DTypeLike

from bench.evidence.reference import ROUNDINGS, rms_error
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.tolerance import ROUNDING_MULTIPLE
from bench.metamorphic.scenarios import UNIT, Scenarios
from models.arrays import Array, Arrays
from models.graph import INPUT, Recurrent
from models.parts.cells import CELLS
from models.parts.precisions import PRECISIONS
from models.reference import recurrence
from models.reference.arithmetic import Arithmetic
from models.reference.operations import Execution

BATCH, LENGTH, INPUTS, UNITS = 3, 4, 5, 7
LENGTHS = (2, 4, 1)
"""Uneven lengths, not sorted, of which one is a single step."""
LOOKED_AT = tuple(cell for cell, row in CELLS.items() if not row.kink)
"""Cells whose layers have code of their own: a ReLU's is tanh's."""
NAME = "recurrent1"


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


def _equal(
    scenarios: Scenarios, one: str, other: str, lengths: tuple[int, ...] = (LENGTH,) * BATCH, layers: int = 1, stacked: bool = False
) -> Iterator[Finding]:
    """A finding an array and cell: how far apart two ways are, relative to its size."""
    for cell in LOOKED_AT:
        if CELLS[cell].torch is None and scenarios.conventions == "torch":
            continue
        weights, x, pull = _drawn(cell, layers, stacked)
        given = {"cell": cell, "weights": weights, "x": x, "pull": pull, "lengths": list(lengths)}
        first, second = (scenarios("recurrent", way=way, **given) for way in (one, other))
        rounding = _rounding(cell)
        for number, (arrays, others) in enumerate(zip(first, second, strict=True)):
            if set(arrays) != set(others):
                raise AssertionError(f"{sorted(set(arrays) ^ set(others))} are missing or unknown in {other}")
            for name, value in arrays.items():
                size = float(np.linalg.norm(value)) or 1.0
                off = float(np.linalg.norm(np.asarray(others[name], np.float64) - value)) / size
                which = f"of layer {number}" if number and layers > 1 else ""
                place = Place(" ".join(filter(None, (name.replace("_", " "), which))), scope=f"{cell} {other}:")
                yield Finding(place, off, 0.0, ROUNDING_MULTIPLE * layers * rounding)


def _drawn(cell: str, layers: int, stacked: bool) -> tuple[list[Arrays], Array, Array]:
    """Weights of each layer, inputs, and what outputs are multiplied with before they are summed."""
    rng = np.random.default_rng(list(cell.encode()))
    weights = []
    for number in range(layers):
        fan_in = UNITS if stacked and number else INPUTS
        shapes = Recurrent(NAME, (INPUT,), UNITS, LENGTH, cell, fan_in, "orthogonal", 1.0, "1").parameters
        weights.append({kind: (0.4 * rng.standard_normal(shape)).astype(np.float32) for kind, shape in shapes.items()})
    outputs = UNITS * (layers if not stacked else 1)
    x = rng.standard_normal((BATCH, LENGTH, INPUTS)).astype(np.float32)
    return weights, x, rng.standard_normal((BATCH, LENGTH, outputs)).astype(np.float32)


@cache
def _rounding(cell: str) -> float:
    """The largest relative rounding error of outputs and gradients of one layer in float32."""
    weights, x, pull = _drawn(cell, 1, False)

    def computed(dtype: DTypeLike, order: int | None) -> Arrays:
        node = Recurrent(NAME, (INPUT,), UNITS, LENGTH, cell, INPUTS, "orthogonal", 1.0, "1")
        held = {f"{NAME}.{kind}": w.astype(dtype) for kind, w in weights[0].items()}
        at = Execution(Arithmetic(dtype, PRECISIONS["float32"], order), held)
        outputs, unrolled = recurrence.recur(at, node, x.astype(dtype))
        (back,) = recurrence.recur_back(at, node, unrolled, pull.astype(dtype))
        return {"outputs": outputs, "gradient of x": back, **at.out.gradients}

    exact, rounded = computed(np.float64, None), [computed(np.float32, order) for order in range(ROUNDINGS)]
    return max(rms_error(value, [each[name] for each in rounded]) / float(np.linalg.norm(value)) for name, value in exact.items()) + UNIT
