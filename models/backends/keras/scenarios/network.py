"""A network without skips from Keras's own layers, with weights given, and an optimizer with options of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops

from models.architectures import graph
from models.arrays import Arrays
from models.backends.keras.network import KINDS
from models.backends.keras.precision import compute_in
from models.graph import Activate, Dense, Normalize
from models.parts.activations import ACTIVATIONS
from models.parts.clips import CLIPS
from models.parts.losses import LOSSES
from models.parts.norms import NORMS
from models.parts.optimizers import OPTIMIZERS
from models.spec import Spec


@dataclass
class Built:
    """A model and its parameters by name (`dense5.weight`), parts by node; arrays are as everywhere, weights (fan-out, fan-in)."""

    model: Any
    parameters: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)

    def load(self, weights: Arrays) -> None:
        """Set the parameters."""
        for key, variable in self.parameters.items():
            value = np.asarray(weights[key])
            variable.assign(value.T if key.endswith(".weight") else value)

    def weights(self) -> Arrays:
        """The parameters."""
        values = {key: array(variable) for key, variable in self.parameters.items()}
        return {key: value.T.copy() if key.endswith(".weight") else value for key, value in values.items()}

    def running(self) -> Arrays:
        """Running statistics of every batch normalization."""
        norms = {name: part for name, part in self.parts.items() if hasattr(part, "moving_mean")}
        return {f"{name}.{kind}": array(getattr(part, f"moving_{kind}")) for name, part in norms.items() for kind in ("mean", "variance")}


def build(spec: Spec, weights: Arrays | None = None, *, frozen_before: tuple[int, ...] = (), dense: Arrays | None = None) -> Built:
    """The layers of `spec` one after the other; layers in `frozen_before` are frozen before they are built, `dense` goes to every Dense."""
    compute_in(spec.format.held)
    h = inputs = keras.Input((spec.features,))
    parts: dict[str, Any] = {}
    for node in graph(spec).nodes:
        if isinstance(node, Dense):
            part = keras.layers.Dense(node.fan_out, **(dense or {}))
        elif isinstance(node, Normalize):
            part = NORMS[node.norm].keras(keras.layers, node)
        else:
            assert isinstance(node, Activate)
            part = ACTIVATIONS[node.activation].keras(keras)
        if node.layer in frozen_before and not isinstance(node, Activate):
            part.trainable = False
        parts[node.name] = part
        h = part(h)
    built = Built(keras.Model(inputs, h), {}, parts)
    built.parameters = {
        f"{node.name}.{kind}": getattr(parts[node.name], KINDS[kind]) for node in graph(spec).nodes for kind in node.parameters
    }
    if weights is not None:
        built.load(weights)
    return built


def optimizer_of(spec: Spec, *, schedule: float = 0.0, scale: float = 0.0, **options: Any) -> Any:
    """The spec's optimizer; `schedule` multiplies the learning rate after every step, `scale` wraps it in loss scaling."""
    row = OPTIMIZERS[spec.optimizer]
    rate: Any = spec.learning_rate
    if schedule:
        rate = keras.optimizers.schedules.ExponentialDecay(rate, decay_steps=1, decay_rate=schedule)
    made = row.keras(keras.optimizers)(learning_rate=rate, **row.arguments(spec), **CLIPS[spec.clip].keras(spec.clip_at), **options)
    return keras.optimizers.LossScaleOptimizer(made, initial_scale=scale) if scale else made


def compiled(built: Built, spec: Spec, optimizer: Any, *, mode: str = "auto", metrics: Any = None, **options: Any) -> Any:
    """The model, compiled with the spec's loss; `mode` is eager, auto or jit."""
    built.model.compile(
        optimizer, LOSSES[spec.loss].keras(keras.losses), metrics=metrics,
        run_eagerly=mode == "eager", jit_compile=True if mode == "jit" else "auto" if mode == "auto" else False, **options,
    )  # fmt: skip
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if spec.decay:
        inner.exclude_from_weight_decay(var_list=[v for key, v in built.parameters.items() if not key.endswith(".weight")])
    return built.model


def array(value: Any) -> Any:
    """A tensor or variable as an array of its own."""
    return np.array(ops.convert_to_numpy(value))
