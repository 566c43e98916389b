"""Symmetries of the network, each run through the framework's own training step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.checks.relations import compared, relative
from bench.judge import Finding
from bench.run import ROUNDINGS
from bench.symmetry import split, symmetries
from models.on_numpy import Reference
from models.spec import Spec


def symmetry(run: Any) -> Iterator[Finding]:
    """Networks that are the same in another guise have the same loss and correspondingly transformed gradients.

    Layers rebalanced, units permuted, inputs rotated, samples shuffled, halved or repeated, signs turned, weights scaled before
    a normalization, mirrored orthogonal weights, one unit a layer. Powers of two and signs change no bit on a CPU; the
    others are held to what the reference's float32 passes leave of the same relation.
    """
    for row, lessons, passes in split(run.spec, run.answer.lessons, run.seen.relations):
        seen = relative(row.residuals(run.spec, lessons, passes))
        if row.bits:
            for (kind, where), value in seen.items():
                yield Finding(f"{where} {kind}", value, 0.0, 0.0, f"off by {value:.3g} where no bit may change")
            continue
        with np.errstate(all="ignore"):
            rounded = [
                [Reference(run.spec, lesson.weights, np.float32, order).run(lesson.x, lesson.labels) for lesson in lessons]
                for order in range(ROUNDINGS)
            ]
        yield from compared("", seen, [relative(row.residuals(run.spec, lessons, each)) for each in rounded], run.resolution, run.unit)


def has_symmetry(spec: Spec, backend: str = "") -> bool:
    """Whether any symmetry is looked at in this network."""
    return bool(symmetries(spec))
