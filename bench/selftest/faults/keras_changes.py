"""What the faults of Keras and TensorFlow make of the originals: each takes a symbol and returns it broken."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from bench.checks.initializer import TRUNCATED_SD
from bench.selftest.faults.plant import Patch, one


def gradient(layer: int, change: Callable[[Any], Any]) -> Callable[[Patch], None]:
    """Change the weight gradient of a layer where the trainer takes it from TensorFlow's tape (weights alone are matrices)."""

    def wrap(gradient: Any) -> Any:
        def taken(self: Any, target: Any, sources: Any, *args: Any, **kwargs: Any) -> Any:
            gradients = gradient(self, target, sources, *args, **kwargs)
            if sources and hasattr(sources[0], "trainable"):
                place = [number for number, source in enumerate(sources) if len(source.shape) == 2][layer - 1]
                gradients[place] = change(gradients[place])
            return gradients

        return taken

    return one("tensorflow.GradientTape.gradient", wrap)


def slope_one_at_zero(relu: Any) -> Any:
    import tensorflow as tf

    return lambda x: tf.where(x >= 0, x, 0 * x)


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


def dropout(relu: Any) -> Any:
    import tensorflow as tf

    return lambda x: tf.nn.dropout(relu(x), 0.1)


def rate(factor: float) -> Callable[[Any], Any]:
    """An update step that takes another learning rate."""
    return lambda step: functools.wraps(step)(lambda self, gradient, variable, rate: step(self, gradient, variable, rate * factor))


def rate_by_step(step: Any) -> Any:
    """The learning rate shrinks by a tenth at every step from the tenth on."""
    import tensorflow as tf

    def tired(self: Any, gradient: Any, variable: Any, rate: Any) -> Any:
        steps = tf.cast(tf.maximum(self.iterations.value - 10, 0), rate.dtype)
        return step(self, gradient, variable, rate * 0.9**steps)

    return functools.wraps(step)(tired)


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


def dampened(step: Any) -> Any:
    """From the second step on a gradient enters the momentum by nine tenths, as PyTorch's `dampening` has it."""
    import tensorflow as tf

    def called(self: Any, gradient: Any, variable: Any, rate: Any) -> Any:
        return step(self, gradient * tf.where(self.iterations.value > 0, 0.9, 1.0), variable, rate)

    return functools.wraps(step)(called)


def epsilon_outside_the_root(step: Any) -> Any:
    """RMSprop with √v + ε, where Keras documents √(v + ε): ε = 1e-7 inside acts as 3e-4 where gradients are small."""
    import tensorflow as tf

    def outside(self: Any, gradient: Any, variable: Any, rate: Any) -> None:
        velocity = self._velocities[self._get_variable_index(variable)]
        velocity.assign(self.rho * velocity + (1 - self.rho) * gradient**2)
        variable.assign(variable - rate * gradient / (tf.sqrt(velocity) + self.epsilon))

    return functools.wraps(step)(outside)


def decay_in_the_gradient(patch: Patch) -> None:
    """AdamW whose decay enters the gradient and so the moments, as an L2 penalty does."""

    def penalized(step: Any) -> Any:
        def called(self: Any, gradient: Any, variable: Any, rate: Any) -> Any:
            decays = self.weight_decay and self._use_weight_decay(variable)
            return step(self, gradient + self.weight_decay * variable if decays else gradient, variable, rate)

        return functools.wraps(step)(called)

    patch("keras.optimizers.Optimizer._apply_weight_decay", lambda f: lambda self, variables: None)
    patch("keras.optimizers.AdamW.update_step", penalized)


def stale_gradients(patch: Patch) -> None:
    """Every step but the first uses the gradients of the one before."""
    import tensorflow as tf

    def with_room(build: Any) -> Any:
        def built(self: Any, variables: Any) -> None:
            build(self, variables)
            if not hasattr(self, "late"):
                self.late = self.add_optimizer_variables(variables, "late")

        return functools.wraps(build)(built)

    def late(step: Any) -> Any:
        def called(self: Any, gradient: Any, variable: Any, rate: Any) -> Any:
            kept = self.late[self._get_variable_index(variable)]
            used = tf.where(self.iterations.value > 0, kept.value, gradient)
            kept.assign(gradient)
            return step(self, used, variable, rate)

        return functools.wraps(step)(called)

    patch("keras.optimizers.SGD.build", with_room)
    patch("keras.optimizers.SGD.update_step", late)


def no_bias_correction(step: Any) -> Any:
    """Adam as if ten thousand steps had been taken."""

    def late(self: Any, gradient: Any, variable: Any, rate: Any) -> Any:
        kept, self._iterations = self._iterations, self._iterations + 10_000
        try:
            return step(self, gradient, variable, rate)
        finally:
            self._iterations = kept

    return functools.wraps(step)(late)


def once_a_variable(step: Any) -> Any:
    """The momentum product advances with every variable, not with every step."""

    def advancing(self: Any, gradient: Any, variable: Any, rate: Any) -> Any:
        done = step(self, gradient, variable, rate)
        self._u_product.assign(self._u_product * 0.9)
        return done

    return functools.wraps(step)(advancing)


def first_slot_for(place: int) -> Callable[[Any], Any]:
    """A variable finds its slots under another one's number."""
    return lambda index: lambda self, variable: place - 2 if index(self, variable) == place else index(self, variable)


def skip_one_variable(step: Any) -> Any:
    """An update that forgets the fifth variable, the weight of layer 3."""

    def forgetful(self: Any, gradient: Any, variable: Any, rate: Any) -> Any:
        return step(self, gradient if self._get_variable_index(variable) != 4 else 0 * gradient, variable, rate)

    return functools.wraps(step)(forgetful)


def plain_normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    import keras

    return keras.random.normal(shape, mean, stddev * TRUNCATED_SD, dtype, seed)


def not_orthogonal(draw: Any) -> Any:
    """Independent normal weights with the variance of orthogonal ones."""

    def drawn(self: Any, shape: Any, dtype: Any = None) -> Any:
        import keras

        return keras.random.normal(shape, 0.0, max(shape) ** -0.5, dtype, self.seed)

    return functools.wraps(draw)(drawn)
