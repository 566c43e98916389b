"""Faults of Keras and TensorFlow, each patched into its real symbol, never into our code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.selftest.faults.plant import Fault, Patch, one, scaled, with_arguments, with_attribute, with_first_entry


def keras_gradient(layer: int, change: Callable[[Any], Any]) -> Callable[[Patch], None]:
    """Change the weight gradient of a layer where the trainer takes it from TensorFlow's tape (weights and biases alternate)."""

    def wrap(gradient: Any) -> Any:
        def taken(self: Any, target: Any, sources: Any, *args: Any, **kwargs: Any) -> Any:
            gradients = gradient(self, target, sources, *args, **kwargs)
            if hasattr(sources[0], "trainable"):
                gradients[2 * (layer - 1)] = change(gradients[2 * (layer - 1)])
            return gradients

        return taken

    return one("tensorflow.GradientTape.gradient", wrap)


def _learning_rate(factor: float) -> Callable[[Any], Any]:
    """A Keras update step that takes another learning rate."""
    return lambda step: lambda self, gradient, variable, rate: step(self, gradient, variable, rate * factor)


KERAS = (
    Fault("relu leaks", "reference", "forward_parity", "layer  2", one("keras.src.backend.nn.relu", lambda f: lambda x: f(x) - 1e-3 * f(-x))),
    Fault("exact gelu computed by tanh", "act=gelu", "forward_parity", "layer  2", one("keras.src.backend.nn.gelu", lambda f: lambda x, approximate=True: f(x, True))),
    Fault("dense forgets its bias", "reference", "forward_parity", "step 1 loss", one("keras.layers.Dense.call", with_attribute("bias", lambda b: None))),
    Fault("layer norm epsilon 1e-3", "norm=layer", "forward_parity", "layer  2", one("keras.layers.LayerNormalization.call", with_attribute("epsilon", lambda e: 1e-3))),
    Fault("running statistics averaged the other way round", "norm=batch", "normalization_state", "layer  1", one("keras.layers.BatchNormalization.call", with_attribute("momentum", lambda m: 1 - m))),
    Fault("running statistics not updated", "norm=batch", "normalization_state", "layer  1", one("keras.layers.BatchNormalization.call", with_attribute("momentum", lambda m: 1.0))),
    Fault("batch statistics in evaluation", "norm=batch", "forward_parity", "evaluation", one("keras.layers.BatchNormalization.call", with_arguments(training=True))),
    Fault("loss summed, not averaged", "reference", "forward_parity", "loss", one("keras.losses.SparseCategoricalCrossentropy.call", scaled(64.0))),
    Fault("clipping ignored", "clip=global", "clipping", "global norm", one("keras.optimizers.Optimizer._clip_gradients", lambda f: lambda self, grads: grads)),
    Fault("value clipping at twice the value", "clip=value,clip_at=0.005", "clipping", "entry", one("keras.optimizers.Optimizer._clip_gradients", with_attribute("clipvalue", lambda c: 2 * c))),
    Fault("learning rate off by 0.1 %", "reference", "update", "step 0", one("keras.optimizers.SGD.update_step", _learning_rate(1.001))),
    Fault("Nesterov as plain momentum", "optimizer=nesterov", "update", "step 0", one("keras.optimizers.SGD.update_step", with_attribute("nesterov", lambda n: False))),
    Fault("Adam's epsilon large", "optimizer=adam", "update", "step 0", one("keras.optimizers.Adam.update_step", with_attribute("epsilon", lambda e: 1e-4))),
    Fault("weight decay forgotten", "optimizer=adamw,decay=0.1", "update", "weight", one("keras.optimizers.Optimizer._apply_weight_decay", lambda f: lambda self, variables: None)),
    Fault("layer 5's gradient 1e-5 too large", "reference", "gradient_parity", "layer  5 weight", keras_gradient(5, lambda g: g * 1.00001)),
    Fault("layer 5's gradient lost", "reference", "gradient_parity", "layer  5 weight", keras_gradient(5, lambda g: g * 0)),
    Fault("one infinity in layer 5's gradient", "reference", "finite", "step 0 gradient of layer  5 weight", keras_gradient(5, with_first_entry(float("inf")))),
    Fault("He normal with 1 % too much variance", "reference", "initializer", "variance", one("keras.initializers.HeNormal.__call__", scaled(1.005))),
    Fault("same seed for every layer", "reference", "initializer", "between layers", one("keras.initializers.HeNormal.__init__", with_arguments(seed=3))),
    Fault("orthogonal is not", "init=orthogonal", "initializer", "W Wᵀ", one("keras.initializers.Orthogonal.__call__", scaled(1.001))),
)  # fmt: skip
