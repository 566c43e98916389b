"""The reference as a network that is trained: it keeps weights, the optimizer's slots and running statistics."""

from __future__ import annotations

import math

import numpy as np

from models.architectures import graph
from models.architectures.reversible import RECOMPUTED
from models.arrays import Arrays, Batch, Batches, BatchLabels, Labels, Logits, PerStep, Statistics
from models.backends.numpy.timing import timed_step
from models.backends.protocol import ALL, Record, TimedWork
from models.backends.registry import Absent, BackendError
from models.nodes import WIRED, Normalize
from models.observation import Trained, WatchedPass
from models.own.address import OwnModel
from models.own.protocol import AlignedNetwork, OwnNetwork, OwnStep
from models.own.training import OwnHistory
from models.parts.clips import SHRUNK
from models.parts.norms import running_variance
from models.parts.optimizers import AVERAGE
from models.reference.draws import draw_weights
from models.reference.network import Pass, Reference
from models.reference.optimizers import Rule, penalty
from models.reference.reversible import TakenBack
from models.spec import Spec

CONVENTIONS = "torch"


class Network:
    """`spec` in NumPy, initialized from `seed`."""

    fused = False

    def __init__(self, spec: Spec, *, seed: int = 0, device: str = "cpu", mode: str = "", record: Record = ALL) -> None:
        """Draw the weights; in the mode `recomputed` activations are computed again, and kept as well.

        Raises BackendError for another device than the CPU, Absent for what only frameworks have.
        """
        if device != "cpu":
            raise BackendError(f"Device {device!r} was asked for, and NumPy computes on the CPU: use --device=cpu.")
        if spec.format.half:
            raise Absent("NumPy has no mixed precision")
        if spec.arch.random:
            raise Absent("NumPy's network has no randomized slopes")
        self.spec, self.graph, self._dtype = spec, graph(spec), np.dtype(spec.format.held)
        self._last, self._factor = Pass(), 1.0
        self._passes = TakenBack if mode == RECOMPUTED else Reference
        self._average: Arrays = {}
        self.redraw(seed)

    def load(self, weights: Arrays, fresh: bool) -> None:
        """Set parameters; `fresh` also empties the optimizer's slots and resets running statistics."""
        self._weights = {name: np.array(weights[name], self._dtype) for name in self.graph.parameters}
        if fresh:
            self._rule = Rule(self.spec, CONVENTIONS, self._dtype)
            self._running: Statistics = {
                node.name: (np.zeros(node.width, self._dtype), np.ones(node.width, self._dtype))
                for node in self.graph.of(Normalize)
                if node.norm == "batch"
            }

    def redraw(self, seed: int) -> None:
        """Draw anew from another seed, as if just built."""
        self.load(draw_weights(self.spec, seed), fresh=True)

    def weights(self) -> Arrays:
        """Parameters by name."""
        return dict(self._weights)

    def gradients(self) -> Arrays:
        """The last step's gradients before clipping."""
        return self._last.gradients

    def applied(self) -> Arrays:
        """The last step's gradients after clipping."""
        return self._rule.clip(self._last.gradients)

    def running(self) -> Statistics:
        """Running mean and variance of every batch normalization."""
        return dict(self._running)

    def loss_scale(self) -> float:
        """No loss is scaled."""
        return 1.0

    def freeze_noise(self, frozen: bool) -> None:
        """No slope is randomized."""

    def watch(self, x: Batch, labels: Labels) -> WatchedPass:
        """One forward and backward pass in training mode."""
        seen = self._run(x, labels)
        names = (*(node.name for node in self.graph.nodes if not isinstance(node, WIRED)), *self.graph.parameters, "loss")
        formats = dict.fromkeys(names, self._dtype.name)
        return WatchedPass(self.weights(), float(seen.loss), seen.logits, seen.pre_activations, seen.pre_activation_gradients, formats)

    def slope(self, x: Batch, labels: Labels, direction: Arrays) -> float:
        """⟨gradient, direction⟩ in float64: the reference has no forward mode."""
        gradients = Reference(self.spec, self._weights).run(x, labels).gradients
        return sum(float(np.vdot(gradients[name], direction[name])) for name in gradients)

    def step(self, x: Batch, labels: Labels, scale: float = 1.0) -> float:
        """One training step on `scale` times the loss."""
        self._last = self._run(x, labels)
        added, extra = penalty(self.spec, self._weights, CONVENTIONS)
        self._last.loss += self._dtype.type(added)
        self._last.gradients |= {name: self._last.gradients[name] + g.astype(self._dtype) for name, g in extra.items()}
        if scale != 1:
            self._last.gradients = {name: g * self._dtype.type(scale) for name, g in self._last.gradients.items()}
        for node in self.graph.of(Normalize):
            if node.name in self._running:
                mean, variance = self._last.statistics[node.name]
                new, kept = (mean, running_variance(variance, len(x) * node.positions, CONVENTIONS)), self._dtype.type(node.momentum)
                self._running[node.name] = tuple(kept * a + (1 - kept) * b for a, b in zip(self._running[node.name], new, strict=True))
        self._weights = self._rule.step(self._weights, self._last.gradients, self._factor)
        return float(self._last.loss)

    def timed_step(self, x: Batch, labels: Labels) -> TimedWork:
        """One training step for the clock."""
        return timed_step(self, x, labels)

    def train(self, xs: Batches, labels: BatchLabels, schedule: PerStep, record: bool = True) -> Trained:
        """Train on every batch, each at its factor of the learning rate; without `record` only losses are kept."""
        losses, norms, clipped = [], [], []
        for number, (x, y, self._factor) in enumerate(zip(xs, labels, schedule, strict=True)):
            losses.append(self.step(x, y))
            self._average = {
                name: w if number == 0 else self._dtype.type(AVERAGE) * self._average[name] + self._dtype.type(1 - AVERAGE) * w
                for name, w in self._weights.items()
            }
            raw = self._last.gradients
            norms.append([np.linalg.norm(raw[name].astype(np.float64)) for name in self.graph.followed])
            clipped.append(any((abs(after) < abs(raw[name]) * (1 - SHRUNK)).any() for name, after in self.applied().items()))
        self._factor = 1.0
        share = float(np.mean(clipped)) if record and self.spec.clip != Spec.clip else math.nan
        return Trained(np.array(losses), np.array(norms) if record else np.zeros((len(losses), 0)), share)

    def average(self) -> None:
        """Put the moving average of weights in their place."""
        self._weights = dict(self._average)

    def logits(self, x: Batch) -> Logits:
        """Outputs in evaluation mode."""
        return Reference(self.spec, self._weights, self._dtype).forward(x, self._running).logits

    def accuracy(self, logits: Logits, labels: Labels) -> float:
        """The share of samples whose label has the largest logit."""
        return float((logits.argmax(1) == labels).mean())

    def _run(self, x: Batch, labels: Labels) -> Pass:
        return self._passes(self.spec, self._weights, self._dtype).run(x, labels)


def own_network(model: OwnModel, seed: int, device: str) -> OwnNetwork:
    """None: raises Absent."""
    raise Absent("a model of a framework")


def own_step(model: OwnModel, mode: str, seed: int, device: str) -> OwnStep:
    """None: raises Absent."""
    raise Absent("a model of a framework")


def aligned_network(model: OwnModel, seed: int, device: str) -> AlignedNetwork:
    """None: raises Absent."""
    raise Absent("a model of a framework")


def train_own(model: OwnModel, seed: int, moved: bool, device: str) -> OwnHistory:
    """None: raises Absent."""
    raise Absent("a model of a framework")
