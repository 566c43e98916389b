"""The reference: forward pass, backward pass, loss and optimizer written out in NumPy.

In float64 it is the answer; in float32 it shows what rounding costs on the very same network. It shares no code with
any framework, and finite differences and the complex step prove it in the self-tests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.graph import Activate, Dense, Normalize, Program, Residual, program
from models.parts.activations import ACTIVATIONS
from models.parts.losses import LOSSES
from models.parts.norms import NORMS
from models.spec import Spec

Arrays = dict[str, Any]


@dataclass
class Pass:
    """One forward and backward pass.

    `pre_activations` are what each weight layer outputs (z_l, batch × units), `pre_activation_gradients` the loss's gradient with respect
    to them, `gradients` with respect to parameters, `sizes` what these could be at most, ‖∂L/∂z_l‖ times the norm of what it is
    multiplied with, `statistics` each normalization's mean and variance. `bends` holds, by place, what has a kink at zero:
    pre-activations, and of a loss with a margin how far it is kept (batch × units).
    """

    loss: float = 0.0
    logits: Any = None
    pre_activations: dict[int, Any] = field(default_factory=dict)
    pre_activation_gradients: dict[int, Any] = field(default_factory=dict)
    gradients: Arrays = field(default_factory=dict)
    sizes: dict[str, float] = field(default_factory=dict)
    statistics: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    bends: dict[str, Any] = field(default_factory=dict)


class Reference:
    """The network of `spec` with parameters `weights` in `dtype` (float64, float32, or complex for the complex step).

    With `order`, every matrix product sums its terms in an order of its own, drawn from that seed: another draw of what
    rounding does, as another library's kernels would make it. With `dialect` (in float32) operands and results are rounded as
    that framework documents the spec's precision: operands of products, results of every layer, forward and backward; sums,
    normalizations and the loss stay in float32. PyTorch adds the bias before it rounds, Keras after.
    """

    def __init__(self, spec: Spec, weights: Arrays, dtype: Any = np.float64, order: int | None = None, dialect: str = "") -> None:
        """Copy the weights in, rounded to `dtype`."""
        self.spec, self.dtype, self._dialect = spec, np.dtype(dtype), dialect
        rounds = bool(dialect) and not spec.format.plain
        self._operand = spec.format.operands.rounded if rounds else _as_it_is
        self._result = spec.format.results.rounded if rounds else _as_it_is
        self._scale = self.dtype.type(spec.first_scale if dialect else 1)
        self._order = None if order is None else np.random.default_rng(order)
        self.weights = {key: np.asarray(value).astype(dtype) for key, value in weights.items()}
        self.program: Program = program(spec)
        self._given: Any = None

    def forward(self, x: Any, running: dict[int, tuple[Any, Any]] | None = None) -> Pass:
        """Signals and logits; with `running` statistics (layer → mean, variance) batch norm is in evaluation mode."""
        return self._forward(x, running)[0]

    def run(self, x: Any, labels: np.ndarray, given: Any = None) -> Pass:
        """Forward and backward pass of the training loss on a batch (batch × features) with integer labels.

        With `given` (a `models.observation.Signals` seen elsewhere) every layer is fed what it was fed there: its own result is kept, and
        the given signal or gradient handed on, so that no layer answers for the rounding of another.
        """
        self._given = given
        out, tape = self._forward(x, None)
        loss = LOSSES[self.spec.loss]
        target = self.target(labels)
        out.loss = loss.f(out.logits, target)
        if loss.margin is not None:
            out.bends["loss"] = loss.margin(out.logits, target)
        d = self._result(loss.df(out.logits, target) * self._scale)
        for step, saved in reversed(tape):
            d = self._backward(step, saved, d, out)
        if self._scale != 1:
            out.gradients = {key: g / self._scale for key, g in out.gradients.items()}
            out.pre_activation_gradients = {layer: delta / self._scale for layer, delta in out.pre_activation_gradients.items()}
        return out

    def target(self, labels: np.ndarray) -> Any:
        """What the loss compares logits with."""
        target = LOSSES[self.spec.loss].target(labels, self.spec.classes, self.spec.target_scale)
        return target if target.dtype.kind == "i" else target.astype(self.dtype)

    def _forward(self, x: Any, running: Any) -> tuple[Pass, list[tuple[Any, Any]]]:
        out = Pass()
        h = np.asarray(x).astype(self.dtype)
        tape: list[tuple[Any, Any]] = []
        for step in self.program:
            if isinstance(step, Residual):
                branch: Any = h
                inner: list[Any] = []
                for part in step.body:
                    branch, saved = self._apply(part, branch, out, running)
                    inner.append((part, saved))
                h = self._sum(h, step.keep, branch, step.scale)
                tape.append((step, inner))
            else:
                h, saved = self._apply(step, h, out, running)
                tape.append((step, saved))
        out.logits = h
        return out, tape

    def _apply(self, step: Any, h: Any, out: Pass, running: Any) -> tuple[Any, Any]:
        key = str(step.layer)
        if isinstance(step, Dense):
            h, bias = self._operand(h), self._result(self.weights[f"{key}.bias"])
            z = self._product(h, self._operand(self.weights[f"{key}.weight"]).T)
            z = self._result((self._result(z) if self._dialect == "keras" else z) + bias)
            out.pre_activations[step.layer] = z
            return self._handed(z, "pre_activations", step.layer), h
        if isinstance(step, Normalize):
            scale, shift = self._learned(f"{key}.scale"), self._learned(f"{key}.shift")
            if running is not None and self.spec.norm == "batch":
                mean, var = (np.asarray(s).astype(self.dtype) for s in running[step.layer])
                return self._result((h - mean) / np.sqrt(var + self.dtype.type(self.spec.eps)) * scale + shift), None
            y, cache = NORMS[self.spec.norm].forward(h, scale, shift, self.spec.eps, self.spec.groups)
            out.statistics[step.layer] = (cache["mean"][0], cache["var"][0])
            return self._result(y), cache
        activation = ACTIVATIONS[self.spec.act]
        if activation.kink:
            out.bends[f"layer {step.layer}"] = h
        return self._result(activation.f(h)), h

    def _backward(self, step: Any, saved: Any, d: Any, out: Pass) -> Any:
        if isinstance(step, Residual):
            branch = self._result(d * self.dtype.type(step.scale))
            for part, inner in reversed(saved):
                branch = self._backward(part, inner, branch, out)
            return self._sum(d, step.keep, branch, 1.0)
        if isinstance(step, Activate):
            return self._result(d * self._slope(saved))
        if isinstance(step, Normalize):
            dz, learned = NORMS[self.spec.norm].backward(d, saved)
            out.gradients.update({f"{step.layer}.{kind}": self._cast(g) for kind, g in learned.items()})
            out.sizes |= {f"{step.layer}.{kind}": float(np.linalg.norm(d)) * len(d) ** 0.5 for kind in learned}
            return self._result(dz)
        out.pre_activation_gradients[step.layer] = d
        d = self._handed(d, "pre_activation_gradients", step.layer, self._scale)
        out.gradients[f"{step.layer}.bias"] = self._result(self._product(np.ones((1, len(d)), d.dtype), d)[0])
        size = float(np.linalg.norm(d))
        out.sizes |= {f"{step.layer}.weight": size * float(np.linalg.norm(saved)), f"{step.layer}.bias": size * len(d) ** 0.5}
        d = self._operand(d)
        out.gradients[f"{step.layer}.weight"] = self._result(self._product(d.T, saved))
        return self._result(self._product(d, self._operand(self.weights[f"{step.layer}.weight"])))

    def _learned(self, key: str) -> Any:
        value = self.weights.get(key)
        return None if value is None else self._cast(value)

    def _cast(self, value: Any) -> Any:
        """What a normalization learns, or its gradient, as the layer computes with it."""
        return self._result(value) if self._dialect and self._dialect == NORMS[self.spec.norm].cast_by else value

    def _slope(self, z: Any) -> Any:
        row = ACTIVATIONS[self.spec.act]
        if row.df_of_value and self._result is not _as_it_is:
            return row.df_of_value(self._result(row.f(z)))
        return row.df(z)

    def _handed(self, own: Any, kind: str, layer: int, scale: Any = 1) -> Any:
        """What the next layer is fed: this layer's result, or the given one."""
        return own if self._given is None else np.asarray(getattr(self._given, kind)[layer]).astype(self.dtype) * scale

    def _sum(self, stream: Any, keep: float, branch: Any, scale: float) -> Any:
        """keep · stream + scale · branch, each term rounded and their sum."""
        number = self.dtype.type
        return self._result(self._result(stream * number(keep)) + self._result(branch * number(scale)))

    def _product(self, a: Any, b: Any) -> Any:
        if self._order is None:
            return a @ b
        terms = self._order.permutation(len(b))
        return a[:, terms] @ b[terms]


def _as_it_is(x: Any) -> Any:
    return x
