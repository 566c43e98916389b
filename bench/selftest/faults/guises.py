"""Faults that a network in another guise shows, and faults of derivatives: the same story in both frameworks wherever it can be."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from bench.selftest.faults.keras_changes import gradient as keras_gradient
from bench.selftest.faults.plant import Fault, one, value_alone, with_attribute, with_first_entry
from bench.selftest.faults.torch_changes import gradient as torch_gradient

HINGE, ZERO = "depth=8,loss=hinge", "skip=two,skip_order=pre,branch=zero"
SIGMOID, SILU = "depth=8,act=sigmoid,precision=float64", "depth=8,act=silu,precision=float64"
RMS, GROUP = (f"depth=8,norm={norm},eps=1e-30,precision=float64" for norm in ("rms", "group"))
DEEP = "depth=100,precision=float64"
CUT, CEILING = 16.0, 12.0
"""A gradient entry and an activation that these networks do not reach by themselves: 0.5 and 8.5 are their largest."""


def _torch_cut(g: Any) -> Any:
    return g.clamp(-CUT, CUT)


def _keras_cut(g: Any) -> Any:
    from keras import ops

    return ops.clip(g, -CUT, CUT)


def _torch_ceiling(relu: Any) -> Any:
    return lambda x, **k: relu(x).clamp(max=CEILING)


def _keras_ceiling(relu: Any) -> Any:
    from keras import ops

    return lambda x: ops.minimum(relu(x), CEILING)


def steep(error: float, below_zero: bool = False) -> Callable[[Any], Any]:
    """A layer's method with its value as it is and its slope too large by `error`, everywhere or below zero alone."""
    return lambda original: functools.wraps(original)(lambda self, x: original(self, x) + error * _slope_alone(x, below_zero))


def steeper(error: float, below_zero: bool = False) -> Callable[[Any], Any]:
    """The same of a function."""
    return lambda original: lambda x, *args, **kwargs: original(x, *args, **kwargs) + error * _slope_alone(x, below_zero)


def _slope_alone(x: Any, below_zero: bool) -> Any:
    """Zero, with a slope of 1 everywhere or below zero alone."""
    zero = x - value_alone(x)
    return zero * ((1 - value_alone(x / abs(x))) / 2) if below_zero else zero


def _torch_prefers_class_0(cross_entropy: Any) -> Any:
    return lambda z, target, **kwargs: cross_entropy(z, target, **kwargs) + 1e-4 * z[:, 0].mean() - 1e-4 * z[:, 1].mean()


def _keras_prefers_class_0(call: Any) -> Any:
    return lambda self, y_true, y_pred: call(self, y_true, y_pred) + 1e-4 * (y_pred[:, 0] - y_pred[:, 1])


def _torch_over_64(cross_entropy: Any) -> Any:
    """The mean over 64 samples, however many there are."""
    return lambda z, target, **kwargs: cross_entropy(z, target, **kwargs) * (len(z) / 64)


def _keras_over_64(call: Any) -> Any:
    def summed(self: Any, y_true: Any, y_pred: Any) -> Any:
        from keras import ops

        losses = call(self, y_true, y_pred)
        return losses * ops.cast(ops.shape(losses)[0] / 64, losses.dtype)

    return summed


def _stretched(relu: Any) -> Any:
    return lambda x, **kwargs: relu(x, **kwargs) * (1 + 1e-11)


def _slightly(g: Any) -> Any:
    return g + 1e-9


def _larger(g: Any) -> Any:
    return g * 1.0001


