"""Settings of the whole process that a user's file may change: each model begins with those that this process began with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

SETTINGS: tuple[tuple[Callable[[], Any], Callable[[Any], object]], ...] = (
    (keras.config.floatx, keras.config.set_floatx),
    (keras.mixed_precision.dtype_policy, keras.mixed_precision.set_dtype_policy),
    (keras.config.epsilon, keras.config.set_epsilon),
    (keras.config.image_data_format, keras.config.set_image_data_format),
)
"""How each is asked for and set."""
_first: list[Any] = []


def put_back() -> None:
    """Undo what an earlier model's file has set."""
    if not _first:
        _first.extend(ask() for ask, _ in SETTINGS)
    for (ask, set_to), value in zip(SETTINGS, _first, strict=True):
        if ask() != value:
            set_to(value)
