"""A wrong gradient of any one parameter of any model, by its name: off in float32 alone, as a wrong kernel would have it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.selftest.faults.of_own_models import OFF
from bench.selftest.faults.plant import one


def wrong_gradient_of(parameter: str, factor: float = OFF) -> Callable[[Any], None]:
    """A fault: the gradient of one named parameter of a PyTorch module is off where the module is in float32."""

    def changed(original: Any) -> Any:
        def build(*args: Any) -> Any:
            gauge = original(*args)
            gauge.model.get_parameter(parameter).register_hook(lambda g: g * factor)
            return gauge

        return build

    return one("models.backends.torch.own.subject.build", changed)


def wrong_gradient_in_keras(parameter: str, factor: float = OFF) -> Callable[[Any], None]:
    """The same of a Keras model on TensorFlow, as its variable is read."""

    def changed(original: Any) -> Any:
        import tensorflow as tf

        @tf.custom_gradient
        def off(value: Any) -> Any:
            return tf.identity(value), lambda g: g * factor

        def backward(self: Any, differentiate: Any, **named: Any) -> Any:
            place = next(n for n, name in enumerate(self.names) if name.endswith(parameter))

            def planted(loss_of: Any, values: list[Any]) -> Any:
                return differentiate(lambda at, tap: loss_of([off(v) if n == place else v for n, v in enumerate(at)], tap), values)

            return original(self, differentiate if self.is_twin else planted, **named)

        return backward

    return one("models.backends.keras.own.network.OwnModelOfKeras.backward", changed)
