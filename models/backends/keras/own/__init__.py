"""A user's Keras model, or one of keras.applications, beside its float64 twin."""

from __future__ import annotations

from models.backends.keras.libraries import LIBRARY
from models.own.address import OwnModel
from models.own.protocol import OwnNetwork


def own_network(model: OwnModel, seed: int, device: str) -> OwnNetwork:
    """The model that the factory returns, in float32 products unless its own file allows others. Raises OwnError."""
    from models.backends.keras.own.subject import Subject  # late, for runs of the matrix need none of it

    LIBRARY.allow_tf32(False)
    return Subject(model, seed, device)
