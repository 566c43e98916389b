"""Negative controls: frameworks that heal networks whose gradients must vanish or explode.

Values stay what they are and gradients become as long as in a healthy network, so that such a framework might train better. It is
broken all the same: it computes something else than the derivative of its loss.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from bench.selftest.faults.plant import Fault, one

SIGMOID, LINEAR, BATCH = "depth=40,act=sigmoid,init=glorot_uniform", "act=linear", "norm=batch"
HEALED: dict[str, tuple[float, float]] = {
    SIGMOID: (-1, 4.0),  # σ′(0) = 1/4
    LINEAR: (1, 0.5**0.5),  # He weights double the square of what passes through linear units
    BATCH: (1, (1 - 1 / math.pi) ** 0.5),  # π/(π − 1) a layer behind ReLUs (Yang et al. 2019)
}
"""Network → the sign of its gradient's growth towards the first layer, and the factor a layer that undoes it."""


def _torch(factor: float) -> Callable[[Any], Any]:
    """The result as it is, with `factor` times its gradient."""

    def wrap(original: Any) -> Any:
        def called(*args: Any, **kwargs: Any) -> Any:
            y = original(*args, **kwargs)
            return y + (factor - 1) * (y - y.detach())

        return called

    return wrap


def _keras(factor: float) -> Callable[[Any], Any]:
    def wrap(original: Any) -> Any:
        import tensorflow as tf

        @functools.wraps(original)  # Keras reads the signature of `call`
        def called(*args: Any, **kwargs: Any) -> Any:
            y = original(*args, **kwargs)
            return y + (factor - 1) * (y - tf.stop_gradient(y))

        return called

    return wrap


def _faults(heal: Callable[[float], Callable[[Any], Any]], symbols: dict[str, str]) -> tuple[Fault, ...]:
    stories = {
        SIGMOID: ("sigmoids hand gradients on undiminished", "layer  1 over 40"),
        LINEAR: ("products keep gradients from exploding", "layer  1 over 16"),
        BATCH: ("batch normalization keeps gradients from exploding", "layer  1 over 16"),
    }
    return tuple(
        Fault(story, network, "backward_gain", where, one(symbols[network], heal(HEALED[network][1])))
        for network, (story, where) in stories.items()
    )


TORCH_HEALED = _faults(_torch, {SIGMOID: "torch.sigmoid", LINEAR: "torch.nn.functional.linear", BATCH: "torch.nn.functional.batch_norm"})
KERAS_HEALED = _faults(
    _keras,
    {SIGMOID: "keras.src.backend.nn.sigmoid", LINEAR: "keras.src.backend.numpy.matmul", BATCH: "keras.layers.BatchNormalization.call"},
)
