"""What the faults of Keras's optimizers make of the originals."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from bench.selftest.faults.plant import Patch


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


def epsilon_inside_the_root(step: Any) -> Any:
    """Adam with √(v + ε), where Keras documents √v + ε."""
    import tensorflow as tf

    def inside(self: Any, gradient: Any, variable: Any, rate: Any) -> None:
        place, steps = self._get_variable_index(variable), tf.cast(self.iterations + 1, variable.dtype)
        mean, square = self._momentums[place], self._velocities[place]
        mean.assign(mean + (gradient - mean) * (1 - self.beta_1))
        square.assign(square + (gradient**2 - square) * (1 - self.beta_2))
        corrected = rate * tf.sqrt(1 - self.beta_2**steps) / (1 - self.beta_1**steps)
        variable.assign(variable - corrected * mean / tf.sqrt(square + self.epsilon))

    return functools.wraps(step)(inside)


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
