"""Roads through PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from models.roads.on_torch import entry, parts, trained

ROADS: dict[str, Callable[..., Any]] = {
    road.__name__: road
    for road in (
        trained.train, trained.heads, trained.apply, trained.freeze, trained.penalized, trained.constrained, trained.implementations,
        parts.initializer_shared, parts.seeded, parts.normalized, parts.confident, parts.refusals, parts.loaded,
        entry.entry_points, entry.memory, entry.dropped,
    )
}  # fmt: skip
