"""Mean-field recursion at infinite width: the closed form behind the bands. Post-activation streams have one of their own (`stream`).

δ_l = φ′(z_l)·N′·W_{l+1}ᵀδ_{l+1}, with weights taken to be independent of everything else, gives ‖δ_l‖² = χ_l ‖δ_{l+1}‖²
per layer. With s2 = fan-in · Var W and sb2 = Var b of layer l+1 (any widths: whole norms, not norms per unit):

    plain                    χ_l = s2 Eφ′²(v_l),            v_{l+1} = s2 Eφ²(v_l) + sb2
    norm before activation   χ_l = s2 Eφ′²(q)/(v_l + ε),    v_{l+1} = s2 Eφ²(q) + sb2,  q = v_l/(v_l + ε)
    norm after activation    χ_l = s2 Eφ′²(v_l)/(u + ε),    v_{l+1} = s2 u/(u + ε) + sb2,  u = Var φ(v_l)

v_l is the mean square of z_l. Rms normalization has Eφ² for Var φ after the activation. Batch normalization before it
divides by the variance within the batch, so there v_{l+1} = s2 Var φ(q). A pre-activation block x ↦ k·x + c·body(x) makes
v ↦ k²v + c²v_body of the stream's v and multiplies the stream's squared gradient by k² + c²·∏χ over the body.
"""

from __future__ import annotations

import numpy as np

from bench.theory.moments import batch_norm_growth, moments
from bench.theory.stream import post_activation_gain
from models.architectures import graph
from models.parts.initializers import INITIALIZERS
from models.reference.draws import BIAS_SD
from models.spec import Spec


def backward_limit(spec: Spec, x: np.ndarray) -> float | None:
    """The log of ‖δ_1‖²/‖δ_depth‖² at infinite width on x (batch × features).

    None for discretised dynamics, for batch-normalized post-activation blocks, and for normalized or random units that look linear: none
    has a closed form.
    """
    if not spec.arch.layered or (spec.arch.mirror == "looks_linear" and (spec.arch.norm != "none" or spec.arch.random)):
        return None
    if spec.arch.span and spec.arch.skip_order == "post":
        first, *rest = gains(spec)
        return post_activation_gain(spec, first[0] * float(np.mean(x * x)) + first[1], rest)
    with np.errstate(divide="ignore"):  # saturated units pass nothing on: −∞
        return float(np.sum(np.log(growths(spec, x))))


def growths(spec: Spec, x: np.ndarray) -> list[float]:
    """Factors of the squared gradient norm from input to output: χ_l of every layer, or of every block and the last layer."""
    (s2, sb2), *hidden = gains(spec)
    v = s2 * float(np.mean(np.var(x, axis=0))) if _batch_first(spec) else s2 * float(np.mean(x * x)) + sb2
    if not spec.arch.span:
        return _walk(spec, v, hidden)[0]
    found, at = [], 0
    for block in graph(spec).blocks:
        chi, branch = _walk(spec, v, hidden[at : at + len(block.dense)])
        found.append(block.sum.keep**2 + block.scale_at_start**2 * float(np.prod(chi)))
        v, at = block.sum.keep**2 * v + block.scale_at_start**2 * branch, at + len(block.dense)
    return found + _walk(spec, v, hidden[at:])[0]


def _walk(spec: Spec, v: float, gains: list[tuple[float, float]]) -> tuple[list[float], float]:
    """χ of successive layers with the given (s2, sb2), and the last one's v."""
    found: list[float] = []
    for s2, sb2 in gains:
        if spec.arch.norm == "none":
            m = moments(spec.arch.act, v, spec.arch.mirror == "looks_linear")
            found.append(s2 * m.slope)
            v = s2 * m.square + sb2
        elif spec.arch.norm_at == "before":
            m = moments(spec.arch.act, v / (v + spec.arch.eps))
            found.append(s2 * m.slope / (v + spec.arch.eps) * (_finite_batch(spec) if found else 1.0))
            v = s2 * m.variance if _batch_first(spec) else s2 * m.square + sb2
        else:
            m = moments(spec.arch.act, v)
            u = m.square if spec.arch.norm == "rms" else m.variance
            found.append(s2 * m.slope / (u + spec.arch.eps))
            v = s2 * u / (u + spec.arch.eps) + sb2
    return found, v


def _batch_first(spec: Spec) -> bool:
    return spec.arch.norm == "batch" and spec.arch.norm_at == "before"


def _finite_batch(spec: Spec) -> float:
    """By how much more than an infinite batch a finite one multiplies gradients, once batch norm has met batch norm."""
    if not _batch_first(spec) or spec.arch.span:
        return 1.0
    m = moments(spec.arch.act, 1.0)
    return batch_norm_growth(spec.arch.act, spec.batch) * m.variance / m.slope


def gains(spec: Spec) -> list[tuple[float, float]]:
    """(fan-in · Var W, Var b) of every weight layer; nothing comes from a branch that starts at zero.

    Weights (Q, −Q) read φ(z) − φ(−z) as Q would, so that only Q counts.
    """
    init, found = INITIALIZERS[spec.init], []
    for node in graph(spec).dense:
        bias = BIAS_SD**2 if spec.bias == "normal" else init.random_bias / (3 * node.fan_in)
        square = node.start**2 * node.fan_drawn * init.variance(node.fan_drawn, node.fan_out)
        found.append((square, bias) if node.start else (0.0, 0.0))
    return found
