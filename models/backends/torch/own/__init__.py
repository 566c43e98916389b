"""A user's PyTorch module, or one of torchvision's or timm's, beside its float64 twin."""

from __future__ import annotations

from models.backends.torch.precision import allow_tf32
from models.own.address import OwnModel
from models.own.protocol import AlignedNetwork, OwnNetwork, OwnStep
from models.own.training import OwnHistory


def own_network(model: OwnModel, seed: int, device: str) -> OwnNetwork:
    """The module that the model's factory returns, in float32 products unless its own file allows others. Raises OwnError."""
    from models.backends.torch.own.settings import SETTINGS
    from models.backends.torch.own.subject import Subject  # late, for runs of the matrix need none of it

    SETTINGS.put_back()
    allow_tf32(False)
    return Subject(model, seed, device)


def aligned_network(model: OwnModel, seed: int, device: str) -> AlignedNetwork:
    """The network of a pair, untrained. Raises OwnError."""
    from models.backends.torch.own.aligned import Module  # late, as above

    return Module(model, seed, device)


def train_own(model: OwnModel, seed: int, moved: bool, device: str) -> OwnHistory:
    """One training over the model's own data. Raises OwnError."""
    from models.backends.torch.own import training  # late, as above
    from models.backends.torch.own.settings import SETTINGS

    SETTINGS.put_back()
    return training.train_own(model, seed, moved, device)


def own_step(model: OwnModel, mode: str, seed: int, device: str) -> OwnStep:
    """One training step for the clock. Raises OwnError, Absent."""
    from models.backends.torch.own import timing  # late, as above
    from models.backends.torch.own.settings import SETTINGS

    SETTINGS.put_back()
    return timing.own_step(model, mode, seed, device)
