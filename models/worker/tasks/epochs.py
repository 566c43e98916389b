"""Trainings of many epochs on data that the process holds: one epoch a request, so that whoever asks sees how far it is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.arrays import Batch, Labels, Logits, Norms, PerStep, Places
from models.backends.protocol import Backend, EpochNetwork
from models.reference.draws import draw_weights
from models.reference.network import Reference
from models.spec import Spec

TESTED = 1_000
"""Samples that are evaluated at one time, and whose own statistics batch normalization takes where it is asked to."""
WATCHED = 500
"""Test samples over which signals in training and in evaluation are compared."""


@dataclass
class EpochSeen:
    """One epoch and the accuracy on the test set after it, in evaluation mode and by batches' own statistics.

    The second one is NaN without batch normalization. `processor_s` are seconds of all threads in the training alone.
    """

    loss: float
    gradient_norms: Norms
    steps: int
    accuracy: float
    batch_accuracy: float
    processor_s: float


@dataclass
class Refreshed:
    """Accuracy by running statistics before and after they were computed anew, and by batches' own.

    `distance_before` and `distance_after` are ‖z_evaluation − z_training‖ / ‖z_training‖ of every dense layer.
    """

    before: float
    after: float
    by_batch: float
    distance_before: list[float]
    distance_after: list[float]


class Epochs:
    """One network at a time; the next seed of the same one is trained without building it again."""

    def __init__(self, framework: Backend) -> None:
        """Nothing is held yet."""
        self._framework = framework
        self._built: tuple[str, int, int, str] | None = None
        self._network: EpochNetwork

    def hold(self, *, x_train: Batch, y_train: Labels, x_test: Batch, y_test: Labels) -> None:
        """Keep training and test samples."""
        self._x, self._y, self._x_test, self._y_test = x_train, y_train, x_test, y_test

    def begin(self, *, network: str, seed: int, device: str, every: int) -> None:
        """Build a network and give it the weights that NumPy draws from `seed`, the same in every framework."""
        spec = Spec.parse(network)
        self._seed = seed
        wanted = (network, steps := len(self._x) // spec.batch, every, device)
        if self._built != wanted:
            self._built = None
            self._network = self._framework.EpochNetwork(spec, steps=steps, every=every, seed=seed, device=device)
            self._built = wanted
        else:
            self._network.redraw(seed)
        self._network.load(draw_weights(spec, seed), fresh=True)

    def epoch(self, *, network: str, number: int, schedule: PerStep) -> EpochSeen:
        """Train on every sample once, in the order of this seed and of this epoch, counted from 1, and test."""
        places = _places(len(self._x), self._network.spec.batch, self._seed, number)
        begun = time.process_time()
        done = self._network.fit(self._x, self._y, places, schedule)
        spent = time.process_time() - begun
        by_batch = self._by_batch() if self._network.running() else math.nan
        return EpochSeen(done.loss, done.gradient_norms, done.steps, self._accuracy(), by_batch, spent)

    def refresh(self, *, network: str, batches: int) -> Refreshed:
        """Compute nothing but the running statistics anew, over so many batches, and compare evaluation with training."""
        before, distance = self._accuracy(), self._distances()
        places = _places(len(self._x), self._network.spec.batch, self._seed, 0)[:batches]
        self._network.refresh(self._x, places)
        return Refreshed(before, self._accuracy(), self._by_batch(), distance, self._distances())

    def _accuracy(self) -> float:
        return self._tested(self._network.logits)

    def _by_batch(self) -> float:
        return self._tested(self._network.batch_logits)

    def _tested(self, logits_of: Callable[[Batch], Logits]) -> float:
        """The share of test samples whose label has the largest logit."""
        parts = [logits_of(self._x_test[start : start + TESTED]) for start in range(0, len(self._x_test), TESTED)]
        return self._network.accuracy(np.concatenate(parts), self._y_test)

    def _distances(self) -> list[float]:
        """By the float32 reference on the network's own weights and running statistics, so that it is the same look at every backend."""
        network, x = self._network, self._x_test[:WATCHED]
        reference = Reference(network.spec, network.weights(), np.float32)
        training, evaluation = reference.forward(x).pre_activations, reference.forward(x, network.running()).pre_activations
        return [float(np.linalg.norm(evaluation[name] - z) / np.linalg.norm(z)) for name, z in training.items()]


def _places(samples: int, batch: int, seed: int, epoch: int) -> Places:
    """Samples in random order, in whole batches; what does not fill one is left out, other samples in every epoch."""
    order = np.random.default_rng((seed, epoch)).permutation(samples)
    return order[: len(order) // batch * batch].reshape(-1, batch)
