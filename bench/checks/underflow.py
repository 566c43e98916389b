"""Gradients that half precision loses to zero, layer by layer, told apart from gradients that vanish by depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import numpy as np

from bench.checks.gain import causes
from bench.evidence.divergence import within_range
from bench.evidence.evidence import Evidence
from bench.evidence.reference import roundings
from bench.judging.finding import Cause, Finding
from bench.judging.place import Place
from bench.judging.tolerance import BAND_Z
from models.architectures import graph
from models.arrays import Array
from models.backends.registry import CONVENTIONS
from models.reference.network import Reference

LOST = "lost to zero"
"""The quantity of every finding here."""
Each = TypeVar("Each")
FEWEST, MOST = 0.25, 0.75
"""A gradient of less than `FEWEST` smallest numbers is zero for certain after a layer, one of more than `MOST` for certain not. Rounding
once decides at one half. PyTorch's float16 derivative of a sigmoid rounds g·(1 − y) and the product with y, after the matrix product was
rounded; over all y, the smallest g·(1 − y)·y that ends above zero is 0.28 (y = 0.749), the largest that ends at zero 0.66 (y = 0.25)."""


@within_range
def underflow(evidence: Evidence) -> Iterator[Finding]:
    """Gradients are lost to zero only where they are smaller than half precision's smallest number.

    The share of each layer's ∂L/∂z and weight gradient that is zero and is not in float64, in the framework's own
    network, beside the share that the reference loses when it rounds what that layer was fed; and as many more or fewer as several
    roundings on the way may turn (`FEWEST`, `MOST`). Entries of a unit or a sample go together, so that a share p is known to
    √(p(1 − p)/n) with n the smaller of batch and width, and to one sample in the least. Where a penalty is added to weight gradients
    none of them is zero, and only ∂L/∂z is judged.
    """
    forced_step, own = evidence.reference.forced_steps[0], evidence.native
    with np.errstate(all="ignore"):
        exact = Reference(evidence.spec, own.weights).run(forced_step.x, forced_step.labels, own)
        rounded = [each.run(forced_step.x, forced_step.labels, own) for each in _own(evidence, roundings(evidence.spec, own.weights))]
    found, least = causes(evidence), evidence.spec.format.results.least / evidence.spec.first_scale
    backward = list(reversed(graph(evidence.spec).dense))
    for node in backward:
        seen, near = own.pre_activation_gradients[node.name], [each.pre_activation_gradients[node.name] for each in rounded]
        true = exact.pre_activation_gradients[node.name]
        yield _beside(Place(LOST, node.name, scope="own weights"), seen, true, near, least, found)
    (answer, passes), step = evidence.steps[0], evidence.seen.forced_steps[0]
    for node in backward if not evidence.penalties[0][1] else ():
        near = [each.gradients[node.weight] for each in _own(evidence, passes)]
        yield _beside(Place.of(node.weight, LOST, step=0), step.gradients[node.weight], answer.gradients[node.weight], near, least)


def _own(evidence: Evidence, passes: list[Each]) -> list[Each]:
    """The passes that round as this framework documents it."""
    return passes[CONVENTIONS.index(evidence.conventions) :: len(CONVENTIONS)]


def _beside(place: Place, seen: Array, true: Array, near: list[Array], least: float, causes: tuple[Cause, ...] = ()) -> Finding:
    share, others, count = _lost(seen, true), [_lost(each, true) for each in near], min(true.shape)
    mean, size = float(np.mean(others)), np.abs(true)
    reach = BAND_Z * max((mean * (1 - mean) / count) ** 0.5, float(np.std(others))) + 1 / count
    low = min(mean, float(((size > 0) & (size < FEWEST * least)).mean()))
    high = max(mean, float(((size > 0) & (size <= MOST * least)).mean()))
    return Finding(place, share, low - reach, high + reach, f"predicted {mean:.1%}", causes=causes)


def _lost(values: Array, true: Array) -> float:
    """The share of entries that are zero and should not be. Where terms cancel to zero in float64, rounding may leave what it likes."""
    return float(((np.asarray(values) == 0) & (true != 0)).mean())
