"""Gradients that half precision loses to zero, layer by layer, told apart from gradients that vanish by depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.checks.gain import diagnosis
from bench.evidence.reference import DIALECTS, roundings
from bench.judging.finding import Finding
from bench.judging.tolerance import BAND_Z
from models.architectures import graph
from models.graph import describe
from models.reference.network import Reference

FEWEST, MOST = 0.25, 0.75
"""A gradient of less than `FEWEST` smallest numbers is zero for certain after a layer, one of more than `MOST` for certain not. Rounding
once decides at one half. PyTorch's float16 derivative of a sigmoid rounds g·(1 − y) and the product with y, after the matrix product was
rounded; over all y, the smallest g·(1 − y)·y that ends above zero is 0.28 (y = 0.749), the largest that ends at zero 0.66 (y = 0.25)."""


def underflow(evidence: Any) -> Iterator[Finding]:
    """Gradients are lost to zero only where they are smaller than half precision's smallest number.

    The share of each layer's ∂L/∂z and weight gradient that is zero, less what is zero in float64 as well, in the framework's own
    network, beside the share that the reference loses when it rounds what that layer was fed; and as many more or fewer as several
    roundings on the way may turn (`FEWEST`, `MOST`). Entries of a unit or a sample go together, so that a share p is known to
    √(p(1 − p)/n) with n the smaller of batch and width, and to one sample in the least.
    """
    forced_step, own = evidence.reference.forced_steps[0], evidence.seen.native
    with np.errstate(all="ignore"):
        exact = Reference(evidence.spec, own.weights).run(forced_step.x, forced_step.labels, own)
        rounded = [each.run(forced_step.x, forced_step.labels, own) for each in _own(evidence, roundings(evidence.spec, own.weights))]
    words, least = "; ".join(map(str, diagnosis(evidence))), evidence.spec.format.results.least / evidence.spec.first_scale
    backward = list(reversed(graph(evidence.spec).dense))
    for node in backward:
        seen, true, *near = (each.pre_activation_gradients[node.name] for each in (own, exact, *rounded))
        yield _beside(f"own weights {describe(node.name)}", seen, true, near, least, words)
    (answer, passes), step = evidence.steps[0], evidence.seen.forced_steps[0]
    for node in backward:
        seen, true, *near = (each.gradients[node.weight] for each in (step, answer, *_own(evidence, passes)))
        yield _beside(f"step 0 {describe(node.weight)}", seen, true, near, least)


def _own(evidence: Any, passes: list[Any]) -> list[Any]:
    """The passes that round as this framework documents it."""
    return passes[DIALECTS.index(evidence.dialect) :: len(DIALECTS)]


def _beside(where: str, seen: Any, true: Any, near: list[Any], least: float, note: str = "") -> Finding:
    share, others, count = _zeros(seen), [_zeros(each) for each in near], min(true.shape)
    mean, size = float(np.mean(others)), np.abs(true)
    reach = BAND_Z * max((mean * (1 - mean) / count) ** 0.5, float(np.std(others))) + 1 / count
    low, high = min(mean, float((size < FEWEST * least).mean())), max(mean, float((size <= MOST * least).mean()))
    always = _zeros(true)
    told = f"predicted {mean - always:.1%}; {note}".rstrip("; ")
    return Finding(f"{where} lost to zero", share - always, low - reach - always, high + reach - always, told)


def _zeros(values: Any) -> float:
    return float((np.asarray(values) == 0).mean())
