"""Models and optimizers that a user makes once and every call of the factory returns: each call begins as the first one did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import keras

from models.arrays import Array
from models.backends.keras.own.values import put_back, state_of
from models.own.gauge import OwnError

_models: WeakKeyDictionary[keras.Model, Mapping[str, Array]] = WeakKeyDictionary()


def as_first_returned(model: keras.Model) -> None:
    """Give a model that is built the variables that it had when a factory returned it for the first time."""
    if model not in _models:
        _models[model] = state_of(model.variables)
    elif len(_models[model]) == len(model.variables):
        put_back(_models[model], model.variables)


def unused(optimizer: Any, model: str) -> Any:
    """The optimizer, or a new one of its settings where it belongs to an earlier model. Raises OwnError for one without settings."""
    if not isinstance(optimizer, keras.optimizers.Optimizer) or not optimizer.built:
        return optimizer
    try:
        return type(optimizer).from_config(optimizer.get_config())
    except Exception as error:
        said = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}".rstrip(": ")
        raise OwnError(
            f"{model} returns an optimizer that an earlier call has used, and a new one cannot be made of its settings ({said}): "
            "make it in the factory."
        ) from None
