"""Roads through Keras, on any of its backends."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from models.keras_backend import begin_session, compute_in
from models.roads.on_keras import entry, parts, reported, trained


def in_float32(road: Callable[..., Any]) -> Callable[..., Any]:
    """The road, whatever precision the process computed in before."""

    @functools.wraps(road)
    def taken(**given: Any) -> Any:
        begin_session()
        compute_in("float32")
        return road(**given)

    return taken


ROADS: dict[str, Callable[..., Any]] = {
    road.__name__: in_float32(road)
    for road in (
        trained.train, trained.heads, trained.apply, trained.freeze,
        reported.on_batches, reported.fit, reported.stopped_early, reported.penalized, reported.constrained,
        parts.initializer_shared, parts.seeded, parts.truncated, parts.in_pieces, parts.normalized, parts.confident, parts.refusals,
        entry.entry_points, entry.called, entry.memory, entry.dropped,
    )
}  # fmt: skip
