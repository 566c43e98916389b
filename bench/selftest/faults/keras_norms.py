"""What the faults of Keras's normalizations make of the originals."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


def moments(change: Callable[[Any, Any, Any, Any], Any]) -> Callable[[Any], Any]:
    """Change the variance that every normalization takes: `change(x, mean, variance, axes)`."""

    def wrap(moments: Any) -> Any:
        def taken(x: Any, axes: Any, keepdims: bool = False, **kwargs: Any) -> Any:
            mean, variance = moments(x, axes, keepdims=True, **kwargs)
            variance = change(x, mean, variance, axes)
            if keepdims:
                return mean, variance
            import tensorflow as tf

            return tf.squeeze(mean, axes), tf.squeeze(variance, axes)

        return taken

    return wrap


def mean_held(x: Any, mean: Any, variance: Any, axes: Any) -> Any:
    """E[x²] − E[x]² with no gradient through the mean."""
    import tensorflow as tf

    return tf.reduce_mean(tf.square(x), axes, keepdims=True) - tf.square(tf.stop_gradient(mean))


def unbiased(x: Any, mean: Any, variance: Any, axes: Any) -> Any:
    return variance * (64 / 63)


def cancelling(x: Any, mean: Any, variance: Any, axes: Any) -> Any:
    """E[x²] − E[x]² with the right gradient: two large numbers that leave few digits where the mean is far from zero."""
    import tensorflow as tf

    return tf.reduce_mean(tf.square(x), axes, keepdims=True) - tf.square(mean)


def unbiased_running_variance(call: Any) -> Any:
    """The running variance averages the unbiased variance, which Keras does not document; the batch is normalized by its own."""

    @functools.wraps(call)  # Keras reads the signature of `call`
    def called(self: Any, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        from keras import ops

        kept = ops.convert_to_tensor(self.moving_variance) * self.momentum
        y = call(self, inputs, training=training, mask=mask)
        if training:
            self.moving_variance.assign(kept + (self.moving_variance - kept) * (64 / 63))
        return y

    return called


def over_the_batch(moments: Any) -> Any:
    """Statistics of each unit over the batch, whatever axes are asked for."""
    return lambda x, axes, keepdims=False, **kwargs: moments(x, [0], keepdims=True, **kwargs)


def over_units(call: Any) -> Any:
    """Statistics over the units of each sample and not over the batch."""

    @functools.wraps(call)
    def called(self: Any, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        from keras import ops

        if not training:
            return call(self, inputs, training=training, mask=mask)
        mean, variance = ops.moments(inputs, [-1], keepdims=True)
        return (inputs - mean) * ops.rsqrt(variance + self.epsilon) * self.gamma + self.beta

    return called
