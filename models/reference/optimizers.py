"""Optimizers: the written-out rule with its slots, and the L2 penalty."""

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
        """New weights from weights and raw gradients, at `factor` of the learning rate. In Keras gradients have the L2 penalty already."""
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


def penalty(spec: Spec, weights: Arrays) -> tuple[float, Arrays]:
    """The L2 penalty ½·l2·Σ‖W‖² and its gradient l2·W, as Keras adds them to loss and gradient."""
    kernels = {key: np.asarray(w, np.float64) for key, w in weights.items() if is_weight(key)}
    return 0.5 * spec.l2 * sum(float((w * w).sum()) for w in kernels.values()), {key: spec.l2 * w for key, w in kernels.items()}
