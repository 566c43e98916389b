"""Faults of Keras that begin late in a training: nothing shows in its first steps."""

from __future__ import annotations

import functools
from typing import Any

from bench.selftest.faults.late_in_torch import EPOCH


def momentum_lost(first: int) -> Any:
    """From a step on momentum starts anew every time."""

    def wrap(step: Any) -> Any:
        @functools.wraps(step)
        def stepped(self: Any, gradient: Any, variable: Any, rate: Any) -> Any:
            import tensorflow as tf

            slot = self.momentums[self._get_variable_index(variable)]
            late = tf.cast(self.iterations.value >= first, rate.dtype)
            slot.assign(slot * (1 - late))
            return step(self, gradient, variable, rate)

        return stepped

    return wrap


def decay_from(first: int, share: float) -> Any:
    """From a step on weights decay by a share of the learning rate."""

    def wrap(step: Any) -> Any:
        @functools.wraps(step)
        def stepped(self: Any, gradient: Any, variable: Any, rate: Any) -> Any:
            import tensorflow as tf

            done = step(self, gradient, variable, rate)
            variable.assign(variable * (1 - share * rate * tf.cast(self.iterations.value >= first, rate.dtype)))
            return done

        return stepped

    return wrap


def half_from(first: int) -> Any:
    """From a step on weights pass through float16."""

    def wrap(step: Any) -> Any:
        @functools.wraps(step)
        def stepped(self: Any, gradient: Any, variable: Any, rate: Any) -> Any:
            import tensorflow as tf

            done = step(self, gradient, variable, rate)
            half = tf.cast(tf.cast(variable, "float16"), "float32")
            variable.assign(tf.where(self.iterations.value >= first, half, variable))
            return done

        return stepped

    return wrap


def without_last_batch(step: Any) -> Any:
    """The last batch of an epoch changes nothing but momentum."""

    @functools.wraps(step)
    def stepped(self: Any, gradient: Any, variable: Any, rate: Any) -> Any:
        import tensorflow as tf

        counts = tf.cast((self.iterations.value + 1) % EPOCH != 0, rate.dtype)
        return step(self, gradient * counts, variable, rate * counts)

    return stepped


def every_other_time(update: Any) -> Any:
    """An average of weights takes every other step's."""

    @functools.wraps(update)
    def updated(self: Any, variables: Any) -> Any:
        import tensorflow as tf

        momentum = self.ema_momentum
        self.ema_momentum = tf.where(self.iterations.value % 2 == 0, momentum, 1.0)
        done = update(self, variables)
        self.ema_momentum = momentum
        return done

    return updated
