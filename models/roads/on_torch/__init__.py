"""Roads through PyTorch, on the GPU where the worker sees one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

from models.roads.on_torch import entry, parts, trained


def on_device(road: Callable[..., Any]) -> Callable[..., Any]:
    """The road with all that it makes on the GPU, if there is one."""

    @functools.wraps(road)
    def taken(**given: Any) -> Any:
        with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
            return road(**given)

    return taken


ROADS: dict[str, Callable[..., Any]] = {
    road.__name__: on_device(road)
    for road in (
        trained.train, trained.heads, trained.apply, trained.freeze, trained.penalized, trained.constrained, trained.implementations,
        parts.initializer_shared, parts.truncated, parts.in_pieces, parts.normalized, parts.confident, parts.loaded,
        entry.entry_points, entry.memory, entry.dropped,
    )
} | {
    road.__name__: road for road in (parts.seeded, parts.refusals)  # shuffling loaders draw their order on the CPU
}  # fmt: skip
