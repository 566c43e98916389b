"""The gradient against other derivatives of the same loss."""

from __future__ import annotations

from collections.abc import Iterator

from bench.checks.relations import bare, by_passes, compared, nearest, refuse_rest, relative
from bench.evidence.evidence import Evidence
from bench.judging.finding import Finding
from bench.judging.verdict import RestNotJudged
from bench.symmetry import split, symmetries
from models.spec import Spec


def derivative(evidence: Evidence) -> Iterator[Finding]:
    """The gradient of the training step is the derivative of the loss that the framework itself computes.

    By the framework's forward mode, and in float64 by difference quotients and Taylor remainders of its losses, and by a complex step.
    Off is as much as the reference's own passes in this precision are, by rounding and by the quotient's truncation alike.
    """
    lost, without = 0, ""
    for row, forced_steps, passes in split(evidence.spec, evidence.reference.forced_steps, evidence.seen.relations):
        if row.differentiates and (lacks := next((each.without for each in passes if each.without), "")):
            without = lacks
        elif row.differentiates:
            seen = nearest(relative(row.expect(evidence.spec, forced_steps, each)) for each in bare(evidence, forced_steps, passes))
            exact, *rounded = by_passes(evidence, row, forced_steps, evidence.spec.precision)
            lost += yield from compared(evidence, seen, exact, rounded, 1.0, evidence.unit)
    refuse_rest(lost)
    if without:
        raise RestNotJudged(f"no forward mode: {without}")


def has_derivative(spec: Spec) -> bool:
    """Whether the loss is differentiated another way in this network."""
    return any(row.differentiates for row in symmetries(spec))
