"""Exact relations that one forward and backward pass must fulfil, whatever the weights: no reference and no theory needed.

Derivations stand with each relation. δ_l = ∂L/∂z_l, z_l = W_l h_{l−1} + b_l, sums over a batch of the mean loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from bench.checks import convolution
from bench.checks.parity import may_turn
from bench.checks.relations import Residuals, View, findings, refuse_rest
from bench.evidence.divergence import within_range
from bench.evidence.evidence import Evidence
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.verdict import RestNotJudged
from models.architectures import graph
from models.arrays import Array
from models.nodes import INPUT, Activate, Antisymmetric, Conv, Dense, Mirror, Multiply, Normalize, Read, Recurrent, Steps, Sum, Transposed
from models.parts.activations import ACTIVATIONS, TAILORED
from models.parts.initializers import INITIALIZERS
from models.parts.norms import NORMS
from models.reference.recurrence import what_is_read, within
from models.spec import Spec

HOMOGENEOUS = ("linear", "relu", "leaky_relu", "rrelu", *TAILORED)
"""φ(az) = a·φ(z) for a > 0, so that φ′(z)·z = φ(z)."""


def is_homogeneous(spec: Spec) -> bool:
    """Whether every layer but its bias is positively homogeneous, and layers meet or biases are zero."""
    unbiased, plain = (
        spec.bias == "zero" and not INITIALIZERS[spec.init].random_bias,
        spec.arch.act in HOMOGENEOUS and spec.arch.norm == "none",
    )
    if graph(spec).of(Conv):
        return plain and unbiased and not spec.arch.span
    return plain and spec.arch.layered and (unbiased or bool(graph(spec).joints))


def is_normalized(spec: Spec) -> bool:
    """Whether dense layers follow each other with a normalization in between."""
    return spec.arch.layered and spec.arch.norm != "none" and not spec.arch.span and bool(graph(spec).joints)


def is_isometric(spec: Spec) -> bool:
    """Whether orthogonal layers follow each other as if nothing stood between, and so keep the length of every sample's gradient."""
    linear = {"none": ("linear",), "looks_linear": ("relu",)}.get(spec.arch.mirror, ())
    scaled = any(node.start != 1 for node in graph(spec).dense)
    return spec.arch.act in linear and spec.init == "orthogonal" and not spec.arch.span and not scaled


@within_range
def homogeneity(evidence: Evidence) -> Iterator[Finding]:
    """Positively homogeneous layers hand on ⟨W, ∂L/∂W⟩ unchanged: layer by layer, unit by unit, sample by sample.

    Unit i of layer l: ⟨w_in, ∂w_in⟩ + b·∂b = Σ z_i δ_i = Σ h_i ∂h_i = ⟨w_out, ∂w_out⟩, because φ′(z)z = φ(z) (Du et al.
    2018); summed over units it is Euler's theorem for the layer. For linear units the whole matrix ∂W_l W_lᵀ + ∂b bᵀ =
    δ_lᵀz_l = δ_lᵀh_l = W_{l+1}ᵀ∂W_{l+1}. Without biases ⟨x, ∂L/∂x⟩ of every sample is the same all along the stream,
    through residual sums as well. Orthogonal layers that are or look linear keep every sample's ‖δ‖ (Balduzzi et al. 2017), and
    delta-orthogonal convolutions every pixel's (Xiao et al. 2018).
    """
    lost = yield from findings(evidence, _units)
    if not any(np.any(w) for key, w in evidence.reference.forced_steps[0].weights.items() if key.endswith("bias")):
        lost += yield from findings(evidence, convolution.stream if graph(evidence.spec).of(Conv) else _stream, (0,))
    if convolution.is_isometric(evidence.spec):
        lost += yield from findings(evidence, convolution.isometry, (0,))
    else:
        if evidence.spec.arch.act == "linear":
            lost += yield from findings(evidence, _matrices)
        if is_isometric(evidence.spec):
            lost += yield from findings(evidence, _isometry, (0,))
    refuse_rest(lost)


def _units(spec: Spec, view: View) -> Residuals:
    for joint in graph(spec).joints:
        (w, dw), (b, db), (out, dout) = map(view.of, (joint.left.weight, joint.left.bias, joint.right.weight))
        into, onward = (w * dw).sum(1) + b * db, (out * dout).sum(0)
        natural = np.linalg.norm(w, axis=1) * np.linalg.norm(dw, axis=1) + np.abs(b * db)
        where = joint.left.name
        yield Place("units' ⟨w, ∂w⟩ in and out", where), into - onward, natural
        yield Place("⟨W, ∂W⟩ against the next layer's", where), into.sum() - onward.sum(), np.linalg.norm(w) * np.linalg.norm(dw)


