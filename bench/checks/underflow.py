"""Gradients that half precision loses to zero, layer by layer, told apart from gradients that vanish by depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.checks.gain import diagnosis
from bench.judge import Finding
from bench.run import DIALECTS, roundings
from bench.tolerance import BAND_Z
from models.on_numpy import Reference

FEWEST, MOST = 0.25, 0.75
"""A gradient of less than `FEWEST` smallest numbers is zero for certain after a layer, one of more than `MOST` for certain not. Rounding
once decides at one half. PyTorch's float16 derivative of a sigmoid rounds g·(1 − y) and the product with y, after the matrix product was
rounded; over all y, the smallest g·(1 − y)·y that ends above zero is 0.28 (y = 0.749), the largest that ends at zero 0.66 (y = 0.25)."""


def underflow(run: Any) -> Iterator[Finding]:
    """Gradients are lost to zero only where they are smaller than half precision's smallest number.

    The share of each layer's ∂L/∂z and weight gradient that is zero, less what is zero in float64 as well, in the framework's own
    network, beside the share that the reference loses when it rounds what that layer was fed; and as many more or fewer as several
    roundings on the way may turn (`FEWEST`, `MOST`). Entries of a unit or a sample go together, so that a share p is known to
    √(p(1 − p)/n) with n the smaller of batch and width, and to one sample in the least.
    """
    lesson, own = run.answer.lessons[0], run.seen.own
    with np.errstate(all="ignore"):
        exact = Reference(run.spec, own.weights).run(lesson.x, lesson.labels, own)
        rounded = [each.run(lesson.x, lesson.labels, own) for each in _own(run, roundings(run.spec, own.weights))]
    words, least = "; ".join(map(str, diagnosis(run))), run.spec.format.results.least / run.spec.first_scale
    for layer in sorted(exact.deltas, reverse=True):
        near = [each.deltas[layer] for each in rounded]
        yield _beside(f"own weights layer {layer:>2}", own.deltas[layer], exact.deltas[layer], near, least, words)
    (true, passes), step = run.steps[0], run.seen.lessons[0]
    for layer in sorted(exact.deltas, reverse=True):
        key = f"{layer}.weight"
        near = [each.gradients[key] for each in _own(run, passes)]
        yield _beside(f"step 0 layer {layer:>2} weight", step.gradients[key], true.gradients[key], near, least)


def _own(run: Any, passes: list[Any]) -> list[Any]:
    """The passes that round as this framework documents it."""
    return passes[DIALECTS.index(run.dialect) :: len(DIALECTS)]


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
