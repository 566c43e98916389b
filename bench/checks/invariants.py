"""Exact relations that one forward and backward pass must fulfil, whatever the weights: no reference and no theory needed.

Derivations stand with each relation. δ_l = ∂L/∂z_l, z_l = W_l h_{l−1} + b_l, sums over a batch of the mean loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.checks.relations import Residuals, View, findings
from bench.evidence.evidence import Evidence
from bench.judging.finding import Finding
from bench.judging.place import Place
from models.graph import Activate, Dense, Normalize, Residual, joints, program
from models.parts.activations import ACTIVATIONS
from models.parts.initializers import INITIALIZERS
from models.parts.norms import NORMS
from models.spec import Spec

HOMOGENEOUS = ("linear", "relu", "leaky_relu", "rrelu")
"""φ(az) = a·φ(z) for a > 0, so that φ′(z)·z = φ(z)."""


def is_homogeneous(spec: Spec) -> bool:
    """Whether every layer but its bias is positively homogeneous, and layers meet or biases are zero."""
    unbiased = spec.bias == "zero" and not INITIALIZERS[spec.init].random_bias
    return spec.act in HOMOGENEOUS and spec.norm == "none" and (unbiased or bool(joints(spec)))


def homogeneity(evidence: Evidence) -> Iterator[Finding]:
    """Positively homogeneous layers hand on ⟨W, ∂L/∂W⟩ unchanged: layer by layer, unit by unit, sample by sample.

    Unit i of layer l: ⟨w_in, ∂w_in⟩ + b·∂b = Σ z_i δ_i = Σ h_i ∂h_i = ⟨w_out, ∂w_out⟩, because φ′(z)z = φ(z) (Du et al.
    2018); summed over units it is Euler's theorem for the layer. For linear units the whole matrix ∂W_l W_lᵀ + ∂b bᵀ =
    δ_lᵀz_l = δ_lᵀh_l = W_{l+1}ᵀ∂W_{l+1}. Without biases ⟨x, ∂L/∂x⟩ of every sample is the same all along the stream,
    through residual sums as well. Orthogonal linear layers keep every sample's ‖δ‖.
    """
    yield from findings(evidence, _units)
    if not any(np.any(w) for key, w in evidence.reference.forced_steps[0].weights.items() if key.endswith("bias")):
        yield from findings(evidence, _stream, (0,))
    if evidence.spec.act == "linear":
        yield from findings(evidence, _matrices)
        if evidence.spec.init == "orthogonal" and not evidence.spec.span:
            yield from findings(evidence, _isometry, (0,))


def _units(spec: Spec, view: View) -> Residuals:
    for joint in joints(spec):
        (w, dw), (b, db), (out, dout) = view.of(joint.left, "weight"), view.of(joint.left, "bias"), view.of(joint.right, "weight")
        into, onward = (w * dw).sum(1) + b * db, (out * dout).sum(0)
        natural = np.linalg.norm(w, axis=1) * np.linalg.norm(dw, axis=1) + np.abs(b * db)
        where = str(joint.left)
        yield Place("units' ⟨w, ∂w⟩ in and out", where), into - onward, natural
        yield Place("⟨W, ∂W⟩ against the next layer's", where), into.sum() - onward.sum(), np.linalg.norm(w) * np.linalg.norm(dw)


def _matrices(spec: Spec, view: View) -> Residuals:
    for joint in joints(spec):
        (w, dw), (b, db), (out, dout) = view.of(joint.left, "weight"), view.of(joint.left, "bias"), view.of(joint.right, "weight")
        yield Place("∂W Wᵀ against Wᵀ∂W of the next", str(joint.left)), dw @ w.T + np.outer(db, b) - out.T @ dout, dw @ w.T


def _stream(spec: Spec, view: View) -> Residuals:
    """⟨x, ∂L/∂x⟩ per sample along the stream, against ⟨logits, ∂L/∂logits⟩."""
    f = ACTIVATIONS[spec.act].f
    end = (view.pre_activations[spec.depth] * view.pre_activation_gradients[spec.depth]).sum(1)

    def here(layer: int, x: Any, d: Any) -> tuple[Place, Any, Any]:
        natural = np.linalg.norm(x, axis=1) * np.linalg.norm(d, axis=1)
        return Place("samples' ⟨x, ∂x⟩ against the logits'", str(layer)), (x * d).sum(1) - end, natural

    x = view.x
    for step in program(spec):
        if isinstance(step, Residual):
            last = step.body[-1].layer
            if not isinstance(step.body[-1], Dense):
                return
            x = step.keep * x + step.scale * view.pre_activations[last]
            yield here(last, x, view.pre_activation_gradients[last] / step.scale)
        elif isinstance(step, Dense):
            x = view.pre_activations[step.layer]
            yield here(step.layer, x, view.pre_activation_gradients[step.layer])
        else:
            x = f(x)


def _isometry(spec: Spec, view: View) -> Residuals:
    end = np.linalg.norm(view.pre_activation_gradients[spec.depth], axis=1)
    for layer in range(1, spec.depth):
        yield (
            Place("samples' ‖δ‖ against the logits'", str(layer)),
            np.linalg.norm(view.pre_activation_gradients[layer], axis=1) - end,
            end,
        )


def sum_rules(evidence: Evidence) -> Iterator[Finding]:
    """Parameter gradients are the sums they are made of, and those of softmax cross-entropy add up to zero over the classes.

    ∂L/∂b = Σ_samples δ and ∂L/∂W = δᵀh, the left sides from the training step and the right sides from a pass of their
    own, where that rounds as the step does. Σ_k softmax_k = Σ_k target_k = 1, so δ of every sample, ∂b and every column of
    ∂W sum to 0 in the last layer.
    """
    if evidence.watches_the_step:
        yield from findings(evidence, _sums, (0,))
    elif evidence.spec.loss != "cross_entropy":
        evidence.refuse_unwatched()
    if evidence.spec.loss == "cross_entropy":
        yield from findings(evidence, _classes)


def _sums(spec: Spec, view: View) -> Residuals:
    f = ACTIVATIONS[spec.act].f
    inputs = {1: view.x}
    for joint in joints(spec):
        if len(joint.between) == 1 and isinstance(joint.between[0], Activate):
            inputs[joint.right] = f(view.pre_activations[joint.left])
    for layer, d in view.pre_activation_gradients.items():
        yield Place("∂b against Σδ", str(layer)), view.gradients[f"{layer}.bias"] - d.sum(0), np.abs(d).sum(0)
    for layer, h in inputs.items():
        d = view.pre_activation_gradients[layer]
        natural = np.linalg.norm(d) * np.linalg.norm(h)
        yield Place("∂W against δᵀh", str(layer)), view.gradients[f"{layer}.weight"] - d.T @ h, natural


def _classes(spec: Spec, view: View) -> Residuals:
    where = str(spec.depth)
    _, dw = view.of(spec.depth, "weight")
    _, db = view.of(spec.depth, "bias")
    yield Place("Σ ∂b over classes", where), db.sum(), np.abs(db).sum()
    yield Place("Σ ∂W over classes", where), dw.sum(0), np.abs(dw).sum(0)
    if view.pre_activation_gradients:
        d = view.pre_activation_gradients[spec.depth]
        yield Place("Σ δ over classes", where), d.sum(1), np.abs(d).sum(1)


def norm_orthogonality(evidence: Evidence) -> Iterator[Finding]:
    """A normalization's gradient is orthogonal to what it divides out: to the constant it centres and to the scale of its input.

    With s² = var + ε and y = (z − mean)/s over one set of numbers (a unit's batch, a sample's units, a group),
    s·δ = g − ⟨g⟩ − y⟨gy⟩ gives Σδ = 0 and Σzδ = ε/s²·Σyg, g being the gradient at y; so a bias before batch
    normalization gets no gradient, and ⟨w, ∂w⟩ = ε/s²·γ∂γ per unit (van Laarhoven 2017). What follows γy + β up to the next weights, if
    it is homogeneous, hands on γ∂γ + β∂β = ⟨w_out, ∂w_out⟩.
    """
    yield from findings(evidence, _learned)
    if evidence.spec.norm_at == "before" and not evidence.spec.span:
        yield from findings(evidence, _sets, (0,))


def _learned(spec: Spec, view: View) -> Residuals:
    for joint in joints(spec):
        where = str(joint.left)
        norms = [place for place, step in enumerate(joint.between) if isinstance(step, Normalize)]
        if spec.norm == "batch" and norms == [0]:
            (w, dw), (scale, dscale) = view.of(joint.left, "weight"), view.of(joint.left, "scale")
            natural = np.linalg.norm(w, axis=1) * np.linalg.norm(dw, axis=1)
            share = spec.eps / (np.asarray(view.statistics[joint.left][1], np.float64) + spec.eps)
            yield Place("⟨w, ∂w⟩ before the norm", where), (w * dw).sum(1) - share * scale * dscale, natural
            yield Place("∂b before the norm", where), view.gradients[f"{joint.left}.bias"], dw
        after = joint.between[norms[0] + 1 :] if norms else ()
        if len(norms) == 1 and (not after or spec.act in HOMOGENEOUS):
            out, dout = view.of(joint.right, "weight")
            products = [np.multiply(*view.of(joint.left, kind)) for kind in NORMS[spec.norm].parameters]
            natural = np.linalg.norm(out, axis=0) * np.linalg.norm(dout, axis=0) * _cancelling(spec, view, joint.left)
            yield Place("γ∂γ + β∂β against ⟨w_out, ∂w_out⟩", where), sum(products) - (out * dout).sum(0), natural


def _cancelling(spec: Spec, view: View, layer: int) -> float:
    """How much larger than y the terms of y = z/s − mean/s are, as which some frameworks compute it, and round: 1 + |mean|/s over |y|, rms.

    |y| is √(var)/s: 1 unless ε is larger than the variance.
    """
    mean, var = (np.asarray(each, np.float64) for each in view.statistics[layer])
    square, own = (float(np.mean(each / (var + spec.eps))) for each in (mean**2, var))
    return 1 + (square / (own or 1.0)) ** 0.5


def _sets(spec: Spec, view: View) -> Residuals:
    """Σδ and Σzδ over each normalized set of the pass whose signals were seen, where γ = 1 and β = 0 (the first lesson)."""
    row, df = NORMS[spec.norm], ACTIVATIONS[spec.act].df
    axis = 0 if row.over == "batch" else -1
    for joint in joints(spec):
        where, shape = str(joint.left), (len(view.x), spec.groups if row.over == "groups" else 1, -1)
        z, d = view.pre_activations[joint.left], view.pre_activation_gradients[joint.left]
        y, cache = row.forward(z, 1.0, 0.0, spec.eps, spec.groups)
        g = (view.pre_activation_gradients[joint.right] @ view.weights[f"{joint.right}.weight"]) * df(y)
        z, d, y, g = (a.reshape(shape) for a in (z, d, y, g))
        share = spec.eps * np.square(cache["inverse"]).reshape((1, 1, -1) if axis == 0 else (len(view.x), -1, 1))
        natural = np.linalg.norm(z, axis=axis) * np.linalg.norm(d, axis=axis)
        yield Place("Σ zδ over normalized sets", where), ((z * d).sum(axis) - (share * y * g).sum(axis)), natural
        if row.centred:
            yield Place("Σ δ over normalized sets", where), d.sum(axis), np.abs(d).sum(axis)


def gradient_bound(evidence: Evidence) -> Iterator[Finding]:
    """No layer enlarges a gradient by more than max|φ′| times its largest singular value, and branches of zero pass it on untouched.

    ‖δ_l‖ ≤ max|φ′|·σ_max(W_{l+1})·‖δ_{l+1}‖ for Frobenius norms, trained or not; softmax cross-entropy starts it with
    ‖δ_L‖ ≤ √(2/B). Allowed on top is the worst case of rounding a dot product of n terms, n·u·‖W‖_F. Where a branch is
    exactly zero, δ of every block's last layer has the same bits, layers inside the branch get no gradient and the zeros get one.
    """
    sup = ACTIVATIONS[evidence.spec.act].sup
    for title, seen in (("own weights", evidence.native), ("drawn weights", evidence.shared)):
        size = {layer: float(np.linalg.norm(d.astype(np.float64))) for layer, d in seen.pre_activation_gradients.items()}
        if evidence.spec.loss == "cross_entropy":
            yield _over(
                Place("‖∂L/∂logits‖ over its bound", scope=title),
                size[evidence.spec.depth],
                (2 / len(seen.logits)) ** 0.5,
                evidence.spec.classes * evidence.result_unit,
            )
        for joint in joints(evidence.spec) if evidence.spec.norm == "none" else ():
            w = seen.weights[f"{joint.right}.weight"].astype(np.float64)
            largest = float(np.linalg.norm(w, 2))
            slack = w.shape[0] * evidence.result_unit * float(np.linalg.norm(w)) / (largest or 1.0)
            yield _over(
                Place("‖δ‖ over its bound", str(joint.left), scope=title), size[joint.left], sup * largest * size[joint.right], slack
            )
        if evidence.spec.branch == "zero" and evidence.spec.skip_order == "pre":
            ends = [step.body[-1].layer for step in program(evidence.spec) if isinstance(step, Residual)]
            for layer in ends:
                differing = np.count_nonzero(seen.pre_activation_gradients[layer] != seen.pre_activation_gradients[ends[-1]])
                place = Place(f"entries of δ that differ from layer {ends[-1]}'s", str(layer), scope=title)
                yield Finding(place, float(differing), 0.0, 0.0)

    if evidence.spec.branch == "zero":
        yield from _behind_zeros(evidence)


def _behind_zeros(evidence: Evidence) -> Iterator[Finding]:
    """What a branch computes before weights of zero gets no gradient at all, and those weights get one."""
    gradients = evidence.seen.forced_steps[0].gradients
    for step in program(evidence.spec):
        if isinstance(step, Residual):
            *inner, last = [part.layer for part in step.body if isinstance(part, Dense)]
            for layer in inner:
                moved = sum(np.count_nonzero(gradients[f"{layer}.{kind}"]) for kind in ("weight", "bias"))
                place = Place("entries of the gradient behind zero weights", str(layer), step=0)
                yield Finding(place, float(moved), 0.0, 0.0)
            there = np.count_nonzero(gradients[f"{last}.weight"]) / gradients[f"{last}.weight"].size
            place = Place("share of zero weights that get a gradient", str(last), step=0)
            yield Finding(place, there, np.finfo(float).tiny, 1.0)


def _over(place: Place, size: float, bound: float, slack: float) -> Finding:
    """By what share a norm exceeds its bound."""
    excess = max(size / bound - 1, 0.0) if bound > 0 else size
    return Finding(place, excess, 0.0, slack, f"{size:.4g} where {bound:.4g} is the most")


def has_bound(spec: Spec) -> bool:
    """Whether any of the bounds says something of this network."""
    return spec.loss == "cross_entropy" or spec.branch == "zero" or (spec.norm == "none" and bool(joints(spec)))