TORCH_GUISES = (
    Fault("gradients cut off at 16", "reference", "symmetry", "with the loss times 1024", torch_gradient(5, _torch_cut)),
    Fault("relu with a ceiling", HINGE, "symmetry", "with inputs doubled", one("torch.nn.functional.relu", _torch_ceiling)),
    Fault("one entry of a gradient wrong", "reference", "symmetry", "rank one", torch_gradient(5, with_first_entry(1e-3))),
    Fault("one class preferred", "reference", "symmetry", "units and classes in another order", one("torch.nn.functional.cross_entropy", _torch_prefers_class_0)),
    Fault("mean over 64, whatever the batch", "reference", "symmetry", "every sample twice", one("torch.nn.functional.cross_entropy", _torch_over_64)),
    Fault("sigmoid's slope 1e-10 too large", SIGMOID, "symmetry", "as a tanh network", one("torch.nn.Sigmoid.forward", steep(1e-10))),
    Fault("leaky relu's slope 1 % too large", "act=leaky_relu", "symmetry", "as a relu network", one("torch.nn.functional.leaky_relu", lambda f: lambda x, slope, inplace: f(x, 1.01 * slope, inplace))),
    Fault("relu a hundred-billionth too large", DEEP, "symmetry", "mirrored orthogonal", one("torch.nn.functional.relu", _stretched)),
    Fault("a millionth of the gradient passes root mean square norm by", RMS, "norm_orthogonality", "Σ zδ", one("torch.nn.RMSNorm.forward", steep(1e-6))),
    Fault("a millionth of the gradient passes group norm by", GROUP, "norm_orthogonality", "layer  5", one("torch.nn.GroupNorm.forward", steep(1e-6))),
    Fault("a gradient behind zero weights", ZERO, "gradient_bound", "layer  4 entries of the gradient behind", torch_gradient(4, _slightly)),
    Fault("silu's slope 1e-9 too large", SILU, "derivative", "difference quotient", one("torch.nn.functional.silu", steeper(1e-9))),
    Fault("silu's slope 1e-2 too large", SILU, "derivative", "Taylor", one("torch.nn.functional.silu", steeper(1e-2))),
    Fault("layer 5's gradient 1e-4 too large, seen by forward mode", HINGE, "derivative", "layer  5 forward mode", torch_gradient(5, _larger)),
    Fault("sigmoid's slope 1e-10 too large on one side of zero", SIGMOID, "derivative", "complex step", one("torch.nn.Sigmoid.forward", steep(1e-10, below_zero=True))),
)  # fmt: skip

KERAS_LOSS, KERAS_RELU = "keras.losses.SparseCategoricalCrossentropy.call", "keras.src.backend.nn.relu"
KERAS_GUISES = (
    Fault("gradients cut off at 16", "reference", "symmetry", "with the loss times 1024", keras_gradient(5, _keras_cut)),
    Fault("relu with a ceiling", HINGE, "symmetry", "with inputs doubled", one(KERAS_RELU, _keras_ceiling)),
    Fault("one entry of a gradient wrong", "reference", "symmetry", "rank one", keras_gradient(5, with_first_entry(1e-3))),
    Fault("one class preferred", "reference", "symmetry", "units and classes in another order", one(KERAS_LOSS, _keras_prefers_class_0)),
    Fault("mean over 64, whatever the batch", "reference", "symmetry", "every sample twice", one(KERAS_LOSS, _keras_over_64)),
    Fault("sigmoid's slope 1e-10 too large", SIGMOID, "symmetry", "as a tanh network", one("keras.src.backend.nn.sigmoid", steeper(1e-10))),
    Fault("leaky relu's slope 1 % too large", "act=leaky_relu", "symmetry", "as a relu network", one("keras.layers.LeakyReLU.call", with_attribute("negative_slope", lambda slope: 1.01 * slope))),
    Fault("relu a hundred-billionth too large", DEEP, "symmetry", "mirrored orthogonal", one(KERAS_RELU, _stretched)),
    Fault("a millionth of the gradient passes root mean square norm by", RMS, "norm_orthogonality", "Σ zδ", one("keras.layers.RMSNormalization.call", steep(1e-6))),
    Fault("a millionth of the gradient passes group norm by", GROUP, "norm_orthogonality", "layer  5", one("keras.layers.GroupNormalization.call", steep(1e-6))),
    Fault("a gradient behind zero weights", ZERO, "gradient_bound", "layer  4 entries of the gradient behind", keras_gradient(4, _slightly)),
    Fault("silu's slope 1e-9 too large", SILU, "derivative", "difference quotient", one("keras.src.backend.nn.silu", steeper(1e-9))),
    Fault("silu's slope 1e-2 too large", SILU, "derivative", "Taylor", one("keras.src.backend.nn.silu", steeper(1e-2))),
    Fault("layer 5's gradient 1e-4 too large, seen by forward mode", HINGE, "derivative", "layer  5 forward mode", keras_gradient(5, _larger)),
    Fault("sigmoid's slope 1e-10 too large on one side of zero", SIGMOID, "derivative", "complex step", one("keras.src.backend.nn.sigmoid", steeper(1e-10, below_zero=True))),
)  # fmt: skip
