"""Roads through Keras, on any of its backends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from models.roads.on_keras import entry, parts, reported, trained

ROADS: dict[str, Callable[..., Any]] = {
    road.__name__: road
    for road in (
        trained.train, trained.heads, trained.apply, trained.freeze,
        reported.on_batches, reported.fit, reported.stopped_early, reported.penalized, reported.constrained,
        parts.initializer_shared, parts.seeded, parts.normalized, parts.confident, parts.refusals,
        entry.entry_points, entry.memory, entry.dropped,
    )
}  # fmt: skip
