"""The law of a freshly initialized network at its own width: random networks, many at once.

At infinite width each layer multiplies squared norms by a known factor (`meanfield`). At width 64 that is off by
several standard deviations in deep or batch-normalized networks. A weight matrix meets the same signals on the way forward and
backward, and mean-field theory takes them to be independent. So the bands come from what the theory
is the limit of: the ensemble of Gaussian (or Haar-orthogonal) matrices with the initializer's variance. Wiring, activations and losses
are the same rows that the reference network is made of; draws, both passes and normalizations are written here once more, and the
self-tests hold them to the theory's factors at large width.

Arrays are (networks, batch, units); everything is float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from bench.progress import track
from models.architectures import graph
from models.arrays import Array
from models.nodes import INPUT, Activate, Antisymmetric, Dense, Join, Mirror, Multiply, Node, Normalize, Part, Sum, Transposed
from models.parts.activations import ACTIVATIONS, RRELU_LOWER, RRELU_UPPER
from models.parts.initializers import INITIALIZERS
from models.parts.losses import LOSSES
from models.parts.norms import NORMS
from models.reference.draws import BIAS_SD
from models.spec import Spec

Stacked = Float[np.ndarray, "networks rows columns"]
"""One matrix a network."""
Pull = Callable[[Stacked], tuple[Stacked, ...]]
"""A gradient with respect to a result, taken back to a gradient with respect to every input."""
NUMBERS_AT_ONCE = 4_000_000
"""Weights, or signals if they are more, of all layers of the networks of a chunk: 32 MB of each, whatever the depth."""


@dataclass
class Norms:
    """Natural logs of squared Frobenius norms of z_l and of ∂L/∂z_l, by dense node one number a network.

    The log of a zero norm (a zero-initialized branch, a saturated loss) is NaN, which no difference turns into a number.
    """

    signal: dict[str, np.ndarray] = field(default_factory=dict)
    delta: dict[str, np.ndarray] = field(default_factory=dict)


def sample(spec: Spec, x: np.ndarray, networks: int, seed: int = 0, independent: bool = False) -> Norms:
    """Draw `networks` networks of `spec`, run x (batch × features) and random labels through each.

    With `independent`, gradients meet fresh weights on their way back: mean-field theory's gradient independence.
    """
    mlp = spec.arch
    widest = max(mlp.depth * mlp.width, spec.features, spec.classes)
    at_once = max(1, min(networks, NUMBERS_AT_ONCE // (widest * max(mlp.width, len(x)))))
    rng = np.random.Generator(np.random.SFC64([seed, mlp.depth, mlp.width]))
    starts = track(range(0, networks, at_once), "random networks")
    chunks = [_Chunk(spec, x, min(at_once, networks - start), rng, independent).norms for start in starts]
    return Norms(
        {name: np.concatenate([chunk.signal[name] for chunk in chunks]) for name in chunks[0].signal},
        {name: np.concatenate([chunk.delta[name] for chunk in chunks]) for name in chunks[0].signal},
    )


def log_square(a: Array) -> Array:
    """log‖a‖² over the last two axes, without under- or overflow of the squares; NaN for zeros."""
    largest = np.abs(a).max((-2, -1), keepdims=True)
    scale = np.where(largest > 0, largest, np.nan)
    return np.log(np.square(a / scale).sum((-2, -1))) + 2 * np.log(scale[..., 0, 0])


class _Chunk:
    """Some networks, run forward and backward on construction."""

    def __init__(self, spec: Spec, x: np.ndarray, networks: int, rng: np.random.Generator, independent: bool) -> None:
        self.spec, self.networks, self.rng, self.independent = spec, networks, rng, independent
        self.init, self.norms = INITIALIZERS[spec.init], Norms()
        results, pulls = {INPUT: np.broadcast_to(x, (networks, *x.shape))}, {}
        nodes = graph(spec)
        self.read_backwards: dict[str, Stacked] = {node.of: np.zeros((0, 0, 0)) for node in nodes.of(Transposed)}
        for node in nodes.nodes:
            results[node.name], pulls[node.name] = self._forward(node, [results[name] for name in node.inputs])
            for name in nodes.forgotten[node.name]:
                del results[name]
        gradients = {nodes.nodes[-1].name: self._loss_gradient(results.popitem()[1])}
        for node in reversed(nodes.nodes):
            pulled = pulls.pop(node.name)(gradients.pop(node.name))
            for name, g in zip(node.inputs, pulled, strict=True):
                gradients[name] = gradients[name] + g if name in gradients else g

    def _loss_gradient(self, logits: Stacked) -> Stacked:
        loss = LOSSES[self.spec.loss]
        labels = self.rng.integers(0, self.spec.classes, (logits.shape[1],))
        target = loss.target(labels, self.spec.classes, self.spec.target_scale)
        with np.errstate(over="ignore", invalid="ignore"):
            gradients = np.stack([loss.df(one, target) for one in logits])
        told = np.isfinite(gradients).all(axis=tuple(range(1, gradients.ndim)), keepdims=True)
        return np.where(told, gradients, 0.0)  # a network whose loss overflows counts as one whose gradient is not seen

    def _forward(self, node: Node, inputs: list[Stacked]) -> tuple[Stacked, Pull]:
        """The node's result and the function that takes a gradient back to each of its inputs."""
        if isinstance(node, Sum):
            stream, branch = inputs
            return node.keep * stream + node.scale * branch, lambda g: (node.keep * g, node.scale * g)
        if isinstance(node, Join):
            return np.concatenate(inputs, 2), lambda g: tuple(np.split(g, 2, 2))
        (h,) = inputs
        if isinstance(node, Part):
            around = (0, 0), (0, 0), (node.begin, node.whole - node.begin - node.width)
            return h[:, :, node.begin : node.begin + node.width], lambda g: (np.pad(g, around),)
        if isinstance(node, Transposed):
            w = self.read_backwards[node.of]
            return h @ w + self._bias(node.alone), lambda g: (g @ w.swapaxes(1, 2),)
        if isinstance(node, Dense):
            return self._dense(node, h)
        if isinstance(node, Normalize):
            return self._normalize(node, h)
        if isinstance(node, Multiply):
            return np.zeros_like(h), lambda g: (np.zeros_like(g),)
        if isinstance(node, Mirror):
            return np.concatenate([h, -h], 2), lambda g: (g[:, :, : node.width // 2] - g[:, :, node.width // 2 :],)
        assert isinstance(node, Activate)
        row = ACTIVATIONS[node.activation]
        if row.random:
            slope = np.where(h > 0, 1.0, self.rng.uniform(RRELU_LOWER, RRELU_UPPER, h.shape))
            return slope * h, lambda g: (slope * g,)
        return row.f(h), lambda g: (g * row.df(h),)

    def _dense(self, step: Dense, h: Stacked) -> tuple[Stacked, Pull]:
        w = self._weights(step)
        if step.name in self.read_backwards:
            self.read_backwards[step.name] = w
        z = h @ w.swapaxes(1, 2) + self._bias(step)
        self.norms.signal[step.name] = log_square(z)

        def pull(g: Stacked) -> tuple[Stacked, ...]:
            self.norms.delta[step.name] = log_square(g)
            return (g @ (self._weights(step) if self.independent else w),)

        return z, pull

    def _weights(self, step: Dense) -> Stacked:
        if step.start == 0:
            return np.zeros((self.networks, step.fan_out, step.fan_in))
        w = self._drawn(step.fan_drawn, step.fan_out)
        w *= step.start
        if isinstance(step, Antisymmetric):
            return w - w.swapaxes(1, 2) - step.damping * np.eye(step.width)
        return np.concatenate([w, -w], 2) if step.mirrored else w

    def _drawn(self, fan_in: int, fan_out: int) -> Stacked:
        """What the initializer draws."""
        if self.init.shape != "orthogonal":
            w = self.rng.standard_normal((self.networks, fan_out, fan_in))
            w *= self.init.variance(fan_in, fan_out) ** 0.5
            return w
        tall = (self.networks, max(fan_in, fan_out), min(fan_in, fan_out))
        q, r = np.linalg.qr(self.rng.standard_normal(tall))
        q = self.init.gain**0.5 * q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
        return q if fan_out >= fan_in else q.swapaxes(1, 2)

    def _bias(self, step: Dense) -> Stacked | float:
        shape = (self.networks, 1, step.fan_out)
        if self.spec.bias == "normal":
            return BIAS_SD * self.rng.standard_normal(shape)
        if self.init.random_bias:
            return self.rng.uniform(-(step.fan_in**-0.5), step.fan_in**-0.5, shape)
        return 0.0

    def _normalize(self, node: Normalize, h: Stacked) -> tuple[Stacked, Pull]:
        """y = (h − mean)/s with s² = var + ε; ∂y/∂h is the projection off the mean and off y, over s."""
        row = NORMS[node.norm]
        axis = 1 if row.over == "batch" else -1
        grouped = h.reshape(*h.shape[:2], node.groups, -1) if row.over == "groups" else h
        centred = grouped - grouped.mean(axis, keepdims=True) if row.centred else grouped
        s = np.sqrt(np.square(centred).mean(axis, keepdims=True) + node.eps)
        y = centred / s

        def pull(g: Stacked) -> tuple[Stacked, ...]:
            g = g.reshape(y.shape)
            off = g - y * (g * y).mean(axis, keepdims=True)
            if row.centred:
                off = off - g.mean(axis, keepdims=True)
            return ((off / s).reshape(h.shape),)

        return y.reshape(h.shape), pull
