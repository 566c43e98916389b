"""Functions of the user's own whose backward pass is no derivative on purpose, as `keras.ops.custom_gradient` makes them on TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FunctionType
from typing import TypeAlias
from unittest import mock

import numpy as np
import tensorflow as tf
from tensorflow.python.ops import custom_gradient

from models.own.slopes import CHOSEN, FLAT_SHARE, MOVE

LIBRARIES = "tensorflow", "keras"
Differentiated: TypeAlias = Callable[..., tuple[tf.Tensor, Callable[[tf.Tensor], object]]]
"""A function that gives its value and the function of its gradient."""


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


def _what(function: Differentiated, args: Sequence[object], named: Mapping[str, object], out: object) -> str:
    floats = [isinstance(arg, tf.Tensor) and arg.dtype.is_floating for arg in args]
    if not any(floats) or not isinstance(out, tf.Tensor) or not out.dtype.is_floating:
        return ""
    same = [place for place, arg in enumerate(args) if floats[place] and isinstance(arg, tf.Tensor) and np.array_equal(out, arg)]
    if same:
        return "changes nothing" if _is_chosen(function, args, named, out, same[0]) else ""
    moved = [arg * (1 + MOVE) if isinstance(arg, tf.Tensor) and number else arg for number, arg in zip(floats, args, strict=True)]
    return "is flat" if np.mean(np.equal(function(*moved, **named)[0], out)) >= FLAT_SHARE else ""


def _is_chosen(function: Differentiated, args: Sequence[object], named: Mapping[str, object], out: tf.Tensor, place: int) -> bool:
    """Whether a function that gives out one of its inputs has another gradient than that, by more than an error would change it."""
    given = tf.constant(np.random.default_rng(0).standard_normal(out.shape), out.dtype)
    slopes = function(*args, **named)[1](given)
    seen = slopes[place] if isinstance(slopes, (list, tuple)) else slopes
    if not isinstance(seen, tf.Tensor) or seen.shape != given.shape:
        return True
    return float(tf.norm(seen - given)) > CHOSEN * float(tf.norm(given))
