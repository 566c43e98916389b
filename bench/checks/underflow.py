"""Gradients that half precision loses to zero, layer by layer, told apart from gradients that vanish by depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.checks.gain import diagnosis
from bench.judge import Finding
from bench.run import roundings
from bench.tolerance import BAND_Z
from models.on_numpy import Reference


def lost(seen: Any, exact: Any) -> float:
    """The share of a tensor's entries that are zero although float64 has them."""
    there = np.asarray(exact) != 0
    return float((np.asarray(seen)[there] == 0).mean()) if there.any() else 0.0


def underflow(run: Any) -> Iterator[Finding]:
    """Gradients are lost to zero only where they are smaller than half precision's smallest number.

    The share of each layer's ∂L/∂z and weight gradient that is zero where float64's is not, in the framework's own network, beside the
    share that the reference loses when it rounds the same pass. Entries of a unit or a sample go together, so that a share p is
    known to √(p(1 − p)/n) with n the smaller of batch and width, and to one sample in the least.
    """
    lesson, own = run.answer.lessons[0], run.seen.own
    with np.errstate(all="ignore"):
        exact = Reference(run.spec, own.weights).run(lesson.x, lesson.labels)
        rounded = [each.run(lesson.x, lesson.labels) for each in roundings(run.spec, own.weights)]
    words = "; ".join(map(str, diagnosis(run)))
    for layer in sorted(exact.deltas, reverse=True):
        yield _beside(f"own weights layer {layer:>2}", own.deltas[layer], exact.deltas[layer], [e.deltas[layer] for e in rounded], words)
    (true, near), step = run.steps[0], run.seen.lessons[0]
    for layer in sorted(exact.deltas, reverse=True):
        key = f"{layer}.weight"
        yield _beside(f"step 0 layer {layer:>2} weight", step.gradients[key], true.gradients[key], [e.gradients[key] for e in near])


def _beside(where: str, seen: Any, true: Any, near: list[Any], note: str = "") -> Finding:
    share, others, count = lost(seen, true), [lost(each, true) for each in near], min(true.shape)
    mean = float(np.mean(others))
    reach = BAND_Z * max((mean * (1 - mean) / count) ** 0.5, float(np.std(others))) + 1 / count
    return Finding(f"{where} lost to zero", share, mean - reach, mean + reach, f"predicted {mean:.1%}; {note}".rstrip("; "))
