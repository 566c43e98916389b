"""Published networks of keras.applications by name, untrained, with a small batch of noise: `keras:MobileNetV2`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from models.own.gauge import OwnError
from models.own.published import CLASSES, settings


def factory(package: str, name: str) -> Callable[[], Any]:
    """A function that builds a network of keras.applications. Raises OwnError for a name that is not there."""
    names = [each for each in dir(keras.applications) if each[0].isupper()]
    if name not in names:
        near = [each for each in names if each[:4].lower() == name[:4].lower()] or names[:6]
        raise OwnError(f"--model={package}:{name}: keras.applications has no network {name!r}; near it are {', '.join(near)}.")
    row = settings(package, name)

    def made() -> dict[str, Any]:
        build = getattr(keras.applications, name)
        model = build(weights=None, input_shape=(row.pixels, row.pixels, 3), classes=CLASSES, classifier_activation=None, **row.options)
        images = np.random.standard_normal((row.batch, row.pixels, row.pixels, 3)).astype(np.float32)
        return {
            "model": model, "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            "batch": (images, np.random.randint(0, CLASSES, row.batch)), "optimizer": keras.optimizers.SGD(0.01, momentum=0.9),
        }  # fmt: skip

    return made
