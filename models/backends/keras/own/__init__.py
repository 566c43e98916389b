"""A user's Keras model, or one of keras.applications, beside its float64 twin."""

from __future__ import annotations

import keras

from models.backends.keras.precision import compute_as_configured
from models.own.address import OwnModel
from models.own.gauge import OwnError
from models.own.protocol import AlignedNetwork, OwnNetwork, OwnStep
from models.own.training import OwnHistory


def own_network(model: OwnModel, seed: int, device: str) -> OwnNetwork:
    """The model that the factory returns, in float32 products unless its own file allows others. Raises OwnError."""
    from models.backends.keras.own.settings import SETTINGS
    from models.backends.keras.own.subject import Subject  # late, for runs of the matrix need none of it

    compute_as_configured()
    SETTINGS.put_back()  # behind it: else what this suite set would be taken for what the process began with
    return Subject(model, seed, device)


def aligned_network(model: OwnModel, seed: int, device: str) -> AlignedNetwork:
    """The network of a pair, untrained. Raises OwnError."""
    if keras.backend.backend() != "tensorflow":
        raise OwnError(f"{model.id} is compared by TensorFlow's operations: use --backend=torch,keras.")
    from models.backends.keras.own.aligned import Model  # late, as above

    return Model(model, seed, device)


def train_own(model: OwnModel, seed: int, moved: bool, device: str) -> OwnHistory:
    """One training over the model's own data. Raises OwnError."""
    from models.backends.keras.own import training  # late, as above
    from models.backends.keras.own.settings import SETTINGS

    compute_as_configured()
    SETTINGS.put_back()
    return training.train_own(model, seed, moved, device)


def own_step(model: OwnModel, mode: str, seed: int, device: str) -> OwnStep:
    """One training step for the clock. Raises OwnError, Absent."""
    from models.backends.keras.own import timing  # late, as above
    from models.backends.keras.own.settings import SETTINGS

    compute_as_configured()
    SETTINGS.put_back()
    return timing.own_step(model, mode, seed, device)
