"""The framework's activation layer point by point, where no network's signals go too: its tails, its kink, next to zero."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.evidence.evidence import Evidence
from bench.evidence.probes import KINKS, regions
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.tolerance import ROUNDING_MULTIPLE
from models.arrays import Points
from models.parts.activations import ACTIVATIONS

ASYMPTOTIC = 12.0
"""Where every activation here is its asymptote to 1e-5, so that terms of its slope that still grow no longer cancel."""


def activation(evidence: Evidence) -> Iterator[Finding]:
    """The activation and its derivative equal the float64 function at every point, to rounding.

    The worst point of each region. A value is made of terms that its row bounds (|x|, where GELU's 1 + erf cancels; none in ReLU), a
    slope of others (1 + x·(1 − σ) in SiLU); these and the result are rounded, and that is how far it may be off. At zero and at every kink
    the derivative is the one-sided one that the framework documents.
    """
    row = ACTIVATIONS[evidence.spec.arch.act].by(evidence.spec.computed_by)
    for precision, (y, slope) in evidence.curves.items():
        unit = float(np.finfo(precision).eps) / 2
        ends = np.cumsum([len(x) for x in regions().values()])
        for (region, x), values, slopes in zip(regions().items(), np.split(y, ends)[:-1], np.split(slope, ends)[:-1], strict=True):
            exact = row.f(x)
            yield _worst(
                Place("value", scope=f"{precision} {region}"), x, values, exact, unit * (row.value_terms(np.abs(x)) + np.abs(exact))
            )
            slope_terms = row.terms(np.minimum(np.abs(x), ASYMPTOTIC)) + np.abs(row.df(x))
            yield _worst(Place("slope", scope=f"{precision} {region}"), x, slopes, row.df(x), unit * slope_terms)
        reach = ROUNDING_MULTIPLE * unit
        for point, value, steepness in zip(KINKS, y[-len(KINKS) :], slope[-len(KINKS) :], strict=True):
            if point and point not in row.kinks:
                continue
            scope, exact_value = f"{precision} at {point:g}" if point else f"{precision} at zero", float(row.f(np.array([point]))[0])
            least, largest = row.slope_at(point, evidence.backend, evidence.info.known_kinks)
            yield Finding(Place("value", scope=scope), float(value), exact_value - reach, exact_value + reach)
            yield Finding(Place("slope", scope=scope), float(steepness), least - reach, largest + reach)


def _worst(place: Place, x: Points, seen: Points, exact: Points, rounding: Points) -> Finding:
    """The point furthest off in units of what rounding may do there; smaller than a normal number nothing is told apart."""
    allowed = ROUNDING_MULTIPLE * rounding + float(np.finfo(seen.dtype).tiny)
    error = np.abs(seen.astype(np.float64) - exact)
    worst = int(np.argmax(np.where(np.isnan(error), np.inf, error / allowed)))
    note = f"{seen[worst]:.9g} for {exact[worst]:.9g} at x = {x[worst]:.6g}"
    return Finding(place, float(error[worst]), 0.0, float(allowed[worst]), note)
