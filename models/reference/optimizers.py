"""Optimizers: the written-out rule with its slots, and penalties on weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from models.architectures import graph
from models.arrays import Arrays
from models.naming import is_weight
from models.nodes import SECOND, Recurrent
from models.parts.cells import CELLS
from models.parts.clips import CLIPS, rounding_of_norms
from models.parts.optimizers import OPTIMIZERS, UNDECIDED, Update
from models.parts.schedules import SCHEDULES
from models.spec import Spec


class Rule:
    """The optimizer's written-out rule: clip, penalty, schedule, update, with its own slots per tensor.

    `conventions` are `torch` or `keras`, whose documented rules differ in where ε stands and in what clipping does to
    gradients under the threshold. Fed with observed gradients it says where the weights must have gone. Keras holds both biases of a GRU
    in one variable (2 × gates · units), so norms and means over a variable are over both (`keras.layers.GRU` with `reset_after`).
    """

    def __init__(self, spec: Spec, conventions: str, dtype: DTypeLike = np.float64) -> None:
        """Start with empty slots."""
        self.spec, self.conventions, self.dtype, self.t = spec, conventions, dtype, 0
        self.slots: dict[str, Arrays] = {}
        self._skipped = 0
        self.undecided: Arrays = {}
        """By how much a rule's last step has decided the sign it took of each entry; 1 where it takes none."""
        recurrent = graph(spec).of(Recurrent) if conventions == "keras" else []
        self._joined = {
            f"{node.name}.{direction}bias": f"{node.name}.{direction}{SECOND}"
            for node in recurrent
            if CELLS[node.cell].biases == 2
            for direction in node.directions
        }

    @property
    def rate(self) -> float:
        """The learning rate of the step that comes next."""
        return self._factor * self.spec.learning_rate

    @property
    def _factor(self) -> float:
        return SCHEDULES[self.spec.schedule].factor(self.t + self._skipped, self.conventions)

    def skip(self) -> None:
        """Pass over a step that overflowed, which moves nothing and no slot: of it PyTorch's schedule knows, and Keras's does not.

        `lr_scheduler.step()` counts its own calls, and `GradScaler` tells no loop that it skipped (pytorch#44511, pytorch#55585). Keras's
        schedule reads the `iterations` of the inner optimizer, which `LossScaleOptimizer` does not call then.
        """
        self._skipped += self.conventions == "torch"

    @property
    def rate_rounding(self) -> float:
        """What rounding the schedule's terms once moves the next rate by, as a share of it.

        Schedules are computed in float64, and Keras's in float32. That it does so for float64 networks too is known, and not allowed here.
        """
        schedule = SCHEDULES[self.spec.schedule]
        factor = self._factor
        coarse = self.conventions == "keras" and self.spec.schedule != Spec.schedule and self.spec.precision != "float64"
        unit = float(np.finfo(np.float32 if coarse else np.float64).eps) / 2
        if not factor or not (schedule.cancels or coarse):
            return 0.0
        return unit / (factor if schedule.cancels else 1.0)

    def clip(self, gradients: Arrays) -> Arrays:
        """The gradients as the optimizer must see them."""
        return self._apart(self._clip(self._variables(gradients)))

    def clip_rounding(self, gradients: Arrays) -> dict[str, float]:
        """What float32's sum of squares moves each clipped gradient by, as a share of it; 0 where clipping leaves gradients alone."""
        given, clipped = self._variables(gradients), self._clip(self._variables(gradients))
        found = rounding_of_norms(self.spec.clip, given)
        shrunk = {key: found[key] if np.any(clipped[key] != g) else 0.0 for key, g in given.items()}
        return shrunk | {second: shrunk[first] for first, second in self._joined.items()}

    def step(self, weights: Arrays, gradients: Arrays, factor: float = 1.0) -> Arrays:
        """New weights from weights and raw gradients, at `factor` of the learning rate. Penalties in the loss are in gradients already."""
        rate, rule = factor * self.rate, OPTIMIZERS[self.spec.optimizer].rule
        self.t += 1
        clipped = self._clip(self._variables({key: np.asarray(g).astype(self.dtype) for key, g in gradients.items()}))
        held = self._variables({key: weights[key] for key in gradients})
        moved, undecided = {}, {}
        for key, g in clipped.items():
            w = np.asarray(held[key]).astype(self.dtype)
            weight = is_weight(key)
            if self.spec.l2 and self.conventions == "torch" and weight:
                g = g + w.dtype.type(self.spec.l2) * w
            decay = self.spec.decay if weight else 0.0
            update = Update(self.t, rate, decay, self.conventions, self.spec.optimizer_eps, weight)
            slots = self.slots.setdefault(key, {})
            moved[key] = rule(w, g, slots, update)
            undecided[key] = slots.get(UNDECIDED, np.ones(w.shape))
        self.undecided = self._apart(undecided)
        return self._apart(moved)

    def _clip(self, gradients: Arrays) -> Arrays:
        return CLIPS[self.spec.clip].rule(gradients, self.spec.clip_at, self.conventions)

    def _variables(self, arrays: Arrays) -> Arrays:
        """Arrays as the framework holds them: those that are one variable there, one on the other."""
        joined = {key: np.stack([arrays[key], arrays[second]]) for key, second in self._joined.items()}
        return {key: array for key, array in (arrays | joined).items() if key not in self._joined.values()}

    def _apart(self, variables: Arrays) -> Arrays:
        """The arrays of which variables are made."""
        parts = {key: array for pair in self._joined.items() for key, array in zip(pair, variables[pair[0]], strict=True)}
        return variables | parts


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
