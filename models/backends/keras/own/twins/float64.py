"""Float64 as Keras's default, for a model that is built again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras


@contextlib.contextmanager
def float64_by_default() -> Iterator[None]:
    """What is built in here is built in float64."""
    floatx, policy = keras.config.floatx(), keras.mixed_precision.dtype_policy()
    keras.config.set_floatx("float64")
    keras.mixed_precision.set_dtype_policy("float64")
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.mixed_precision.set_dtype_policy(policy)
