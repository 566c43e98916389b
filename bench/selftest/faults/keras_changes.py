"""What the faults of Keras and TensorFlow make of the originals: each takes a symbol and returns it broken."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from bench.selftest.faults.plant import Patch, one
from models.parts.initializers import TRUNCATED_SD


def gradient(layer: int, change: Callable[[Any], Any]) -> Callable[[Patch], None]:
    """Change the weight gradient of a layer where the trainer takes it from TensorFlow's tape (weights alone are matrices)."""

    def wrap(gradient: Any) -> Any:
        def taken(self: Any, target: Any, sources: Any, *args: Any, **kwargs: Any) -> Any:
            gradients = gradient(self, target, sources, *args, **kwargs)
            if isinstance(sources, list) and sources and hasattr(sources[0], "trainable"):
                place = [number for number, source in enumerate(sources) if len(source.shape) == 2][layer - 1]
                gradients[place] = change(gradients[place])
            return gradients

        return taken

    return one("tensorflow.GradientTape.gradient", wrap)


def slope_one_at_zero(relu: Any) -> Any:
    import tensorflow as tf

    return lambda x: tf.where(x >= 0, x, 0 * x)


def swish(hard_silu: Any) -> Any:
    import tensorflow as tf

    return lambda x: x * tf.sigmoid(x)


def linear_beyond_2(softplus: Any) -> Any:
    import tensorflow as tf

    return lambda x: tf.where(x > 2, x, softplus(x))


def mish_as_swish(softplus: Any) -> Any:
    """Mish is x · tanh of softplus: a softplus whose hyperbolic tangent is the sigmoid makes it x · σ(x)."""
    import tensorflow as tf

    return lambda x: tf.atanh(tf.minimum(tf.sigmoid(x), 1 - 1e-6))


def square_weights_transposed(matmul: Any) -> Any:
    import tensorflow as tf

    def product(x: Any, w: Any) -> Any:
        return matmul(x, tf.transpose(w) if len(w.shape) == 2 and w.shape[0] == w.shape[1] else w)

    return product


def in_any_order(matmul: Any) -> Any:
    """The product of rows in a random order, put back: only its gradient's sum over the batch rounds otherwise."""
    import tensorflow as tf

    def product(x: Any, w: Any) -> Any:
        order = tf.random.shuffle(tf.range(tf.shape(x)[0]))
        return tf.gather(matmul(tf.gather(x, order), w), tf.argsort(order))

    return product


def ten_bits(matmul: Any) -> Any:
    """TF32 keeps ten bits of a factor's mantissa; the gradient passes as if nothing happened."""
    import tensorflow as tf

    def rounded(x: Any) -> Any:
        x = tf.convert_to_tensor(x)
        return x + tf.stop_gradient(tf.bitcast(tf.bitwise.bitwise_and(tf.bitcast(x, tf.int32), ~0x1FFF), tf.float32) - x)

    return lambda x, w: matmul(rounded(x), rounded(w))


def in_bfloat16(which: Callable[[Any, Any], bool]) -> Callable[[Any], Any]:
    """Round the factors of those products of x and w that `which` names."""

    def rounded(x: Any) -> Any:
        import tensorflow as tf

        return tf.cast(tf.cast(x, "bfloat16"), x.dtype)

    return lambda matmul: lambda x, w: matmul(rounded(x), rounded(w)) if which(x, w) else matmul(x, w)


def residual(change: Callable[[Any, Any, Any], Any]) -> Callable[[Patch], None]:
    """Change x + f(x) of two activations: of two tensors with a batch and units."""

    def wrap(add: Any) -> Any:
        return lambda x, y: change(add, x, y) if len(getattr(x, "shape", ())) == len(getattr(y, "shape", ())) == 2 else add(x, y)

    return one("keras.src.backend.numpy.add", wrap)


def logits_scaled(loss: Any) -> Any:
    return lambda target, output, from_logits=False, axis=-1: loss(target, 1.01 * output, from_logits=from_logits, axis=axis)


def double_softmax(loss: Any) -> Any:
    """Probabilities taken for logits; behind `identity` Keras does not see the softmax, whose inputs it would take instead."""
    import tensorflow as tf

    def doubled(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
        return loss(target, tf.identity(tf.nn.softmax(output)), from_logits=from_logits, axis=axis)

    return doubled


def smoothed(loss: Any) -> Any:
    """A tenth of every label is spread over all classes."""
    import tensorflow as tf

    def smooth(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
        spread = -tf.reduce_mean(tf.nn.log_softmax(output), axis)
        return 0.9 * loss(target, output, from_logits=from_logits, axis=axis) + 0.1 * spread

    return smooth


def flat_beyond_20(silu: Any) -> Any:
    import tensorflow as tf

    return lambda x: silu(tf.minimum(x, tf.constant(20.0, x.dtype)))


def flat_below_zero(elu: Any) -> Any:
    import tensorflow as tf

    return lambda x, *args, **kwargs: tf.nn.relu(elu(x, *args, **kwargs))


def half_the_margin(call: Any) -> Any:
    """max(0, ½ − y·f)."""
    import tensorflow as tf

    return lambda self, y_true, y_pred: tf.reduce_mean(tf.maximum(0.5 - y_true * y_pred, 0.0), axis=-1)


def nan_once(call: Any) -> Any:
    """The fiftieth loss is NaN and its gradient is right."""
    import tensorflow as tf

    calls = tf.Variable(0)

    def counted(self: Any, y_true: Any, y_pred: Any) -> Any:
        losses = call(self, y_true, y_pred)
        return losses + tf.where(calls.assign_add(1) == 50, float("nan"), 0.0)

    return counted


def dropout(relu: Any) -> Any:
    import tensorflow as tf

    return lambda x: tf.nn.dropout(relu(x), 0.1)


def clip_each(clip: Any) -> Any:
    return lambda self, grads: [clip(self, [g])[0] for g in grads]


def clip_by_square(clip: Any) -> Any:
    """Divide by the squared norm."""
    import tensorflow as tf

    def clipped(self: Any, grads: list[Any]) -> list[Any]:
        total = sum(tf.reduce_sum(g * g) for g in grads)
        return [g * tf.minimum(1.0, self.global_clipnorm / total) for g in grads]

    return clipped


def large_clipping_epsilon(clip: Any) -> Any:
    """A hundredth is added to the norm that is divided by."""
    import tensorflow as tf

    def clipped(self: Any, values: Any, axes: Any = None) -> Any:
        return values * (self.clipnorm / tf.maximum(tf.norm(values) + 1e-2, self.clipnorm))

    return functools.wraps(clip)(clipped)


def plain_normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    import keras

    return keras.random.normal(shape, mean, stddev * TRUNCATED_SD, dtype, seed)


def not_orthogonal(draw: Any) -> Any:
    """Independent normal weights with the variance of orthogonal ones."""

    def drawn(self: Any, shape: Any, dtype: Any = None) -> Any:
        import keras

        return keras.random.normal(shape, 0.0, max(shape) ** -0.5, dtype, self.seed)

    return functools.wraps(draw)(drawn)
