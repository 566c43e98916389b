"""The reference trained for many epochs."""

from __future__ import annotations

import math

import numpy as np

from models.arrays import Batch, Logits, PerStep, Places, Targets
from models.backends.numpy.network import Network
from models.nodes import Steps
from models.observation import Epoch
from models.reference.network import Reference
from models.spec import Spec


class EpochNetwork(Network):
    """`spec` in NumPy, trained epoch by epoch."""

    def __init__(self, spec: Spec, *, steps: int, every: int, seed: int = 0, device: str = "cpu", mode: str = "") -> None:
        """An epoch has `steps` steps in this mode, and gradients are looked at after each `every` of them."""
        super().__init__(spec, seed=seed, device=device, mode=mode, record=())
        self._every = every

    def fit(self, x: Batch, labels: Targets, places: Places, schedule: PerStep) -> Epoch:
        """One epoch over the samples at `places`, whole batches, each at its factor of the learning rate."""
        losses, norms = [], []
        for number, (batch, self._factor) in enumerate(zip(places, schedule, strict=True), start=1):
            losses.append(self.step(x[batch], labels[batch]))
            if number % self._every == 0:
                norms.append([np.linalg.norm(self._last.gradients[name].astype(np.float64)) for name in self.graph.followed])
                if not math.isfinite(losses[-1]):
                    break
        self._factor = 1.0
        return Epoch(float(np.mean(losses)), np.array(norms).reshape(-1, len(self.graph.followed)), len(losses))

    def input_gradients(self, x: Batch, labels: Targets) -> Batch:
        """The training loss's gradient with respect to the inputs."""
        first = self.graph.nodes[0]
        d = self._run(x, labels).pre_activation_gradients[first.name]
        return d.reshape(len(d), -1)[:, : self.spec.features] if isinstance(first, Steps) else d @ self._weights[f"{first.name}.weight"]

    def batch_logits(self, x: Batch) -> Logits:
        """Outputs by this batch's own statistics, as in training."""
        return Reference(self.spec, self._weights, self._dtype).forward(x).logits

    def refresh(self, x: Batch, places: Places) -> None:
        """Running statistics become the mean over these batches."""
        seen = [Reference(self.spec, self._weights, self._dtype).run(x[batch], np.zeros(len(batch), int)).statistics for batch in places]
        self._running = {name: tuple(np.mean([each[name][which] for each in seen], axis=0) for which in (0, 1)) for name in self._running}
