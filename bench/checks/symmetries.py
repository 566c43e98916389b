"""Symmetries of the network, each run through the framework's own training step."""

from __future__ import annotations

from collections.abc import Iterator

from bench.checks.relations import bare, by_passes, compared, nearest, refuse_rest, relative
from bench.evidence.evidence import Evidence
from bench.judging.finding import Finding
from bench.symmetry import split, symmetries
from models.spec import Spec


def symmetry(evidence: Evidence) -> Iterator[Finding]:
    """Networks that are the same in another guise have the same loss and correspondingly transformed gradients.

    Layers rebalanced, units and classes permuted, inputs rotated or doubled, samples shuffled, halved, repeated or alone, signs
    turned, the loss scaled, weights scaled before a normalization, mirrored orthogonal weights, one unit a layer, other activations
    that compute the same. Powers of two and signs change no bit on a CPU; the others are held to what the reference's float32 passes
    leave of the same relation.
    """
    lost = 0
    for row, forced_steps, passes in split(evidence.spec, evidence.reference.forced_steps, evidence.seen.relations):
        if row.differentiates:
            continue
        seen = nearest(relative(row.expect(evidence.spec, forced_steps, each)) for each in bare(evidence, forced_steps, passes))
        if row.bits and not evidence.penalties[0][1]:
            for place, residual in seen.items():
                yield Finding(place, residual.off, 0.0, 0.0, f"off by {residual.off:.3g} where no bit may change")
            continue
        exact, *rounded = by_passes(evidence, row, forced_steps, "float32")
        lost += yield from compared(evidence, seen, exact, rounded, evidence.resolution, evidence.unit)
    refuse_rest(lost)


def has_symmetry(spec: Spec) -> bool:
    """Whether any symmetry is looked at in this network."""
    return not all(row.differentiates for row in symmetries(spec))
