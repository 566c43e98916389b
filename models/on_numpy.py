"""The reference: forward pass, backward pass, loss and optimizer written out in NumPy.

In float64 it is the answer; in float32 it shows what rounding costs on the very same network. It shares no code with
any framework, and finite differences and the complex step prove it in the self-tests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.network import Activate, Dense, Normalize, Program, Residual, parameter_keys, program
from models.parts.activations import ACTIVATIONS
from models.parts.clips import CLIPS
from models.parts.losses import LOSSES
from models.parts.norms import NORMS
from models.parts.optimizers import OPTIMIZERS
from models.spec import Spec

Arrays = dict[str, Any]


@dataclass
class Pass:
    """One forward and backward pass.

    `signals` are what each weight layer outputs (z_l, batch × units), `deltas` the loss's gradient with respect to
    them, `gradients` with respect to parameters, `sizes` what these could be at most, ‖∂L/∂z_l‖ times the norm of what it is
    multiplied with, `statistics` each normalization's mean and variance. `margins` is each sample's distance from the
    nearest kink in units of the pre-activation's rms.
    """

    loss: float = 0.0
    logits: Any = None
    signals: dict[int, Any] = field(default_factory=dict)
    deltas: dict[int, Any] = field(default_factory=dict)
    gradients: Arrays = field(default_factory=dict)
    sizes: dict[str, float] = field(default_factory=dict)
    statistics: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    margins: Any = None


class Reference:
    """The network of `spec` with parameters `weights` in `dtype` (float64, float32, or complex for the complex step).

    With `order`, every matrix product sums its terms in an order of its own, drawn from that seed: another draw of what
    rounding does, as another library's kernels would make it.
    """

    def __init__(self, spec: Spec, weights: Arrays, dtype: Any = np.float64, order: int | None = None) -> None:
        """Copy the weights in, rounded to `dtype`."""
        self.spec, self.dtype = spec, np.dtype(dtype)
        self._order = None if order is None else np.random.default_rng(order)
        self.weights = {key: np.asarray(value).astype(dtype) for key, value in weights.items()}
        self.program: Program = program(spec)

    def forward(self, x: Any, running: dict[int, tuple[Any, Any]] | None = None) -> Pass:
        """Signals and logits; with `running` statistics (layer → mean, variance) batch norm is in evaluation mode."""
        return self._forward(x, running)[0]

    def run(self, x: Any, labels: np.ndarray) -> Pass:
        """Forward and backward pass of the training loss on a batch (batch × features) with integer labels."""
        out, tape = self._forward(x, None)
        loss = LOSSES[self.spec.loss]
        target = self.target(labels)
        out.loss = loss.f(out.logits, target)
        if loss.margin is not None:
            out.margins = np.minimum(out.margins, loss.margin(out.logits, target))
        d = loss.df(out.logits, target)
        for step, saved in reversed(tape):
            d = self._backward(step, saved, d, out)
        return out

    def target(self, labels: np.ndarray) -> Any:
        """What the loss compares logits with."""
        target = LOSSES[self.spec.loss].target(labels, self.spec.classes, self.spec.target_scale)
        return target if target.dtype.kind == "i" else target.astype(self.dtype)

    def _forward(self, x: Any, running: Any) -> tuple[Pass, list[tuple[Any, Any]]]:
        out = Pass(margins=np.full(len(x), np.inf))
        h = np.asarray(x).astype(self.dtype)
        tape: list[tuple[Any, Any]] = []
        for step in self.program:
            if isinstance(step, Residual):
                branch: Any = h
                inner: list[Any] = []
                for part in step.body:
                    branch, saved = self._apply(part, branch, out, running)
                    inner.append((part, saved))
                h = h * self.dtype.type(step.keep) + branch * self.dtype.type(step.scale)
                tape.append((step, inner))
            else:
                h, saved = self._apply(step, h, out, running)
                tape.append((step, saved))
        out.logits = h
        return out, tape

    def _apply(self, step: Any, h: Any, out: Pass, running: Any) -> tuple[Any, Any]:
        key = str(step.layer)
        if isinstance(step, Dense):
            z = self._product(h, self.weights[f"{key}.weight"].T) + self.weights[f"{key}.bias"]
            out.signals[step.layer] = z
            return z, h
        if isinstance(step, Normalize):
            scale, shift = self.weights[f"{key}.scale"], self.weights.get(f"{key}.shift")
            if running is not None and self.spec.norm == "batch":
                mean, var = (np.asarray(s).astype(self.dtype) for s in running[step.layer])
                return (h - mean) / np.sqrt(var + self.dtype.type(self.spec.eps)) * scale + shift, None
            y, cache = NORMS[self.spec.norm].forward(h, scale, shift, self.spec.eps, self.spec.groups)
            out.statistics[step.layer] = (cache["mean"][0], cache["var"][0])
            return y, cache
        activation = ACTIVATIONS[self.spec.act]
        if activation.kink:
            away = np.abs(h) / max(float(np.sqrt(np.mean(np.abs(h) ** 2))), np.finfo(np.float64).tiny)
            out.margins = np.minimum(out.margins, away.min(axis=1))
        return activation.f(h), h

    def _backward(self, step: Any, saved: Any, d: Any, out: Pass) -> Any:
        if isinstance(step, Residual):
            branch = d * self.dtype.type(step.scale)
            for part, inner in reversed(saved):
                branch = self._backward(part, inner, branch, out)
            return d * self.dtype.type(step.keep) + branch
        if isinstance(step, Activate):
            return d * ACTIVATIONS[self.spec.act].df(saved)
        if isinstance(step, Normalize):
            dz, learned = NORMS[self.spec.norm].backward(d, saved)
            out.gradients.update({f"{step.layer}.{kind}": g for kind, g in learned.items()})
            out.sizes |= {f"{step.layer}.{kind}": float(np.linalg.norm(d)) * len(d) ** 0.5 for kind in learned}
            return dz
        out.deltas[step.layer] = d
        out.gradients[f"{step.layer}.weight"] = self._product(d.T, saved)
        out.gradients[f"{step.layer}.bias"] = self._product(np.ones((1, len(d)), d.dtype), d)[0]
        size = float(np.linalg.norm(d))
        out.sizes |= {f"{step.layer}.weight": size * float(np.linalg.norm(saved)), f"{step.layer}.bias": size * len(d) ** 0.5}
        return self._product(d, self.weights[f"{step.layer}.weight"])

    def _product(self, a: Any, b: Any) -> Any:
        if self._order is None:
            return a @ b
        terms = self._order.permutation(len(b))
        return a[:, terms] @ b[terms]


class Rule:
    """The optimizer's written-out rule: clip, penalty, update, with its own slots per tensor.

    `dialect` is `torch` or `keras`, whose documented rules differ in where ε stands and in what clipping does to
    gradients under the threshold. Fed with observed gradients it says where the weights must have gone.
    """

    def __init__(self, spec: Spec, dialect: str, dtype: Any = np.float64) -> None:
        """Start with empty slots."""
        self.spec, self.dialect, self.dtype, self.t = spec, dialect, dtype, 0
        self.state: dict[str, dict[str, Any]] = {}

    def clip(self, gradients: Arrays) -> Arrays:
        """The gradients as the optimizer must see them."""
        return CLIPS[self.spec.clip].rule(gradients, self.spec.clip_at, self.dialect)

    def step(self, weights: Arrays, gradients: Arrays) -> Arrays:
        """New weights from weights and raw gradients. In Keras an L2 penalty is already in the gradient."""
        self.t += 1
        rule = OPTIMIZERS[self.spec.optimizer].rule
        clipped = self.clip({key: np.asarray(g).astype(self.dtype) for key, g in gradients.items()})
        moved = {}
        for key, g in clipped.items():
            w = np.asarray(weights[key]).astype(self.dtype)
            state = self.state.setdefault(key, {"is_weight": key.endswith(".weight")})
            if self.spec.l2 and self.dialect == "torch" and state["is_weight"]:
                g = g + w.dtype.type(self.spec.l2) * w
            moved[key] = rule(w, g, state, self.t, self.spec.learning_rate, self.spec, self.dialect)
        return moved


def penalty(spec: Spec, weights: Arrays) -> tuple[float, Arrays]:
    """The L2 penalty ½·l2·Σ‖W‖² and its gradient l2·W, as Keras adds them to loss and gradient."""
    kernels = {key: np.asarray(w, np.float64) for key, w in weights.items() if key.endswith(".weight")}
    return 0.5 * spec.l2 * sum(float((w * w).sum()) for w in kernels.values()), {key: spec.l2 * w for key, w in kernels.items()}


def check_keys(spec: Spec, weights: Arrays) -> None:
    """Raise KeyError unless `weights` holds exactly the network's parameters."""
    if set(weights) != set(parameter_keys(spec)):
        raise KeyError(f"weights of {spec.id} differ in {sorted(set(weights) ^ set(parameter_keys(spec)))}")
