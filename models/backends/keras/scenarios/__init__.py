"""Scenarios through Keras, on any of its backends."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from models.backends.keras.precision import begin_session, compute_in
from models.backends.keras.promises import PROMISES
from models.backends.keras.scenarios import entry_points, images, minimized, parts, recurrent, recurrent_trained, reported, trained


def in_float32(scenario: Callable[..., Any]) -> Callable[..., Any]:
    """The scenario, whatever precision the process computed in before."""

    @functools.wraps(scenario)
    def taken(**given: Any) -> Any:
        begin_session()
        compute_in("float32")
        return scenario(**given)

    return taken


SCENARIOS: dict[str, Callable[..., Any]] = {
    scenario.__name__: in_float32(scenario)
    for scenario in (
        trained.train, trained.heads, trained.apply, trained.freeze,
        reported.on_batches, reported.fit, reported.stopped_early, reported.penalized, reported.constrained,
        parts.initializer_shared, parts.seeded, parts.truncated, parts.in_pieces, parts.normalized, parts.confident, parts.refusals,
        entry_points.entry_points, entry_points.called, entry_points.memory, entry_points.dropped,
        recurrent.recurrent, recurrent_trained.kept_orthogonal, recurrent_trained.stateful_trained, recurrent_trained.masked_loss,
        images.image_layer, minimized.minimized,
    )
} | PROMISES  # fmt: skip
