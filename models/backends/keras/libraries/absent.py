"""What a library under Keras is not written for here yet."""

from __future__ import annotations

from collections.abc import Callable

from models.backends.keras.libraries import Tensor
from models.backends.registry import Absent

KEEPS_NOTHING = "layers that keep no activations are written for PyTorch itself and for Keras on TensorFlow"


def with_gradient(function: Callable[..., tuple[list[Tensor], object]]) -> Callable[..., list[Tensor]]:
    """Raises Absent."""
    raise Absent(KEEPS_NOTHING)


def after(tensors: list[Tensor], first: list[Tensor]) -> list[Tensor]:
    """Raises Absent."""
    raise Absent(KEEPS_NOTHING)
