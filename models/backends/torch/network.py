"""The network built from PyTorch's own layers, initializers, losses, clipping functions and optimizers."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.optim import swa_utils

from models.arrays import Arrays, Batch, Batches, BatchLabels, Labels, Logits, PerStep
from models.backends.protocol import ALL, Record, TimedWork
from models.backends.registry import BackendError
from models.backends.torch.layers import array
from models.backends.torch.model import Model, optimizer_of, schedule_of
from models.backends.torch.precision import absences, allow_tf32, autocast, float32_products, format_of, forward_mode, scaler
from models.backends.torch.timing import timed_step
from models.nodes import WIRED, Activate
from models.observation import Trained, WatchedPass
from models.parts.activations import ACTIVATIONS
from models.parts.clips import SHRUNK
from models.parts.optimizers import AVERAGE
from models.spec import Spec

COMPILED = {"compile": "default", "graphs": "reduce-overhead"}
"""Modes of a step that is compiled, and what torch.compile calls them; the second one replays CUDA graphs."""
AVERAGED_EVERY = 5
"""Steps between two updates of the average of weights: one costs as much as a step of 16 layers."""


class Network(Model):
    """`spec` in PyTorch on `device`, initialized by PyTorch from `seed`."""

    def __init__(self, spec: Spec, *, seed: int = 0, device: str = "cpu", mode: str = "", record: Record = ALL) -> None:
        """Build, initialize and move; `mode` is one of COMPILED, recomputed or eager. Raises BackendError without the device.

        A step keeps nothing for `record`, since PyTorch leaves gradients in `.grad`; only an average of weights is kept beside it.
        """
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise BackendError(
                f"Device {device!r} was asked for, but this PyTorch ({torch.__version__}) sees no CUDA device: use --device=cpu."
            )
        allow_tf32(spec.format.tf32)
        torch.manual_seed(seed)
        super().__init__(spec, device, mode=mode)
        self.device: str = device
        self.fused = mode in COMPILED
        self._in_precision = autocast(spec, device)
        self.compute_loss = torch.compile(self.forward_loss, mode=COMPILED[mode]) if mode in COMPILED else self.forward_loss
        # Graphs may overwrite what the last step returned; saying so loads the compiler, which other modes do without.
        self._begin_step = torch.compiler.cudagraph_mark_step_begin if mode == "graphs" else lambda: None
        self._fresh = self._statistics()
        self._averages = "average" in record
        self._averaged: swa_utils.AveragedModel | None = None
        self._raw: Arrays = {}
        self._applied: Arrays = {}
        self._new_optimizer()

    def _new_optimizer(self) -> None:
        self.optimizer, self._scaler = optimizer_of(self.spec, self.parameters), scaler(self.spec, self.device)
        self._advance = schedule_of(self.spec, self.optimizer)

    def loss_scale(self) -> float:
        """What the loss is multiplied with now."""
        return self._scaler.get_scale() if self._scaler else 1.0

    def load(self, weights: Arrays, fresh: bool) -> None:
        """Set parameters; `fresh` also empties the optimizer's slots and resets running statistics."""
        self.set_weights(weights)
        if fresh:
            self._new_optimizer()
            self._restore(self._fresh)

    def _statistics(self) -> dict[str, tuple[torch.Tensor, ...]]:
        """Copies of all that batch normalizations keep."""
        return {name: tuple(buffer.clone() for buffer in norm.buffers()) for name, norm in self.norms.items()}

    def _restore(self, statistics: dict[str, tuple[torch.Tensor, ...]]) -> None:
        for name, kept in statistics.items():
            for buffer, value in zip(self.norms[name].buffers(), kept, strict=True):
                buffer.copy_(value)

    def redraw(self, seed: int) -> None:
        """Initialize anew from another seed, as if just built."""
        self.load(Network(self.spec, seed=seed, device=self.device).weights(), fresh=True)

    def gradients(self) -> Arrays:
        """The last step's gradients before clipping."""
        return self._raw

    def applied(self) -> Arrays:
        """The last step's gradients as the optimizer saw them, after clipping."""
        return self._applied

    def freeze_noise(self, frozen: bool) -> None:
        """Randomized slopes at their mean (as in evaluation) or drawn."""
        for node in self.graph.of(Activate):
            if ACTIVATIONS[node.activation].random:
                self.parts[node.name].train(not frozen)

    def watch(self, x: Batch, labels: Labels) -> WatchedPass:
        """One forward and backward pass in training mode that leaves parameters, gradients and running statistics alone."""
        before = self._statistics()
        results: dict[str, torch.Tensor] = {}
        hooks = [
            self.parts[node.name].register_forward_hook(lambda module, args, out, name=node.name: results.__setitem__(name, out))
            for node in self.graph.nodes
            if not isinstance(node, WIRED)
        ]
        with absences(self.device), autocast(self.spec, self.device):
            logits = self.module(self.tensor(x).requires_grad_(self.graph.watches_inputs))  # a sequence or an image is watched, too
            loss = self.loss(logits, self.target(labels))
        outputs = {node.name: results[node.name] for node in self.graph.watched}
        scale = self.loss_scale()
        with absences(self.device):
            pre_activation_gradients = torch.autograd.grad(loss * scale if scale != 1 else loss, list(outputs.values()))
        for hook in hooks:
            hook.remove()
        self._restore(before)
        by_node = {name: array(d) / scale if scale != 1 else array(d) for name, d in zip(outputs, pre_activation_gradients, strict=True)}
        formats = {name: format_of(out) for name, out in (results | self.parameters | {"loss": loss}).items()}
        pre_activations = {name: array(z) for name, z in outputs.items()}
        return WatchedPass(self.weights(), float(loss.detach()), array(logits), pre_activations, by_node, formats, float32_products())

    def forward_loss(self, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The loss on a batch, in the spec's precision."""
        with self._in_precision:
            return super().forward_loss(x, target)

    def slope(self, x: Batch, labels: Labels, direction: Arrays) -> float:
        """The loss's derivative along `direction` (shaped as the weights) by PyTorch's forward mode. Raises Absent where it has none."""
        with absences(self.device), forward_mode():
            names = {id(parameter): name for name, parameter in self.module.named_parameters()}
            duals = {
                names[id(parameter)]: forward_ad.make_dual(parameter.detach(), self.tensor(direction[key]))
                for key, parameter in self.parameters.items()
            }
            loss = self.loss(torch.func.functional_call(self.module, duals, (self.tensor(x),)), self.target(labels))
            return float(forward_ad.unpack_dual(loss).tangent)

    def forward_backward(self, x: torch.Tensor, target: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        """Gradients of `scale` times one batch's loss into `.grad`; returns the loss as a tensor."""
        self._begin_step()
        self.optimizer.zero_grad()
        loss = self.compute_loss(x, target)
        loss_of_step = loss if scale == 1 else scale * loss
        (self._scaler.scale(loss_of_step) if self._scaler else loss_of_step).backward()
        return loss

    def unscale_and_clip(self) -> None:
        """Divide gradients by the loss scale, if there is one, and clip them with PyTorch's own function."""
        self._unscale()
        self.clip()

    def _unscale(self) -> None:
        if self._scaler:
            self._scaler.unscale_(self.optimizer)

    def _clip_and_see(self) -> list[torch.Tensor]:
        """Clip gradients that are without a loss scale; whether that shrank one, where the network clips."""
        present = [p.grad for p in self.parameters.values() if p.grad is not None] if self.spec.clip != Spec.clip else []
        before = [gradient.abs() * (1 - SHRUNK) for gradient in present]
        self.clip()
        shrank = [(gradient.abs() < least).any() for gradient, least in zip(present, before, strict=True)]
        return [torch.stack(shrank).any()] if shrank else []

    def update(self) -> None:
        """Step the optimizer, through the scaler if there is one, and then its schedule."""
        if self._scaler:
            self._scaler.step(self.optimizer)
            self._scaler.update()
        else:
            self.optimizer.step()
        self._advance()

    def step(self, x: Batch, labels: Labels, scale: float = 1.0) -> float:
        """One training step on `scale` times the loss that keeps its gradients before and after clipping; returns the loss."""
        loss, lifted = self.forward_backward(self.tensor(x), self.target(labels), scale), self.loss_scale()
        raw = {key: array(_present(p)) for key, p in self.parameters.items()}
        self._raw = raw if lifted == 1 else {key: g / np.float32(lifted) for key, g in raw.items()}
        self.unscale_and_clip()
        self._applied = {key: array(_present(p)) for key, p in self.parameters.items()}
        self.update()
        return float(loss.detach())

    def timed_step(self, x: Batch, labels: Labels) -> TimedWork:
        """One training step for the clock."""
        return timed_step(self, x, labels)

    def train(self, xs: Batches, labels: BatchLabels, schedule: PerStep, record: bool = True) -> Trained:
        """Train on every batch, each at its factor of the learning rate; without `record` only losses are kept.

        Norms are taken in float64, because a float32 sum of squares reads zero for gradients under 1e-22.
        """
        rule = swa_utils.get_ema_multi_avg_fn(AVERAGE**AVERAGED_EVERY)
        averaged = swa_utils.AveragedModel(self.module, multi_avg_fn=rule) if self._averages else None
        inputs, targets = self.tensor(xs), self.target(labels)
        weights = [self.parameters[name] for name in self.graph.followed]
        losses: list[torch.Tensor] = []
        norms: list[torch.Tensor] = []
        clipped: list[torch.Tensor] = []
        for number, (x, target, factor) in enumerate(zip(inputs, targets, schedule, strict=True), start=1):
            self._set_rate(float(factor) * self.spec.learning_rate)
            losses.append(self.forward_backward(x, target).detach())
            scale = self.loss_scale()
            row = torch._foreach_norm([w.grad for w in weights], 2, torch.float64) if record else []
            self._unscale()
            shrank = self._clip_and_see()
            self.update()
            if averaged and number % AVERAGED_EVERY == 0:
                averaged.update_parameters(self.module)
            if record and self.loss_scale() >= scale:  # a step that overflowed was not taken, and halved the scale
                norms += row if scale == 1 else [norm / scale for norm in row]
                clipped += shrank
        self._averaged = averaged
        self._set_rate(self.spec.learning_rate)
        table = array(torch.stack(norms)).reshape(-1, len(weights)) if norms else np.zeros((0, len(weights)))
        return Trained(array(torch.stack(losses)), table, float(torch.stack(clipped).double().mean()) if clipped else math.nan)

    def _set_rate(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def average(self) -> None:
        """Put the average of weights that `torch.optim.swa_utils` took in their place."""
        assert self._averaged, "a training comes before its average"
        with torch.no_grad():
            for parameter, average in zip(self.module.parameters(), self._averaged.module.parameters(), strict=True):
                parameter.copy_(average)

    def logits(self, x: Batch) -> Logits:
        """Outputs in evaluation mode."""
        was = {part: part.training for part in self.module.modules()}
        self.module.eval()
        with torch.no_grad(), autocast(self.spec, self.device):
            logits = array(self.module(self.tensor(x)))
        for part, training in was.items():
            part.training = training
        return logits

    def accuracy(self, logits: Logits, labels: Labels) -> float:
        """The share of samples whose label has the largest logit, by PyTorch's own comparison."""
        outputs, answers = (torch.as_tensor(np.asarray(each), device=self.device) for each in (logits, labels))
        return float((outputs.argmax(1) == answers).float().mean())


def _present(parameter: nn.Parameter) -> torch.Tensor:
    """The gradient; zeros where PyTorch has none, because a gradient that never arrived is a finding and not a crash."""
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
