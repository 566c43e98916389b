"""Functions of the user's own whose backward pass is no derivative on purpose, as `keras.ops.custom_gradient` makes them on TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FunctionType
from unittest import mock

import numpy as np
import tensorflow as tf
from tensorflow.python.ops import custom_gradient

from models.own.slopes import FLAT_SHARE, MOVE

LIBRARIES = "tensorflow", "keras"


@contextmanager
def surrogates() -> Iterator[dict[str, str]]:
    """While a model runs in here, its functions of that kind are collected: what the forward pass does, by the function's name."""
    found: dict[str, str] = {}
    decorated = custom_gradient._eager_mode_decorator

    def watched(function: FunctionType, args: Sequence[object], named: Mapping[str, object]) -> object:
        out = decorated(function, args, named)
        if function.__module__.partition(".")[0] not in LIBRARIES and (what := _what(function, args, named, out)):
            found[function.__name__] = what
        return out

    with mock.patch.object(custom_gradient, "_eager_mode_decorator", watched):
        yield found


def _what(function: Callable[..., tuple[tf.Tensor, object]], args: Sequence[object], named: Mapping[str, object], out: object) -> str:
    floats = [isinstance(arg, tf.Tensor) and arg.dtype.is_floating for arg in args]
    if not any(floats) or not isinstance(out, tf.Tensor) or not out.dtype.is_floating:
        return ""
    if any(isinstance(arg, tf.Tensor) and number and np.array_equal(out, arg) for number, arg in zip(floats, args, strict=True)):
        return "changes nothing"
    moved = [arg * (1 + MOVE) if isinstance(arg, tf.Tensor) and number else arg for number, arg in zip(floats, args, strict=True)]
    return "is flat" if np.mean(np.equal(function(*moved, **named)[0], out)) >= FLAT_SHARE else ""