def _matrices(spec: Spec, view: View) -> Residuals:
    for joint in graph(spec).joints:
        (w, dw), (b, db), (out, dout) = map(view.of, (joint.left.weight, joint.left.bias, joint.right.weight))
        yield Place("∂W Wᵀ against Wᵀ∂W of the next", joint.left.name), dw @ w.T + np.outer(db, b) - out.T @ dout, dw @ w.T


def _stream(spec: Spec, view: View) -> Residuals:
    """⟨x, ∂L/∂x⟩ per sample along the stream, against ⟨logits, ∂L/∂logits⟩."""
    nodes, f = graph(spec), ACTIVATIONS[spec.arch.act].by(spec.computed_by).f
    inside = {node.name for block in nodes.blocks for node in block.body}
    end = (view.pre_activations[nodes.dense[-1].name] * view.pre_activation_gradients[nodes.dense[-1].name]).sum(1)

    def here(name: str, x: Array, d: Array) -> tuple[Place, Array, Array]:
        natural = np.linalg.norm(x, axis=1) * np.linalg.norm(d, axis=1)
        return Place("samples' ⟨x, ∂x⟩ against the logits'", name), (x * d).sum(1) - end, natural

    x = view.x
    for node in nodes.nodes:
        if isinstance(node, Sum):
            branch = node.inputs[1]
            if not isinstance(nodes[branch], Dense):
                return
            x = node.keep * x + node.scale * view.pre_activations[branch]
            yield here(branch, x, view.pre_activation_gradients[branch] / node.scale)
        elif node.name in inside:
            continue
        elif isinstance(node, Dense):
            x = view.pre_activations[node.name]
            yield here(node.name, x, view.pre_activation_gradients[node.name])
        elif isinstance(node, Mirror):
            x = np.hstack([x, -x])
        else:
            x = f(x)


def _isometry(spec: Spec, view: View) -> Residuals:
    """As far back from the logits as W Wᵀ = 1: of an orthogonal layer that widens, Wᵀδ is as long as δ's share in its range."""
    dense = graph(spec).dense
    end = np.linalg.norm(view.pre_activation_gradients[dense[-1].name], axis=1)
    for node, after in reversed(list(pairwise(dense))):
        if after.fan_out > after.fan_drawn:
            return
        here = np.linalg.norm(view.pre_activation_gradients[node.name], axis=1)
        yield Place("samples' ‖δ‖ against the logits'", node.name), here - end, end


@within_range
def sum_rules(evidence: Evidence) -> Iterator[Finding]:
    """Parameter gradients are the sums they are made of, and those of softmax cross-entropy add up to zero over the classes.

    ∂L/∂b = Σ_samples δ and ∂L/∂W = δᵀh, the left sides from the training step and the right sides from a pass of their
    own, where that rounds as the step does; a convolution's are sums over pixels as well, with h what lies under each tap. A recurrent
    layer's are sums over time steps, whose inputs x it sees through Wx + b alone: Wᵀ∂b = Σ ∂L/∂x and Wᵀ∂W = Σ ∂L/∂x xᵀ.
    Σ_k softmax_k = Σ_k target_k = 1, so δ of every sample, ∂b and every column of
    ∂W sum to 0 in the last layer. A branch a·y has a·∂a = Σ y·∂y, which is ⟨W, ∂W⟩ + ⟨b, ∂b⟩ of the layer that computes y, or
    ⟨γ, ∂γ⟩ + ⟨β, ∂β⟩ of its normalization.
    """
    lost = 0
    # Of two executions one may put a unit on the other side of its kink, which no bound of rounding holds.
    turned = evidence.step == "fused" and evidence.spec.format.plain and may_turn(evidence, *evidence.steps[0])
    if evidence.watches_the_step and not turned:
        lost += yield from findings(evidence, _sums, (0,))
    elif evidence.spec.loss != "cross_entropy":
        evidence.refuse_unwatched()
    if evidence.spec.loss == "cross_entropy":
        lost += yield from findings(evidence, _classes)
    if graph(evidence.spec).of(Multiply):
        lost += yield from findings(evidence, _multiplied, (1, 2))  # in the first step the number is zero
    refuse_rest(lost)
    if turned:
        raise RestNotJudged(
            "the step is compiled on its own, and some unit is within rounding of its kink: judge it with precision=float64"
        )


