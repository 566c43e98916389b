"""A network that PyTorch trains for many epochs: nothing is kept of a step but now and then the norms of its gradients."""

from __future__ import annotations

import numpy as np
import torch
from torch.optim import swa_utils

from models.arrays import Batch, Logits, PerStep, Places, Targets
from models.backends.torch.layers import array
from models.backends.torch.network import Network
from models.observation import Epoch
from models.spec import Spec


class EpochNetwork(Network):
    """`spec` in PyTorch on `device`, trained epoch by epoch."""

    def __init__(self, spec: Spec, *, steps: int, every: int, seed: int = 0, device: str = "cpu", mode: str = "") -> None:
        """An epoch has `steps` steps in this mode, and gradients are looked at after each `every` of them."""
        super().__init__(spec, seed=seed, device=device, mode=mode, record=())
        self._every = every

    def fit(self, x: Batch, labels: Targets, places: Places, schedule: PerStep) -> Epoch:
        """One epoch over the samples at `places`, whole batches, each at its factor of the learning rate."""
        inputs, targets, chosen = self.tensor(x), self.target(labels), torch.as_tensor(places, device=self.device)
        weights = [self.parameters[name] for name in self.graph.followed]
        losses: list[torch.Tensor] = []
        norms: list[torch.Tensor] = []
        for number, (batch, factor) in enumerate(zip(chosen, schedule, strict=True), start=1):
            self._set_rate(float(factor) * self.spec.learning_rate)
            losses.append(self.forward_backward(inputs[batch], targets[batch]).detach())
            self._unscale()
            if number % self._every == 0:
                norms += torch._foreach_norm([w.grad for w in weights], 2, torch.float64)
            self.clip()
            self.update()
            if number % self._every == 0 and not bool(torch.isfinite(losses[-1])):
                break
        table = array(torch.stack(norms)).reshape(-1, len(weights)) if norms else np.zeros((0, len(weights)))
        return Epoch(float(torch.stack(losses).double().mean()), table, len(losses))

    def input_gradients(self, x: Batch, labels: Targets) -> Batch:
        """The training loss's gradient with respect to the inputs."""
        inputs = self.tensor(x).requires_grad_()
        return array(torch.autograd.grad(self.forward_loss(inputs, self.target(labels)), inputs)[0])

    def batch_logits(self, x: Batch) -> Logits:
        """Outputs by this batch's own statistics, as in training; running statistics stay as they are."""
        before, was = self._statistics(), {part: part.training for part in self.module.modules()}
        self.module.eval()
        for norm in self.norms.values():
            norm.train()
        with torch.no_grad():
            logits = array(self.module(self.tensor(x)))
        for part, training in was.items():
            part.training = training
        self._restore(before)
        return logits

    def refresh(self, x: Batch, places: Places) -> None:
        """Running statistics become the mean over these batches, by PyTorch's own `swa_utils.update_bn`."""
        inputs, chosen = self.tensor(x), torch.as_tensor(places, device=self.device)
        swa_utils.update_bn((inputs[batch] for batch in chosen), self.module)
