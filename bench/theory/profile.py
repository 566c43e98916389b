"""A network's predicted profile in numbers and words: what theory says of it before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy.stats import norm

from bench.progress import track
from bench.theory.bands import Prediction, predict, why_not
from bench.theory.correlation import depth_scales, gradient_scale_coefficient, nonlinearity_coefficient, plain_pair
from bench.theory.diagnosis import as_rounded, diagnose, expected
from bench.theory.meanfield import backward_limit, gains
from bench.theory.moments import batch_norm_growth, moments
from bench.theory.remedies import DECADES, power_of_ten
from models.architectures import graph
from models.matrix import networks, symmetric
from models.spec import Spec

SHARE = 0.99
"""Share of random networks that a printed or drawn band holds."""
RESOLVED = 1e-9
"""Least 1 − c that float64 quadrature resolves."""
ROWS = 12
"""At most so many layers are printed."""


def lines(spec: Spec, x: np.ndarray, labels: np.ndarray) -> Iterator[str]:
    """Layer by layer what is predicted of `spec` on the batch x (batch × features), its depth scales, and the diagnosis."""
    prediction = predict(spec, x)
    assert prediction is not None, why_not(spec)
    yield from _table(spec, prediction)
    yield ""
    yield from _limits(spec, x)
    yield ""
    for each in diagnose(spec, x, as_rounded(spec, x, labels), expected(spec, x, labels)):
        yield from each.cause.lines()


def _table(spec: Spec, prediction: Prediction) -> Iterator[str]:
    z = float(norm.isf((1 - SHARE) / 2))
    yield f"{'layer':>5}  {'χ':>8}  ‖∂L/∂z_l‖/‖∂L/∂z_L‖  {SHARE:.0%} of random networks"
    hidden = graph(spec).dense[:-1]
    for place in sorted(set(np.linspace(1, len(hidden), min(ROWS, len(hidden))).astype(int))):
        node = hidden[place - 1]
        band, step = prediction.profile.get(node.name), prediction.backward.get(node.name)
        if band is None:
            yield f"{node.layer:>5}  {'—':>8}  0 by construction"
            continue
        low, high = (power_of_ten(edge * DECADES) for edge in band.interval(z))
        chi = f"{math.exp(step.mean):>8.3f}" if step else f"{'—':>8}"
        yield f"{node.layer:>5}  {chi}  {power_of_ten(band.mean * DECADES):>20}  {low} … {high}"


def _limits(spec: Spec, x: np.ndarray) -> Iterator[str]:
    """Closed forms at infinite width, where there are any."""
    limit = backward_limit(spec, x)
    if limit is None:
        yield "infinite width   no closed form: batch normalization ties the samples of a post-activation stream together"
        return
    yield f"infinite width   ‖∂L/∂z₁‖/‖∂L/∂z_L‖ = {power_of_ten(limit * DECADES)}"
    if spec.arch.norm == "batch" and spec.arch.norm_at == "before" and not spec.arch.span:
        m = moments(spec.arch.act, 1.0)
        yield (
            f"batch norm       gradients grow by {batch_norm_growth(spec.arch.act, spec.batch):.4f} per layer squared "
            f"at batch {spec.batch}, {m.slope / m.variance:.4f} for large batches"
        )
    if spec.arch.norm != "none" or spec.arch.span or spec.arch.depth < 3:
        return
    q0 = float(np.mean(np.asarray(x, np.float64) ** 2))
    (first, _), hidden, *_ = gains(spec)
    try:
        found = depth_scales(spec.arch.act, *hidden)
        yield f"fixed point      q* = {found.q:.4g}, c* = {found.c:.4g}, χ = {found.chi:.4g}"
        yield f"depth scales     ξ_q = {found.xi_q:.3g}, ξ_c = {found.xi_c:.3g} layers; gradients ξ_∇ = {found.xi_gradient:.3g}"
    except ValueError as error:
        yield f"fixed point      {error}"
    pair = plain_pair(spec.arch.act, gains(spec), q0, 0.0)
    end, kept = pair.c[-1], pair.gradients[0]
    yield f"unrelated inputs end with correlation {end:.3f}; their gradients with {kept:.2g} of the correlation they start with"
    nlc = f"{nonlinearity_coefficient(pair, first, q0):.3g}" if 1 - end > RESOLVED else "not resolved (all inputs look alike)"
    yield f"coefficients     gradient scale {gradient_scale_coefficient(pair, first, q0):.3g}, nonlinearity {nlc}"


def coverage(cases: str) -> Iterator[str]:
    """Which networks have a band from random networks of their own width, which a closed form besides, and which a reference alone."""
    rng, counts = np.random.default_rng(0), {"formula": 0, "band": 0, "reference": 0}
    for listed in track((*networks(cases), *(symmetric() if cases != "smoke" else ())), "networks"):
        for spec in dict.fromkeys(listed.on(backend) for backend in ("torch", "keras")):
            if not spec.arch.predicted:
                kind, says = "reference", "reference alone: gradients through time or images are the checks time_gain's and image_gain's"
            elif listed in symmetric():
                kind, says = "reference", "reference alone: looked at for its exact laws"
            elif not listed.centred:
                kind, says = "reference", "reference alone: theory supposes centred inputs and small logits"
            elif backward_limit(spec, rng.standard_normal((spec.batch, spec.features))) is None:
                kind, says = "band", "band; no closed form for batch-normalized post-activation sums"
            else:
                kind, says = "formula", "band and closed form"
            counts[kind] += 1
            yield f"{spec.id:<60} {says}"
    yield f"{counts['formula']} with band and closed form, {counts['band']} with a band alone, {counts['reference']} with a reference alone"
