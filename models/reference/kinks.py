"""How far a batch keeps from every kink, measured by what rounding moves there.

A unit on the other side of its kink has another slope, and with it every gradient below is another: no tolerance for rounding admits
that. So batches are chosen whose units all keep further from their kinks than a framework's rounding reaches.
"""

from __future__ import annotations

import numpy as np

from models.arrays import Array, PerSample
from models.reference.network import Pass

CLEARANCE = 10.0
"""The distance that a judged batch keeps, in rms errors of its layer's pre-activations: as far as a framework may be off where it is
compared (`bench.judging.tolerance.ROUNDING_MULTIPLE`)."""


def reach(exact: Pass, rounded: list[Pass]) -> dict[str, float]:
    """By place, the rms error of what lies next to a kink, over rounded passes and all entries; at least one rounding of its rms."""
    unit = float(np.finfo(np.float32).eps) / 2
    errors = {}
    for place, bend in exact.bends.items():
        known = np.isfinite(bend) & np.all([np.isfinite(each.bends[place]) for each in rounded], axis=0)  # the others bend nowhere
        moved = [each.bends[place][known] - bend[known] for each in rounded]
        errors[place] = max(_rms(moved), unit * _rms(bend[known]), float(np.finfo(np.float64).tiny))
    return errors


def _rms(values: Array | list[Array]) -> float:
    """Root mean square; 0 of no values."""
    return float(np.sqrt(np.mean(np.square(values)))) if np.size(values) else 0.0


def distances(exact: Pass, errors: dict[str, float]) -> PerSample:
    """Each sample's smallest distance from a kink, in units of `errors`; infinite where there is none."""
    nearest = np.full(len(exact.logits), np.inf)
    for place, bend in exact.bends.items():
        nearest = np.minimum(nearest, np.abs(bend).min(axis=1) / errors[place])
    return nearest
