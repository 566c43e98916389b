"""The network built from Keras's own layers, initializers, losses and optimizers, and trained by its compiled `train_on_batch`.

Works on any Keras backend. Gradients are seen by wrapping the optimizer instance's `apply`, which every trainer calls with
the raw gradients inside its compiled step: the step itself stays the one that users run.
"""

from __future__ import annotations

import sys
from typing import Any

import keras
import numpy as np
from keras import ops

from models.architectures import graph
from models.arrays import Arrays, Statistics
from models.backends.keras.device import devices
from models.backends.keras.layers import array, dense
from models.backends.keras.libraries import LIBRARY
from models.backends.keras.precision import begin_session, compute_as, format_of
from models.backends.keras.releases import absences, train_steps
from models.backends.keras.taps import NORM_ROWS, Taps
from models.backends.keras.timing import repeated_step
from models.backends.protocol import ALL, Record, Repeated
from models.backends.registry import BackendError
from models.graph import INPUT, Activate, Dense, Node, Normalize, Sum, kind_of, node_of
from models.observation import WatchedPass
from models.parts.activations import ACTIVATIONS
from models.parts.clips import CLIPS
from models.parts.losses import LOSSES
from models.parts.norms import NORMS
from models.parts.optimizers import OPTIMIZERS
from models.spec import Spec

KINDS = {"weight": "kernel", "bias": "bias", "scale": "gamma", "shift": "beta"}
FRAMES_PER_LAYER = 12
"""Room for Keras to walk a model, which it does recursively: with Python's usual 1,000 frames it ends at some 300 layers."""


