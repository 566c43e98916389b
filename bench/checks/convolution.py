"""Laws of convolutional networks: how they begin, what they hand on, and of what sums their gradients are made."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from scipy.stats import norm, t

from bench.checks.relations import Residuals, View
from bench.evidence.divergence import within_range
from bench.evidence.evidence import Evidence
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.tolerance import BAND_Z, ROUNDING_MULTIPLE
from bench.theory.images import NETWORKS, ensemble, logs
from models.architectures import graph
from models.arrays import Array
from models.nodes import Activate, Conv
from models.parts.activations import ACTIVATIONS
from models.parts.initializers import INITIALIZERS
from models.reference.convolution import patches, pixels
from models.spec import Spec

LN10 = float(np.log(10))
FOURTH = {"normal": 3.0, "uniform": 1.8}
"""Fourth moment over the squared second; that of a truncated normal is smaller than a normal's, which is taken for it."""


def sums(spec: Spec, view: View) -> Residuals:
    """∂b = Σ δ and ∂W = Σ δ · patch over samples and pixels, for every convolution whose image is a signal or an activation of one."""
    for conv in graph(spec).of(Conv):
        d = pixels(view.pre_activation_gradients[conv.name])
        yield Place("∂b against Σδ", conv.name), view.gradients[conv.bias] - d.sum(0), np.abs(d).sum(0)
        if (h := _below(spec, conv, view)) is not None:
            rows, by_group = patches(conv, h), np.split(d, conv.groups, axis=1)
            summed = np.concatenate([each.T @ patch for each, patch in zip(by_group, rows, strict=True)])
            residual = view.gradients[conv.weight].reshape(summed.shape) - summed
            yield Place("∂W against δᵀh", conv.name), residual, np.linalg.norm(d) * np.linalg.norm(rows)


def _below(spec: Spec, conv: Conv, view: View) -> Array | None:
    """What a convolution reads, where that is a signal, or an activation of one."""
    below = graph(spec)[conv.inputs[0]]
    if below.name in view.pre_activations:
        return view.pre_activations[below.name]
    if isinstance(below, Activate) and (name := below.inputs[0]) in view.pre_activations:
        return ACTIVATIONS[below.activation].by(spec.computed_by).f(view.pre_activations[name])
    return None


def stream(spec: Spec, view: View) -> Residuals:
    """⟨z, ∂L/∂z⟩ of every sample at each signal, against the logits': homogeneous layers, pooling among them, hand it on."""
    last = graph(spec).dense[-1].name
    products = {name: view.pre_activations[name] * d for name, d in view.pre_activation_gradients.items()}
    end = products[last].sum(1)
    for name, each in products.items():
        lengths = (np.linalg.norm(of[name].reshape(len(end), -1), axis=1) for of in (view.pre_activations, view.pre_activation_gradients))
        yield Place("samples' ⟨x, ∂x⟩ against the logits'", name), each.reshape(len(end), -1).sum(1) - end, np.prod(list(lengths), axis=0)


def is_isometric(spec: Spec) -> bool:
    """Whether hidden convolutions are linear and orthogonal at one tap, so that each pixel keeps its length (Xiao et al. 2018)."""
    arch = spec.arch
    return bool(graph(spec).of(Conv)) and arch.act == "linear" and spec.init == "orthogonal" and spec.fields["start"] == "delta"


def isometry(spec: Spec, view: View) -> Residuals:
    """‖δ‖ of every pixel against the next convolution's: its one tap is an orthogonal matrix."""
    for below, conv in pairwise(graph(spec).of(Conv)):
        if conv.stride == 1 and conv.inputs == (f"act{below.layer}",):
            one, other = (np.linalg.norm(view.pre_activation_gradients[each.name], axis=1) for each in (below, conv))
            yield Place("pixels' ‖δ‖ against the next layer's", below.name), one - other, other


