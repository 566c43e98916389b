"""The network built from Keras's own layers, initializers, losses and optimizers, and trained by its compiled `train_on_batch`.

Works on any Keras backend. Gradients are seen by wrapping the optimizer instance's `apply`, which every trainer calls with
the raw gradients inside its compiled step: the step itself stays the one that users run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from models.architectures import graph
from models.arrays import Arrays, Batch, Batches, BatchLabels, Labels, Logits, PerStep
from models.backends.keras import images
from models.backends.keras.carried import as_held, carried, given_back, seen_by_all, variable_of, variables
from models.backends.keras.device import devices
from models.backends.keras.layers import array, cell_of, dense, recurrence, variable
from models.backends.keras.libraries import LIBRARY, Tap, Tensor
from models.backends.keras.model import Model, optimizer_of
from models.backends.keras.precision import begin_session, compute_as, format_of
from models.backends.keras.releases import masked_as, train_steps
from models.backends.keras.taps import NORM_ROWS, Taps
from models.backends.keras.timing import timed_step
from models.backends.protocol import ALL, Record, TimedWork
from models.backends.registry import BackendError
from models.graph import Graph
from models.naming import kind_of
from models.nodes import WATCHED, Activate, Conv, Dense, Multiply, Node, Normalize, Recurrent, Transposed
from models.observation import Trained, WatchedPass
from models.parts.activations import ACTIVATIONS
from models.parts.optimizers import AVERAGE
from models.spec import Spec


class Network(Model):
    """`spec` in Keras, initialized by Keras from `seed` and compiled."""

    def __init__(self, spec: Spec, *, seed: int = 0, device: str = "cpu", mode: str = "", record: Record = ALL) -> None:
        """Build and compile; `mode` is eager, jit, compiled, recomputed or train_on_batch. Raises BackendError without the device."""
        if device != "cpu" and devices() == ["cpu"]:
            raise BackendError(f"Device {device!r} was asked for, but Keras on {keras.backend.backend()} sees no GPU: use --device=cpu.")
        begin_session()
        compute_as(spec)
        keras.utils.set_random_seed(seed)
        super().__init__(spec, mode=mode)
        self.mode = mode
        self.inner = self.optimizer = optimizer_of(spec, **({"use_ema": True, "ema_momentum": AVERAGE} if "average" in record else {}))
        if spec.format.scaled:
            self.optimizer = keras.optimizers.LossScaleOptimizer(
                self.inner, initial_scale=spec.loss_scale, dynamic_growth_steps=spec.scale_growth
            )
        self.compile(self.optimizer, run_eagerly=mode == "eager", jit=True if mode == "jit" else "auto")
        self.optimizer.build(self.model.trainable_variables)
        # Round the inner optimizer, which is given gradients without the loss scale: the outer one's `apply` is not called on JAX.
        weights = [self.parameters[name] for name in self.graph.followed]
        self._taps = Taps(self.inner, self.model.trainable_variables, weights, record, spec.clip != Spec.clip)
        statistics = [v for part in self.norms.values() for v in (part.moving_mean, part.moving_variance)]
        # Keras's LossScaleOptimizer leaves out of `variables` what Nadam makes while it is built.
        others = [own for own in vars(self.inner).values() if isinstance(own, keras.Variable)]
        fresh = list({id(variable): variable for variable in (*self.optimizer.variables, *others, *statistics)}.values())
        self._fresh = [(variable, ops.convert_to_numpy(variable)) for variable in fresh]
        self._passes: dict[tuple[float, int], tuple[Callable[..., Any], dict[str, str]]] = {}

    @property
    def fused(self) -> bool:
        """Whether XLA compiles the whole step, as Keras decides by library and devices: on TensorFlow it does where there is a GPU."""
        return keras.backend.backend() != "torch" and bool(self.model.jit_compile)

    def loss_scale(self) -> float:
        """What the loss is multiplied with now."""
        return float(ops.convert_to_numpy(self.optimizer.dynamic_scale)) if self.spec.format.scaled else 1.0

    def load(self, weights: Arrays, fresh: bool) -> None:
        """Set parameters; `fresh` also resets the optimizer's slots and running statistics."""
        self.set_weights(weights)
        if fresh:
            for variable, value in self._fresh:
                variable.assign(value)

    def redraw(self, seed: int) -> None:
        """Initialize anew from another seed, as if just built, without compiling again."""
        keras.utils.set_random_seed(seed)
        weights: Arrays = {}
        for node in self.graph.nodes:
            if isinstance(node, Dense):
                layer = dense(self.spec, node)
                layer.build((None, node.fan_in))
                weights |= {node.weight: array(layer.kernel).T, node.bias: array(layer.bias)}
            elif isinstance(node, Recurrent):
                layer = recurrence(self.spec, node)
                layer.build((None, node.length, node.fan_in))
                alone = Graph((node,))
                held = {name: array(variable(cell_of(layer, kind_of(name)), kind_of(name))) for name in variables(alone)}
                weights |= given_back(alone, held)
            elif isinstance(node, Conv):
                layer = images.convolution(self.spec, node)
                layer.build((None, node.size_below, node.size_below, node.channels_below))
                held = {node.weight: images.inner(layer).kernel, node.bias: images.inner(layer).bias}
                weights |= given_back(Graph((node,)), {name: array(variable) for name, variable in held.items()})
            elif isinstance(node, Transposed):
                weights[node.bias] = array(dense(self.spec, node.alone).bias_initializer((node.width,)))
            elif isinstance(node, Multiply):
                weights[node.multiplier] = np.zeros(1)
            elif isinstance(node, Normalize):
                weights |= {f"{node.name}.{kind}": np.full(node.width, float(kind == "scale")) for kind in node.parameters}
        self.load(weights, fresh=True)

    def restart(self, spec: Spec, seed: int) -> None:
        """Become the network of `spec`, which is built as this one is, initialized from `seed`, without compiling again."""
        self.spec, self.graph = spec, graph(spec)
        self._passes.clear()
        compute_as(spec)
        self.optimizer.learning_rate = spec.learning_rate
        rate = self.optimizer._learning_rate
        self._fresh = [(variable, array(rate) if variable is rate else value) for variable, value in self._fresh]
        self.redraw(seed)

    def gradients(self) -> Arrays:
        """The last step's gradients before clipping."""
        seen = self._taps.gradients(list(self.parameters.values()))
        gradients = given_back(self.graph, dict(zip(self.parameters, seen, strict=True)))
        return {name: gradient.copy() for name, gradient in gradients.items()}

    def applied(self) -> Arrays:
        """Nothing: Keras clips inside the optimizer, where it shows only in the weight change."""
        return {}

    def freeze_noise(self, frozen: bool) -> None:
        """Randomized slopes at their mean or drawn."""
        for node in self.graph.of(Activate):
            if ACTIVATIONS[node.activation].random:
                self.parts[node.name].spread.assign(0.0 if frozen else 1.0)

    def watch(self, x: Batch, labels: Labels) -> WatchedPass:
        """One forward and backward pass in training mode that leaves parameters and running statistics alone.

        Where the precision rounds results, the pass is compiled as the training step is, so that both round the same values.
        """
        scale = self.loss_scale()
        inputs, target = ops.convert_to_tensor(np.asarray(x)), ops.convert_to_tensor(self.target(labels))
        if (scale, len(x)) not in self._passes:
            self._passes[scale, len(x)] = self._pass_to_watch(scale, len(x))
        run, formats = self._passes[scale, len(x)]
        loss, (pre_activations, logits), gradients = run(inputs, target, [variable.value for variable in self.model.variables])
        formats = formats | {name: format_of(self.parameters[variable_of(name)]) for name in self.graph.parameters}
        held = np.dtype(self.spec.format.held)
        return WatchedPass(
            self.weights(),
            float(array(loss)) / scale,
            array(logits),
            {name: seen_by_all(self.graph[name], array(z)) for name, z in pre_activations.items()},
            {name: seen_by_all(self.graph[name], array(d).astype(held) / held.type(scale)) for name, d in gradients.items()},
            formats,
            LIBRARY.float32_products(),
        )

    def _pass_to_watch(self, scale: float, batch: int) -> tuple[Callable[..., Any], dict[str, str]]:
        """The watched pass on so many samples, of inputs, target and values of variables, and the formats that it fills when it runs."""
        formats: dict[str, str] = {}
        shapes: dict[str, tuple[int, ...]] = {node.name: (batch, *as_held(node)) for node in self.graph.watched}

        def loss_of(tap: Tap, inputs: Tensor, target: Tensor, values: list[Tensor]) -> tuple[Tensor, tuple[dict[str, Tensor], Tensor]]:
            pre_activations: dict[str, Tensor] = {}

            def apply(node: Node, h: Tensor) -> Tensor:
                h = self._train(node, h)
                formats[node.name] = format_of(h)
                if isinstance(node, WATCHED):
                    h = pre_activations[node.name] = masked_as(h, tap(node.name, h))
                return h

            with keras.StatelessScope(state_mapping=list(zip(self.model.variables, values, strict=True))):
                logits = self.wire(inputs, apply)
            loss = self.loss(target, logits)
            formats["loss"] = format_of(loss)
            return loss * scale if scale != 1 else loss, (pre_activations, logits)

        compiled = not self.spec.format.plain
        return LIBRARY.tapped_gradients(loss_of, shapes, self.spec.format.held, compiled, self.fused), formats

    def slope(self, x: Batch, labels: Labels, direction: Arrays) -> float:
        """The loss's derivative along `direction` (shaped as the weights) by the library's forward mode."""
        inputs, target = ops.convert_to_tensor(np.asarray(x)), ops.convert_to_tensor(self.target(labels))
        moved = carried(self.graph, direction)
        along = [ops.convert_to_tensor(moved[name]) for name in self.parameters]

        def loss_of(values: list[Tensor]) -> Tensor:
            with keras.StatelessScope(state_mapping=list(zip(self.parameters.values(), values, strict=True))):
                return self.loss(target, self.wire(inputs, self._train))

        return float(array(LIBRARY.slope(loss_of, [variable.value for variable in self.parameters.values()], along)))

    def _train(self, node: Node, h: Tensor) -> Tensor:
        part = self.parts[node.name]
        return part(h, training=True) if isinstance(node, Normalize | Activate | Recurrent) else part(h)

    def step(self, x: Batch, labels: Labels, scale: float = 1.0) -> float:
        """One `train_on_batch` on `scale` times the loss (by Keras's own sample weights); returns the loss that Keras reports."""
        weights = None if scale == 1 else np.full(len(x), scale, self.spec.format.held)
        return float(self.model.train_on_batch(np.asarray(x), self.target(labels), sample_weight=weights))

    def timed_step(self, x: Batch, labels: Labels) -> TimedWork:
        """One training step for the clock, in the way it was built for."""
        return timed_step(self, x, labels)

    def train(self, xs: Batches, labels: BatchLabels, schedule: PerStep, record: bool = True) -> Trained:
        """Train on every batch, each at its factor of the learning rate; without `record` only losses are kept."""
        targets, losses, norms = [self.target(batch) for batch in labels], [], []
        read = self._taps.steps()
        for number, loss in enumerate(train_steps(self.model, xs, targets, schedule * self.spec.learning_rate), start=1):
            losses.append(loss)
            if record and (number % NORM_ROWS == 0 or number == len(targets)):
                norms.append(self._taps.last_norms(self._taps.steps() - read))
                read = self._taps.steps()
        table = np.concatenate(norms) if record else np.zeros((len(losses), 0))
        self.optimizer.learning_rate = self.spec.learning_rate
        return Trained(np.asarray(losses, np.float64), table, self._taps.clipped() if record else math.nan)

    def average(self) -> None:
        """Put the average of weights that Keras's optimizer took in their place."""
        self.optimizer.finalize_variable_values(self.model.trainable_variables)

    def logits(self, x: Batch) -> Logits:
        """Outputs in evaluation mode."""
        return array(self.model(ops.convert_to_tensor(np.asarray(x).astype(self.spec.format.held)), training=False))

    def accuracy(self, logits: Logits, labels: Labels) -> float:
        """The share of samples whose label has the largest logit, by Keras's own metric."""
        metric = keras.metrics.SparseCategoricalAccuracy()
        metric.update_state(np.asarray(labels), np.asarray(logits))
        return float(metric.result())
