"""Faults of mixed precision, TF32 and loss scaling in both frameworks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from bench.selftest.faults.plant import Fault, one, with_arguments

HALF, SMALL = "precision=mixed_float16", "precision=mixed_float16,loss_scale=1,act=sigmoid"
SMALLEST_NORMAL, LAST_BITS = 2.0**-14, 2.0**-20
CUT_TO_TEN_BITS = -(1 << 13)
"""A mask that clears the 13 bits of a float32 significand that float16 has no room for."""


def _torch_cut_off(linear: Any) -> Any:
    """Results cut off where they should be rounded."""
    import torch

    def product(x: Any, w: Any, b: Any = None) -> Any:
        if not torch.is_autocast_enabled("cpu"):
            return linear(x, w, b)
        with torch.autocast("cpu", enabled=False):
            z = linear(x.half().float(), w.half().float(), b.half().float())
            return (z + ((z.detach().view(torch.int32) & CUT_TO_TEN_BITS).view(torch.float32) - z).detach()).half()

    return product


def _torch_flush(under: float) -> Callable[[Any], Any]:
    """Gradients under a size are flushed to zero."""

    def wrap(sigmoid: Any) -> Any:
        def hooked(x: Any) -> Any:
            if x.requires_grad:
                x = x.view_as(x)
                x.register_hook(lambda g: g * (g.abs() >= under))
            return sigmoid(x)

        return hooked

    return wrap


def _torch_not_unscaled(unscale: Any) -> Any:
    return lambda self, optimizer, inverse, *rest: unscale(self, optimizer, inverse / inverse, *rest)


def _torch_count_goes_on(update: Any) -> Any:
    """An overflow halves the scale and leaves the count of good steps."""

    def counted(scale: Any, count: Any, found: Any, *rest: Any) -> Any:
        before = count.clone()
        done = update(scale, count, found, *rest)
        return done if not float(found) else (count.copy_(before), done)[1]

    return counted


def _keras_cut_off(matmul: Any) -> Any:
    """Results cut off where they should be rounded."""
    import tensorflow as tf

    def product(x: Any, w: Any) -> Any:
        if x.dtype != tf.float16:
            return matmul(x, w)
        z = matmul(tf.cast(x, tf.float32), tf.cast(w, tf.float32))
        cut = tf.bitcast(tf.bitwise.bitwise_and(tf.bitcast(z, tf.int32), CUT_TO_TEN_BITS), tf.float32)
        return tf.cast(z + tf.stop_gradient(cut - z), tf.float16)

    return product


def _keras_flush(under: float) -> Callable[[Any], Any]:
    """Gradients under a size are flushed to zero."""

    def wrap(sigmoid: Any) -> Any:
        import tensorflow as tf

        @tf.custom_gradient
        def same(x: Any) -> Any:
            return tf.identity(x), lambda g: tf.where(tf.abs(g) >= under, g, tf.zeros_like(g))

        return lambda x: sigmoid(same(x))

    return wrap


def _keras_not_unscaled(handle: Any) -> Any:
    def handled(self: Any, grads: Any, trainable_variables: Any = None) -> None:
        handle(self, [g * self.dynamic_scale for g in grads], trainable_variables)

    return functools.wraps(handle)(handled)


def _keras_count_goes_on(handle: Any) -> Any:
    """An overflow halves the scale and leaves the count of good steps."""

    def handled(self: Any) -> None:
        self.dynamic_scale.assign(self.dynamic_scale * 0.5)

    return functools.wraps(handle)(handled)


def _keras_falls_to_a_quarter(handle: Any) -> Any:
    def handled(self: Any) -> None:
        handle(self)
        self.dynamic_scale.assign(self.dynamic_scale * 0.5)

    return functools.wraps(handle)(handled)


def _always(finite: Any) -> Any:
    import keras

    return lambda self, grads: keras.ops.convert_to_tensor(True)


SCALER, OPTIMIZER = "torch.amp.GradScaler", "keras.optimizers.LossScaleOptimizer"

TORCH_PRECISION = (
    Fault("autocast casts nothing", HALF, "precision", "dense in another format", one("torch.autocast.__init__", with_arguments(enabled=False))),
    Fault("TF32 allowed where float32 was asked", "reference", "precision", "float32 products", one("torch.set_float32_matmul_precision", lambda f: lambda asked: f("high"))),
    Fault("half results cut off, not rounded", HALF, "rounding", "layer  2 drift", one("torch.nn.functional.linear", _torch_cut_off)),
    Fault("subnormal gradients flushed to zero", SMALL, "underflow", "lost to zero", one("torch.sigmoid", _torch_flush(SMALLEST_NORMAL))),
    Fault("the smallest gradients flushed to zero", SMALL, "underflow", "lost to zero", one("torch.sigmoid", _torch_flush(LAST_BITS))),
    Fault("gradients not unscaled", HALF, "update", "step 0", one(f"{SCALER}._unscale_grads_", _torch_not_unscaled)),
    Fault("an overflow does not stop the step", HALF, "loss_scale", "step 3 tensors that moved", one(f"{SCALER}._maybe_opt_step", lambda f: lambda self, optimizer, *a, **k: optimizer.step())),
    Fault("the loss scale never grows", HALF, "loss_scale", "step 1 loss scale", one(f"{SCALER}.__init__", with_arguments(growth_interval=10**9))),
    Fault("the loss scale falls to a quarter", HALF, "loss_scale", "step 3 loss scale", one(f"{SCALER}.__init__", with_arguments(backoff_factor=0.25))),
    Fault("good steps counted on through an overflow", HALF, "loss_scale", "step 4 loss scale", one("torch._amp_update_scale_", _torch_count_goes_on)),
)  # fmt: skip

KERAS_PRECISION = (
    Fault("dtype policy ignored", HALF, "precision", "dense in another format", one("keras.mixed_precision.set_dtype_policy", lambda f: lambda policy: f("float32"))),
    Fault("TF32 allowed where float32 was asked", "reference", "precision", "float32 products", one("tensorflow.config.experimental.enable_tensor_float_32_execution", lambda f: lambda asked: f(True))),
    Fault("half results cut off, not rounded", HALF, "rounding", "layer  2 drift", one("keras.src.backend.numpy.matmul", _keras_cut_off)),
    Fault("subnormal gradients flushed to zero", SMALL, "underflow", "lost to zero", one("keras.src.backend.nn.sigmoid", _keras_flush(SMALLEST_NORMAL))),
    Fault("the smallest gradients flushed to zero", SMALL, "underflow", "lost to zero", one("keras.src.backend.nn.sigmoid", _keras_flush(LAST_BITS))),
    Fault("gradients not unscaled", HALF, "gradient_parity", "step 0", one(f"{OPTIMIZER}._stateful_handle_finite_grads", _keras_not_unscaled)),
    Fault("the loss is not scaled", HALF, "gradient_parity", "step 0", one(f"{OPTIMIZER}.scale_loss", lambda f: lambda self, loss: loss)),
    Fault("an overflow does not stop the step", HALF, "loss_scale", "step 3 tensors that moved", one(f"{OPTIMIZER}.check_finite", _always)),
    Fault("the loss scale never grows", HALF, "loss_scale", "step 1 loss scale", one(f"{OPTIMIZER}.__init__", with_arguments(dynamic_growth_steps=10**9))),
    Fault("the loss scale falls to a quarter", HALF, "loss_scale", "step 3 loss scale", one(f"{OPTIMIZER}._stateful_handle_non_finite_grads", _keras_falls_to_a_quarter)),
    Fault("good steps counted on through an overflow", HALF, "loss_scale", "step 4 loss scale", one(f"{OPTIMIZER}._stateful_handle_non_finite_grads", _keras_count_goes_on)),
)  # fmt: skip