def convolution_start(evidence: Evidence) -> Iterator[Finding]:
    """The framework's own convolutions begin with the variance that their summands ask for, orthogonal, or with their middle taps alone.

    Fans count taps: a number of the result has channels below / groups · taps summands. Variances are within their sampling error, and
    biases zero, or within PyTorch's bound. Of a delta start all taps but the middle one are zero, and it is drawn as a dense layer is.
    """
    row = INITIALIZERS[evidence.spec.init]
    for conv in graph(evidence.spec).of(Conv):
        weight, bias = (evidence.native.weights[name].astype(np.float64) for name in (conv.weight, conv.bias))
        fan_in, fan_out = conv.fan_in, conv.width * conv.kernel**2
        if conv.delta:
            middle = conv.kernel // 2
            others = np.delete(weight.reshape(*weight.shape[:2], -1), middle * (conv.kernel + 1), axis=2)
            yield Finding(Place.of(conv.weight, "largest weight beside the middle"), float(np.abs(others).max()), 0.0, 0.0)
            weight, fan_in, fan_out = weight[:, :, middle, middle], conv.channels_below, conv.width
        if row.shape == "orthogonal":
            yield _orthogonal(conv, weight.reshape(1, -1) if conv.depthwise and evidence.conventions == "keras" else weight, row.gain)
        else:
            reach = BAND_Z * ((FOURTH[row.shape] - 1) / weight.size) ** 0.5
            share = float(np.mean(weight**2)) / row.variance(fan_in, fan_out)
            yield Finding(Place.of(conv.weight, "variance over the one asked"), share, 1 - reach, 1 + reach)
        if evidence.spec.bias == "zero":
            largest, allowed = float(np.abs(bias).max()), ROUNDING_MULTIPLE * float(np.finfo(np.float32).eps)
            beyond = max(largest * fan_in**0.5 - 1, 0.0) if row.random_bias else largest
            yield Finding(Place.of(conv.bias, "largest bias beyond its bound"), beyond, 0.0, allowed * row.random_bias)


def _orthogonal(conv: Conv, weight: Array, gain: float) -> Finding:
    """Channels of the result by all that they read, the smaller of both orthogonal; Keras's depthwise kernel is one column."""
    matrix = weight.reshape(len(weight), -1)
    small = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    allowed = ROUNDING_MULTIPLE * float(np.finfo(np.float32).eps) * len(small) ** 0.5
    off = float(np.abs(small / gain - np.eye(len(small))).max())
    return Finding(Place.of(conv.weight, "largest entry of W Wᵀ − 1"), off, 0.0, allowed)


@within_range
def image_gain(evidence: Evidence) -> Iterator[Finding]:
    """The framework's own start carries signals and gradients from layer to layer as networks drawn by its law do.

    log₁₀ of ‖z‖ over the layer's below and of ‖∂L/∂z‖ over the layer's above, and of the first over the last, against random networks
    of the same shapes and batch, in float64. The bound is that of Student's t for a mean and a spread that are known from these.
    """
    forced_step = evidence.reference.forced_steps[0]
    law = ensemble(evidence.spec, forced_step.x, forced_step.labels)
    seen = logs(evidence.spec, evidence.native.pre_activations, evidence.native.pre_activation_gradients)
    factor = float(t.isf(norm.sf(BAND_Z), NETWORKS - 1)) * (1 + 1 / NETWORKS) ** 0.5
    names = [node.name for node in graph(evidence.spec).weighted]
    for number, (value, mean, spread) in enumerate(zip(seen, *law, strict=True)):
        if np.isfinite(mean) and np.isfinite(spread):
            back, at = divmod(number, len(names))
            one, other = (names[at], names[at + 1]) if at + 1 < len(names) else (names[0], names[-1])
            pair = (one, other) if back else (other, one)
            reach = factor * spread + ROUNDING_MULTIPLE * evidence.unit
            place = Place(node=pair[0], over=pair[1], array="∂L/∂z" if back else "")
            yield Finding(place, value / LN10, (mean - reach) / LN10, (mean + reach) / LN10, f"{mean / LN10:.3f} ± {spread / LN10:.3f}")
