"""Faults planted into one of two frameworks that hold the same network: whose they are, and the layer at which the two first part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.selftest.faults.of_own_models import of_float32
from bench.selftest.faults.plant import Patch, one, with_attribute

FORWARD, GRADIENT, STATE = "forward_parity", "gradient_parity", "normalization_state"
CONV, NORM, HARD_SWISH = "torch.nn.functional.conv2d", "torch.nn.BatchNorm2d", "torch.nn.functional.hardswish"
KERAS = "keras.layers."
TENSORFLOW = "keras.src.backend.tensorflow.nn."


@dataclass(frozen=True)
class PairFault:
    """A fault of `whose` framework: the check that is red there and not in the other, and the layer, by `whose` name, that is named.

    A fault with `nobody` to blame is red in both, since nothing tells whose it is.
    """

    name: str
    whose: str
    check: str
    where: str
    plant: Callable[[Patch], None]
    nobody: bool = False


def of_call(shape: tuple[int, ...], change: Callable[..., Any]) -> Callable[[Any], Any]:
    """`change(original, *args)` where the weight of a convolution or linear map has this shape."""

    def planted(original: Any) -> Any:
        def called(x: Any, weight: Any, *args: Any, **named: Any) -> Any:
            return (change if tuple(weight.shape) == shape else lambda f, *a, **n: f(*a, **n))(original, x, weight, *args, **named)

        return called

    return planted


def off(g: Any) -> Any:
    """A gradient that is 1e-4 too large."""
    return g * (1 + 1e-4)


def _torch_gradient(original: Any, x: Any, weight: Any, *args: Any, **named: Any) -> Any:
    if not weight.requires_grad:
        return original(x, weight, *args, **named)
    copied = weight.view_as(weight)
    copied.register_hook(off)
    return original(x, copied, *args, **named)


def _torch_signal_gradient(original: Any, x: Any, weight: Any, *args: Any, **named: Any) -> Any:
    entered = x.view_as(x)
    if entered.requires_grad:
        entered.register_hook(off)
    return original(entered, weight, *args, **named)


def _keras_gradient(original: Any, x: Any, kernel: Any, *args: Any, **named: Any) -> Any:
    import tensorflow as tf

    @tf.custom_gradient
    def same(w: Any) -> Any:
        return tf.identity(w), off

    return original(x, same(tf.convert_to_tensor(kernel)), *args, **named)


def _reflected(original: Any, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, *rest: Any) -> Any:
    from torch.nn import functional

    return original(functional.pad(x, (1, 1, 1, 1), mode="reflect"), weight, bias, stride, 0, *rest)


def _transposed(original: Any, x: Any, weight: Any, *args: Any, **named: Any) -> Any:
    return original(x, weight.transpose(2, 3), *args, **named)


def _transposed_in_keras(original: Any, x: Any, kernel: Any, *args: Any, **named: Any) -> Any:
    import tensorflow as tf

    return original(x, tf.transpose(kernel, (1, 0, 2, 3)), *args, **named)


def _swapped(original: Any, x: Any, kernel: Any, *args: Any, **named: Any) -> Any:
    import tensorflow as tf

    kernel = tf.convert_to_tensor(kernel)
    return original(x, tf.reshape(tf.transpose(kernel, (0, 1, 3, 2)), kernel.shape), *args, **named)


def _slightly(original: Any, *args: Any, **named: Any) -> Any:
    return original(*args, **named) * (1 + 1e-4)


FIRST, WIDE, MIX, LAST = (8, 3, 3, 3), (8, 1, 3, 3), (8, 8, 1, 1), (12, 8, 3, 3)
PAIR_FAULTS = (
    PairFault("reflected padding", "torch", FORWARD, "5 = last", one(CONV, of_call(LAST, _reflected))),
    PairFault("a transposed depthwise kernel", "torch", FORWARD, "4.wide = wide", one(CONV, of_call(WIDE, _transposed))),
    PairFault("an epsilon", "torch", FORWARD, "1 = first_bn", one(NORM + ".forward", with_attribute("eps", lambda _: 1e-5))),
    PairFault("a gradient off by 1e-4", "torch", GRADIENT, "5 = last", one(CONV, of_call(LAST, _torch_gradient))),
    PairFault("a signal's gradient off by 1e-4", "torch", GRADIENT, "4.mix = mix", one(CONV, of_call(LAST, _torch_signal_gradient))),
    PairFault("float32 alone", "torch", FORWARD, "4.mix = mix", one(CONV, of_call(MIX, lambda f, *a: of_float32(_slightly)(f)(*a)))),
    PairFault("another activation", "torch", FORWARD, "4.mix = mix", one(HARD_SWISH, lambda _: _silu)),
    PairFault("an epsilon", "keras", FORWARD, "first_bn = 1", one(KERAS + "BatchNormalization.call", with_attribute("epsilon", lambda _: 1e-5))),
    PairFault("a transposed depthwise kernel", "keras", FORWARD, "wide = 4.wide", one(TENSORFLOW + "depthwise_conv", of_call((3, 3, 8, 1), _transposed_in_keras))),
    PairFault("a layout", "keras", FORWARD, "mix = 4.mix", one(TENSORFLOW + "conv", of_call((1, 1, 8, 8), _swapped))),
    PairFault("a gradient off by 1e-4", "keras", GRADIENT, "last = 5", one(TENSORFLOW + "conv", of_call((3, 3, 8, 12), _keras_gradient))),
    PairFault("a momentum", "keras", STATE, "first_bn", one(KERAS + "BatchNormalization.call", with_attribute("momentum", lambda _: 0.9)), nobody=True),
)  # fmt: skip


def _silu(x: Any, inplace: bool = False) -> Any:
    from torch.nn import functional

    return functional.silu(x)
