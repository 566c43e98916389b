"""Trainings of many epochs on data that the process holds: one epoch a request, so that whoever asks sees how far it is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.architectures.levels import refined
from models.arrays import Batch, Logits, Norms, PerStep, Places, Targets
from models.backends.call_cost import peak
from models.backends.protocol import Backend, EpochNetwork
from models.observation import Epoch
from models.parts.losses import LOSSES
from models.reference.draws import draw_weights
from models.reference.network import Reference
from models.spec import Spec

TESTED = 1_000
"""Samples that are evaluated at one time, and whose own statistics batch normalization takes where it is asked to."""
WATCHED = 500
"""Test samples over which signals in training and in evaluation are compared."""
SOLVED, BLANK = 0.04, 0
"""How near a number must be met (Hochreiter & Schmidhuber 1997), and the label of time steps that ask nothing."""


@dataclass
class EpochSeen:
    """One epoch and the accuracy on the test set after it, in evaluation mode and by batches' own statistics.

    The second one is NaN without batch normalization, and `test_loss` without given targets. `processor_s` are seconds of all threads in
    the training alone. `memory_mb` is how far memory rose in it above what was held before, NaN where it was not weighed.
    """

    loss: float
    gradient_norms: Norms
    steps: int
    accuracy: float
    batch_accuracy: float
    test_loss: float
    processor_s: float
    memory_mb: float


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
        self._built: tuple[str, int, int, str, str] | None = None
        self._network: EpochNetwork

    def hold(self, *, x_train: Batch, y_train: Targets, x_test: Batch, y_test: Targets) -> None:
        """Keep training and test samples: with one label each, or with given targets: a number, or a label for each time step."""
        self._x, self._y, self._x_test, self._y_test = x_train, y_train, x_test, y_test
        self._given = y_train.dtype.kind == "f" or y_train.ndim == 2

    def renew(self, *, x_train: Batch, y_train: Targets) -> None:
        """Keep other training samples, as many as before."""
        self._x, self._y = x_train, y_train

    def begin(self, *, network: str, seed: int, device: str, every: int, mode: str = "", refines: bool = False) -> None:
        """Build a network and give it the weights that NumPy draws from `seed`, the same in every framework.

        With `refines` it begins where the network that was trained before has come to, which is a coarser form of it, or the same.
        """
        spec = Spec.parse(network)
        weights = refined(self._network.weights(), self._network.spec.arch, spec.arch) if refines else draw_weights(spec, seed)
        self._seed = seed
        wanted = (network, steps := len(self._x) // spec.batch, every, device, mode)
        build = self._framework.MemoryNetwork if self._given else self._framework.EpochNetwork
        if self._built != wanted:
            self._built = None
            self._network = build(spec, steps=steps, every=every, seed=seed, device=device, mode=mode)
            self._built = wanted
        else:
            self._network.redraw(seed)
        self._network.load(weights, fresh=True)

    def epoch(self, *, network: str, number: int, schedule: PerStep, weighed: bool = False) -> EpochSeen:
        """Train on every sample once, in the order of this seed and of this epoch, counted from 1, and test.

        The memory of a training that is `weighed` is read.
        """
        places = _places(len(self._x), self._network.spec.batch, self._seed, number)
        begun = time.process_time()

        def fit() -> Epoch:
            return self._network.fit(self._x, self._y, places, schedule)

        done, memory = peak(fit, self._framework.peak_device_memory) if weighed else (fit(), math.nan)
        spent = time.process_time() - begun
        by_batch = self._by_batch() if self._network.running() else math.nan
        accuracy, test_loss = self._scores() if self._given else (self._accuracy(), math.nan)
        return EpochSeen(done.loss, done.gradient_norms, done.steps, accuracy, by_batch, test_loss, spent, memory)

    def in_time(self, *, network: str, length: int) -> PerStep:
        """Norms of the training loss's gradient with respect to inputs, for each of `length` time steps, over one batch of test samples."""
        batch = self._network.spec.batch
        d = self._network.input_gradients(self._x_test[:batch], self._y_test[:batch])
        return np.linalg.norm(np.asarray(d, np.float64).reshape(len(d), length, -1), axis=(0, 2))  # type: ignore[no-any-return]

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
        return self._network.accuracy(self._outputs(logits_of), self._y_test)

    def _scores(self) -> tuple[float, float]:
        """The share of test samples that is solved, and the test loss; NaN where an output is."""
        logits = self._outputs(self._network.logits).astype(np.float64)
        loss = LOSSES[self._network.spec.loss].f(logits, self._y_test.ravel() if self._y_test.dtype.kind == "i" else self._y_test)
        return solved(logits, self._y_test), float(loss)

    def _outputs(self, logits_of: Callable[[Batch], Logits]) -> Logits:
        return np.concatenate([logits_of(self._x_test[start : start + TESTED]) for start in range(0, len(self._x_test), TESTED)])

    def _distances(self) -> list[float]:
        """By the float32 reference on the network's own weights and running statistics, so that it is the same look at every backend."""
        network, x = self._network, self._x_test[:WATCHED]
        reference = Reference(network.spec, network.weights(), np.float32)
        training, evaluation = reference.forward(x).pre_activations, reference.forward(x, network.running()).pre_activations
        return [float(np.linalg.norm(evaluation[name] - z) / np.linalg.norm(z)) for name, z in training.items()]


def solved(logits: Logits, targets: Targets) -> float:
    """The share of given numbers that are met to `SOLVED`, or of given labels but blanks that have the largest logit."""
    if targets.dtype.kind == "f":
        return float(np.mean(np.abs(logits - targets) < SOLVED))
    labels = targets.ravel()
    return float(np.mean(logits.argmax(1)[labels != BLANK] == labels[labels != BLANK]))


def _places(samples: int, batch: int, seed: int, epoch: int) -> Places:
    """Samples in random order, in whole batches; what does not fill one is left out, other samples in every epoch."""
    order = np.random.default_rng((seed, epoch)).permutation(samples)
    return order[: len(order) // batch * batch].reshape(-1, batch)