class Network:
    """`spec` in Keras, initialized by Keras from `seed` and compiled."""

    def __init__(self, spec: Spec, *, seed: int = 0, device: str = "cpu", mode: str = "", record: Record = ALL) -> None:
        """Build and compile; `mode` is eager, jit, compiled or train_on_batch. Raises BackendError without the device."""
        if device != "cpu" and devices() == ["cpu"]:
            raise BackendError(f"Device {device!r} was asked for, but Keras on {keras.backend.backend()} sees no GPU: use --device=cpu.")
        self.spec, self.mode = spec, mode
        begin_session()
        compute_as(spec)
        keras.utils.set_random_seed(seed)
        self.graph = graph(spec)
        with absences():
            self.parts = {node.name: self._part(node) for node in self.graph.nodes if not isinstance(node, Sum)}
        sys.setrecursionlimit(max(sys.getrecursionlimit(), FRAMES_PER_LAYER * (len(self.graph.dense) + 100)))
        inputs = keras.Input((spec.features,))
        self.model = keras.Model(inputs, self._wire(inputs, lambda node, h: self.parts[node.name](h)))
        self.parameters = {name: self._parameter(name) for name in self.graph.parameters}
        self._norms = {node.name: self.parts[node.name] for node in self.graph.of(Normalize) if node.norm == "batch"}
        self.loss = LOSSES[spec.loss].keras(keras.losses)
        optimizer = OPTIMIZERS[spec.optimizer]
        self.inner = self.optimizer = optimizer.keras(keras.optimizers)(
            learning_rate=spec.learning_rate, **optimizer.arguments(spec), **CLIPS[spec.clip].keras(spec.clip_at)
        )
        if spec.decay:
            self.inner.exclude_from_weight_decay(var_list=[v for k, v in self.parameters.items() if not k.endswith(".weight")])
        if spec.format.scaled:
            self.optimizer = keras.optimizers.LossScaleOptimizer(
                self.inner, initial_scale=spec.loss_scale, dynamic_growth_steps=spec.scale_growth
            )
        self.model.compile(self.optimizer, self.loss, run_eagerly=mode == "eager", jit_compile=True if mode == "jit" else "auto")
        self.optimizer.build(self.model.trainable_variables)
        # Round the inner optimizer, which is given gradients without the loss scale: the outer one's `apply` is not called on JAX.
        self._taps = Taps(self.inner, self.model.trainable_variables, self._weights(), record)
        statistics = [v for part in self._norms.values() for v in (part.moving_mean, part.moving_variance)]
        fresh = [*self.optimizer.variables, *statistics]
        self._fresh = [(variable, ops.convert_to_numpy(variable)) for variable in fresh]

    def _part(self, node: Node) -> Any:
        if isinstance(node, Dense):
            return dense(self.spec, node)
        if isinstance(node, Normalize):
            return NORMS[node.norm].keras(keras.layers, node)
        assert isinstance(node, Activate)
        return ACTIVATIONS[node.activation].keras(keras)

    def _wire(self, h: Any, apply: Any) -> Any:
        results = {INPUT: h}
        for node in self.graph.nodes:
            if isinstance(node, Sum):
                stream, branch = (results[name] for name in node.inputs)
                branch = branch if node.scale == 1 else branch * node.scale
                h = ops.add(stream if node.keep == 1 else stream * node.keep, branch)  # as the model does it, eagerly too
            else:
                h = apply(node, results[node.inputs[0]])
            results[node.name] = h
        return h

    def _weights(self) -> list[Any]:
        return [self.parameters[node.weight] for node in self.graph.dense]

    def _parameter(self, name: str) -> Any:
        layer, kind = self.parts[node_of(name)], kind_of(name)
        return layer.scale if kind == "scale" and self.spec.arch.norm == "rms" else getattr(layer, KINDS[kind])

    def target(self, labels: Any) -> Any:
        """What the loss compares logits with."""
        target = LOSSES[self.spec.loss].target(np.asarray(labels), self.spec.classes, self.spec.target_scale)
        return target if target.dtype.kind == "i" else target.astype(self.spec.format.held)

    def loss_scale(self) -> float:
        """What the loss is multiplied with now."""
        return float(ops.convert_to_numpy(self.optimizer.dynamic_scale)) if self.spec.format.scaled else 1.0

    def load(self, weights: Arrays, fresh: bool) -> None:
        """Set parameters; `fresh` also resets the optimizer's slots and running statistics."""
        for key, variable in self.parameters.items():
            value = np.asarray(weights[key])
            variable.assign(value.T if key.endswith(".weight") else value)
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
            elif isinstance(node, Normalize):
                weights |= {f"{node.name}.{kind}": np.full(node.width, float(kind == "scale")) for kind in node.parameters}
        self.load(weights, fresh=True)

    def restart(self, spec: Spec, seed: int) -> None:
        """Become the network of `spec`, whose `graph` is this one's, initialized from `seed`, without compiling again."""
        self.spec = spec
        compute_as(spec)
        self.optimizer.learning_rate = spec.learning_rate
        rate = self.optimizer._learning_rate
        self._fresh = [(variable, array(rate) if variable is rate else value) for variable, value in self._fresh]
        self.redraw(seed)

    def weights(self) -> Arrays:
        """Parameters as NumPy arrays, weights as (fan-out, fan-in)."""
        return {key: _oriented(key, variable) for key, variable in self.parameters.items()}

    def gradients(self) -> Arrays:
        """The last step's gradients before clipping."""
        seen = self._taps.gradients(list(self.parameters.values()))
        return {key: _oriented(key, gradient) for key, gradient in zip(self.parameters, seen, strict=True)}

    def applied(self) -> Arrays:
        """Nothing: Keras clips inside the optimizer, where it shows only in the weight change."""
        return {}

    def running(self) -> Statistics:
        """Running mean and variance of every batch normalization."""
        return {name: (array(p.moving_mean), array(p.moving_variance)) for name, p in self._norms.items()}

    def freeze_noise(self, frozen: bool) -> None:
        """Randomized slopes at their mean or drawn."""
        for node in self.graph.of(Activate):
            if ACTIVATIONS[node.activation].random:
                self.parts[node.name].spread.assign(0.0 if frozen else 1.0)

    def watch(self, x: Any, labels: Any) -> WatchedPass:
        """One forward and backward pass in training mode that leaves parameters and running statistics alone.

        Where the precision rounds results, the pass is compiled as the training step is, so that both round the same values.
        """
        formats: dict[str, str] = {}
        scale = self.loss_scale()
        x, target = ops.convert_to_tensor(np.asarray(x)), ops.convert_to_tensor(self.target(labels))
        shapes: dict[str, tuple[int, ...]] = {node.name: (len(x), node.width) for node in self.graph.dense}

        def loss_of(tap: Any) -> Any:
            pre_activations: dict[str, Any] = {}

            def apply(node: Node, h: Any) -> Any:
                h = self._train(node, h)
                formats[node.name] = format_of(h)
                if isinstance(node, Dense):
                    h = pre_activations[node.name] = tap(node.name, h)
                return h

            with keras.StatelessScope():
                logits = self._wire(x, apply)
            loss = self.loss(target, logits)
            formats["loss"] = format_of(loss)
            return loss * scale if scale != 1 else loss, (pre_activations, logits)

        compiled = not self.spec.format.plain
        loss, (pre_activations, logits), gradients = LIBRARY.tapped_gradients(loss_of, shapes, self.spec.format.held, compiled)
        formats |= {name: format_of(variable) for name, variable in self.parameters.items()}
        held = np.dtype(self.spec.format.held)
        return WatchedPass(
            self.weights(),
            float(loss) / scale,
            array(logits),
            {name: array(z) for name, z in pre_activations.items()},
            {name: array(d).astype(held) / held.type(scale) for name, d in gradients.items()},
            formats,
            LIBRARY.float32_products(),
        )

    def slope(self, x: Any, labels: Any, direction: Arrays) -> float:
        """The loss's derivative along `direction` (shaped as the weights) by the library's forward mode."""
        inputs, target = ops.convert_to_tensor(np.asarray(x)), ops.convert_to_tensor(self.target(labels))
        along = [ops.convert_to_tensor(direction[key].T if key.endswith(".weight") else direction[key]) for key in self.parameters]

        def loss_of(values: list[Any]) -> Any:
            with keras.StatelessScope(state_mapping=list(zip(self.parameters.values(), values, strict=True))):
                return self.loss(target, self._wire(inputs, self._train))

        return float(LIBRARY.slope(loss_of, [variable.value for variable in self.parameters.values()], along))

    def _train(self, node: Node, h: Any) -> Any:
        part = self.parts[node.name]
        return part(h) if isinstance(node, Dense) else part(h, training=True)

    def step(self, x: Any, labels: Any, scale: float = 1.0) -> float:
        """One `train_on_batch` on `scale` times the loss (by Keras's own sample weights); returns the loss that Keras reports."""
        weights = None if scale == 1 else np.full(len(x), scale, self.spec.format.held)
        return float(self.model.train_on_batch(np.asarray(x), self.target(labels), sample_weight=weights))

    def timed_step(self, x: Any, labels: Any) -> Repeated:
        """One training step for the clock, in the way it was built for."""
        return repeated_step(self, x, labels)

    def train(self, xs: Any, labels: Any, record: bool = True) -> tuple[Any, Any]:
        """Train on every batch; losses (steps,) and, with `record`, gradient norms of weights before clipping (steps taken × depth)."""
        targets, losses, norms = [self.target(batch) for batch in labels], [], []
        read = self._taps.steps()
        for number, loss in enumerate(train_steps(self.model, xs, targets), start=1):
            losses.append(loss)
            if record and (number % NORM_ROWS == 0 or number == len(targets)):
                norms.append(self._taps.last_norms(self._taps.steps() - read))
                read = self._taps.steps()
        table = np.concatenate(norms) if record else np.zeros((len(losses), 0))
        return np.asarray(losses, np.float64), table

    def logits(self, x: Any) -> Any:
        """Outputs in evaluation mode."""
        return array(self.model(ops.convert_to_tensor(np.asarray(x).astype(self.spec.format.held)), training=False))

    def accuracy(self, logits: Any, labels: Any) -> float:
        """The share of samples whose label has the largest logit, by Keras's own metric."""
        metric = keras.metrics.SparseCategoricalAccuracy()
        metric.update_state(np.asarray(labels), np.asarray(logits))
        return float(metric.result())


def _oriented(key: str, variable: Any) -> Any:
    value = array(variable)
    return value.T.copy() if key.endswith(".weight") else value
