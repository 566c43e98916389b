"""A network that Keras trains for many epochs by `fit`: several steps an execution, and one look at gradients after each execution."""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import ops

from models.arrays import Batch, Logits, Norms, PerStep, Places, Targets
from models.backends.keras.layers import array
from models.backends.keras.libraries import LIBRARY, Tensor
from models.backends.keras.network import Network
from models.backends.keras.taps import Taps
from models.nodes import Node, Normalize
from models.observation import Epoch
from models.spec import Spec


class Rates(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of each step of an epoch, out of a variable, so that no epoch is traced anew."""

    def __init__(self, rates: keras.Variable) -> None:
        """Remember the variable (steps)."""
        self._rates = rates

    def __call__(self, step: Tensor) -> Tensor:
        """The rate of a step, counted over epochs of the same length."""
        return ops.take(self._rates, ops.mod(ops.cast(step, "int32"), self._rates.shape[0]))


class Looks(keras.callbacks.Callback):
    """Notes gradient norms after each `every` steps, and ends the epoch where the loss is then no finite number."""

    def __init__(self, taps: Taps, every: int) -> None:
        """Read from these taps."""
        super().__init__()
        self._taps, self._every = taps, every
        self.norms: list[Norms] = []
        self.loss, self.steps = math.nan, 0

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Called after each execution; `logs` has the mean loss since the epoch began."""
        self.steps += self.model.steps_per_execution
        if self.steps % self._every == 0:
            LIBRARY.collect_weights(self.model)
            self.norms.append(self._taps.last_norms(1))
            self.loss = float((logs or {})["loss"])
            if not math.isfinite(self.loss):
                self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """The mean loss of the epoch."""
        self.loss = float((logs or {})["loss"])


class EpochNetwork(Network):
    """`spec` in Keras, trained epoch by epoch."""

    def __init__(self, spec: Spec, *, steps: int, every: int, seed: int = 0, device: str = "cpu", mode: str = "") -> None:
        """An epoch has `steps` steps in this mode, and gradients are looked at after each `every` of them."""
        super().__init__(spec, seed=seed, device=device, mode=mode, record=("norms",))
        self._every = every
        self.model.steps_per_execution = every if LIBRARY.SEVERAL_STEPS else 1
        self._rates = self.inner.add_variable((steps,), dtype="float32", name="rates")
        self.inner.learning_rate = Rates(self._rates)

    def fit(self, x: Batch, labels: Targets, places: Places, schedule: PerStep) -> Epoch:
        """One epoch over the samples at `places`, whole batches, each at its factor of the learning rate."""
        self._rates.assign(np.asarray(schedule * self.spec.learning_rate, np.float32))
        looks, order = Looks(self._taps, self._every), places.ravel()
        inputs = np.asarray(x[order], self.spec.format.held)
        self.model.fit(inputs, self.target(labels[order]), self.spec.batch, shuffle=False, verbose=0, callbacks=[looks])
        norms = np.array(looks.norms[: len(places) // self._every])  # of a last execution with fewer steps nothing is looked at
        return Epoch(looks.loss, norms.reshape(len(norms), len(self.graph.followed)), min(looks.steps, len(places)))

    def input_gradients(self, x: Batch, labels: Targets) -> Batch:
        """The training loss's gradient with respect to the inputs."""
        target = ops.convert_to_tensor(self.target(labels))

        def loss_of(inputs: list[Tensor]) -> tuple[Tensor, None]:
            return self.loss(target, self.wire(inputs[0], self._train)), None

        with keras.StatelessScope():
            return array(LIBRARY.gradient(loss_of, [ops.convert_to_tensor(np.asarray(x, self.spec.format.held))])[2][0])

    def batch_logits(self, x: Batch) -> Logits:
        """Outputs by this batch's own statistics, as in training; running statistics stay as they are."""
        with keras.StatelessScope():
            return array(self._by_batch(x))

    def refresh(self, x: Batch, places: Places) -> None:
        """Running statistics become the mean over these batches: each is averaged in with the weight of its number."""
        usual = {name: norm.momentum for name, norm in self.norms.items()}
        for number, batch in enumerate(places):
            for norm in self.norms.values():
                norm.momentum = number / (number + 1)
            self._by_batch(x[batch])
        for name, norm in self.norms.items():
            norm.momentum = usual[name]

    def _by_batch(self, x: Batch) -> Tensor:
        def apply(node: Node, h: Tensor) -> Tensor:
            return self.parts[node.name](h, training=True) if isinstance(node, Normalize) else self.parts[node.name](h)

        return self.wire(ops.convert_to_tensor(np.asarray(x, self.spec.format.held)), apply)
