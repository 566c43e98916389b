"""Optimizers: the written-out rule with its slots, and penalties on weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from models.arrays import Arrays
from models.naming import is_weight
from models.parts.clips import CLIPS
from models.parts.optimizers import OPTIMIZERS, Update
from models.parts.schedules import SCHEDULES
from models.spec import Spec


class Rule:
    """The optimizer's written-out rule: clip, penalty, schedule, update, with its own slots per tensor.

    `conventions` are `torch` or `keras`, whose documented rules differ in where ε stands and in what clipping does to
    gradients under the threshold. Fed with observed gradients it says where the weights must have gone.
    """

    def __init__(self, spec: Spec, conventions: str, dtype: DTypeLike = np.float64) -> None:
        """Start with empty slots."""
        self.spec, self.conventions, self.dtype, self.t = spec, conventions, dtype, 0
        self.slots: dict[str, Arrays] = {}

    def clip(self, gradients: Arrays) -> Arrays:
        """The gradients as the optimizer must see them."""
        return CLIPS[self.spec.clip].rule(gradients, self.spec.clip_at, self.conventions)

    def step(self, weights: Arrays, gradients: Arrays, factor: float = 1.0) -> Arrays:
        """New weights from weights and raw gradients, at `factor` of the learning rate. Penalties in the loss are in gradients already."""
        self.t += 1
        rule = OPTIMIZERS[self.spec.optimizer].rule
        rate = factor * SCHEDULES[self.spec.schedule].factor(self.t - 1, self.conventions) * self.spec.learning_rate
        clipped = self.clip({key: np.asarray(g).astype(self.dtype) for key, g in gradients.items()})
        moved = {}
        for key, g in clipped.items():
            w = np.asarray(weights[key]).astype(self.dtype)
            decayed = is_weight(key)
            if self.spec.l2 and self.conventions == "torch" and decayed:
                g = g + w.dtype.type(self.spec.l2) * w
            decay = self.spec.decay if decayed else 0.0
            update = Update(self.t, rate, decay, self.conventions, self.spec.optimizer_eps)
            moved[key] = rule(w, g, self.slots.setdefault(key, {}), update)
        return moved


def penalty(spec: Spec, weights: Arrays, conventions: str) -> tuple[float, Arrays]:
    """The penalty l1·Σ|W| + ½·l2·Σ‖W‖² in the loss, and its gradient l1·sign W + l2·W; empty where there is none.

    PyTorch adds l2·W to the gradient in its optimizer, so that its loss has the first part alone, which its users add.
    """
    l2 = spec.l2 if conventions == "keras" else 0.0
    if not (spec.l1 or l2):
        return 0.0, {}
    kernels = {key: np.asarray(w, np.float64) for key, w in weights.items() if is_weight(key)}
    loss = sum(spec.l1 * float(np.abs(w).sum()) + 0.5 * l2 * float((w * w).sum()) for w in kernels.values())
    return loss, {key: spec.l1 * np.sign(w) + l2 * w for key, w in kernels.items()}