def _multiplied(spec: Spec, view: View) -> Residuals:
    for node in graph(spec).of(Multiply):
        a, da = view.of(node.multiplier)
        below = graph(spec)[node.inputs[0]]
        pairs = [view.of(f"{below.name}.{kind}") for kind in below.parameters]
        natural = sum(float(np.linalg.norm(w) * np.linalg.norm(dw)) for w, dw in pairs)
        yield Place("a·∂a against ⟨w, ∂w⟩ of the branch", below.name), a * da - sum(float((w * dw).sum()) for w, dw in pairs), natural


def _sums(spec: Spec, view: View) -> Residuals:
    f = ACTIVATIONS[spec.arch.act].by(spec.computed_by).f
    inputs = {node.name: view.x for node in graph(spec).dense if node.inputs == (INPUT,)}
    for read in graph(spec).of(Read) if view.pre_activations else ():
        (steps,) = graph(spec).of(Steps)
        h = what_is_read(read, view.pre_activations[read.inputs[0]], within(steps, view.x))
        inputs |= {reader.name: h for reader in graph(spec).readers[read.name]}
    for joint in graph(spec).joints:
        if len(joint.between) == 1 and isinstance(joint.between[0], Activate):
            inputs[joint.right.name] = f(view.pre_activations[joint.left.name])
    for skew in graph(spec).of(Antisymmetric):
        g = view.gradients[skew.weight]
        yield Place("∂W against −∂Wᵀ", skew.name), g + g.T, np.linalg.norm(g)
    affine = (*graph(spec).dense, *graph(spec).of(Transposed))
    for node in affine if view.pre_activation_gradients else ():
        d = view.pre_activation_gradients[node.name]
        yield Place("∂b against Σδ", node.name), view.gradients[node.bias] - d.sum(0), np.abs(d).sum(0)
    if view.pre_activation_gradients:
        yield from convolution.sums(spec, view)
        yield from _sums_in_time(spec, view)
    for name, h in inputs.items():
        d = view.pre_activation_gradients[name]
        natural = np.linalg.norm(d) * np.linalg.norm(h)
        yield Place("∂W against δᵀh", name), view.gradients[f"{name}.weight"] - d.T @ h, natural


def _sums_in_time(spec: Spec, view: View) -> Residuals:
    """Of every recurrent layer, over samples, time steps and directions; δ itself is inside of the layer, and ∂L/∂x = Wᵀδ is not."""
    for node in graph(spec).of(Recurrent):
        x, d = (of[node.inputs[0]].reshape(-1, node.fan_in) for of in (view.pre_activations, view.pre_activation_gradients))
        names = [f"{node.name}.{direction}" for direction in node.directions]
        weights, biases = ([view.of(name + kind) for name in names] for kind in ("weight", "bias"))
        of_biases = sum(w.T @ db for (w, _), (_, db) in zip(weights, biases, strict=True))
        yield Place("Wᵀ∂b against Σ ∂x over time", node.name), of_biases - d.sum(0), np.abs(d).sum(0)
        residual = sum(w.T @ dw for w, dw in weights) - d.T @ x
        yield Place("Wᵀ∂W against Σ ∂x xᵀ over time", node.name), residual, np.linalg.norm(d) * np.linalg.norm(x)


def _classes(spec: Spec, view: View) -> Residuals:
    last = graph(spec).dense[-1]
    where, dw, db = last.name, view.gradients[last.weight], view.gradients[last.bias]
    yield Place("Σ ∂b over classes", where), db.sum(), np.abs(db).sum()
    yield Place("Σ ∂W over classes", where), dw.sum(0), np.abs(dw).sum(0)
    if view.pre_activation_gradients:
        d = view.pre_activation_gradients[last.name]
        yield Place("Σ δ over classes", where), d.sum(1), np.abs(d).sum(1)


@within_range
def norm_orthogonality(evidence: Evidence) -> Iterator[Finding]:
    """A normalization's gradient is orthogonal to what it divides out: to the constant it centres and to the scale of its input.

    With s² = var + ε and y = (z − mean)/s over one set of numbers (a unit's batch, a sample's units, a group),
    s·δ = g − ⟨g⟩ − y⟨gy⟩ gives Σδ = 0 and Σzδ = ε/s²·Σyg, g being the gradient at y; so a bias before batch
    normalization gets no gradient, and ⟨w, ∂w⟩ = ε/s²·γ∂γ per unit (van Laarhoven 2017). What follows γy + β up to the next weights, if
    it is homogeneous, hands on γ∂γ + β∂β = ⟨w_out, ∂w_out⟩.
    """
    lost = yield from findings(evidence, _learned)
    if evidence.spec.arch.norm_at == "before" and not evidence.spec.arch.span:
        lost += yield from findings(evidence, _sets, (0,))
    refuse_rest(lost)


def _learned(spec: Spec, view: View) -> Residuals:
    first = {joint.left.name: joint.between[0] for joint in graph(spec).joints if joint.between}
    divided = {name for name, node in first.items() if isinstance(node, Normalize) and node.norm == "batch"}
    for joint in graph(spec).joints:
        where = joint.left.name
        norms = [node for node in joint.between if isinstance(node, Normalize)]
        if len(norms) != 1:
            continue
        (norm,) = norms
        if norm.norm == "batch" and norm is joint.between[0]:
            (w, dw), (scale, dscale) = view.of(joint.left.weight), view.of(f"{norm.name}.scale")
            natural = np.linalg.norm(w, axis=1) * np.linalg.norm(dw, axis=1)
            share = norm.eps / (np.asarray(view.statistics[norm.name][1], np.float64) + norm.eps)
            yield Place("⟨w, ∂w⟩ before the norm", where), (w * dw).sum(1) - share * scale * dscale, natural
            yield Place("∂b before the norm", where), view.gradients[joint.left.bias], dw
        # Of a single weight that the next normalization divides out, both sides are zero but for ε, and all that is seen is rounding.
        nothing = joint.right.fan_in == 1 and joint.right.name in divided
        if not nothing and (norm is joint.between[-1] or spec.arch.act in HOMOGENEOUS):
            out, dout = view.of(joint.right.weight)
            products = [np.multiply(*view.of(f"{norm.name}.{kind}")) for kind in norm.parameters]
            natural = np.linalg.norm(out, axis=0) * np.linalg.norm(dout, axis=0) * _cancelling(norm, view)
            yield Place("γ∂γ + β∂β against ⟨w_out, ∂w_out⟩", where), sum(products) - (out * dout).sum(0), natural


def _cancelling(norm: Normalize, view: View) -> float:
    """How much larger than y the terms of y = z/s − mean/s are, as which some frameworks compute it, and round: 1 + |mean|/s over |y|, rms.

    |y| is √(var)/s: 1 unless ε is larger than the variance.
    """
    mean, var = (np.asarray(each, np.float64) for each in view.statistics[norm.name])
    square, own = (float(np.mean(each / (var + norm.eps))) for each in (mean**2, var))
    return 1 + (square / (own or 1.0)) ** 0.5


def _sets(spec: Spec, view: View) -> Residuals:
    """Σδ and Σzδ over each normalized set of the pass whose signals were seen, where γ = 1 and β = 0 (the first step)."""
    row, df = NORMS[spec.arch.norm], ACTIVATIONS[spec.arch.act].by(spec.computed_by).df
    axis = 0 if row.over == "batch" else -1
    for joint in graph(spec).joints:
        where, shape = joint.left.name, (len(view.x), spec.arch.groups if row.over == "groups" else 1, -1)
        z, d = view.pre_activations[joint.left.name], view.pre_activation_gradients[joint.left.name]
        y, cache = row.forward(z, 1.0, 0.0, spec.arch.eps, spec.arch.groups)
        g = (view.pre_activation_gradients[joint.right.name] @ view.weights[joint.right.weight]) * df(y)
        z, d, y, g = (a.reshape(shape) for a in (z, d, y, g))
        share = spec.arch.eps * np.square(cache.inverse).reshape((1, 1, -1) if axis == 0 else (len(view.x), -1, 1))
        natural = np.linalg.norm(z, axis=axis) * np.linalg.norm(d, axis=axis)
        yield Place("Σ zδ over normalized sets", where), ((z * d).sum(axis) - (share * y * g).sum(axis)), natural
        if row.centred:
            yield Place("Σ δ over normalized sets", where), d.sum(axis), np.abs(d).sum(axis)
