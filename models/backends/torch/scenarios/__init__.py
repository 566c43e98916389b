"""Scenarios through PyTorch, on the GPU where the worker sees one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

from models.backends.torch.precision import allow_tf32
from models.backends.torch.promises import PROMISES
from models.backends.torch.scenarios import entry_points, images, minimized, parts, recurrent, trained


def on_device(scenario: Callable[..., Any]) -> Callable[..., Any]:
    """The scenario with all that it makes on the GPU, if there is one, in float32."""

    @functools.wraps(scenario)
    def taken(**given: Any) -> Any:
        allow_tf32(False)
        with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
            return scenario(**given)

    return taken


SCENARIOS: dict[str, Callable[..., Any]] = {
    scenario.__name__: on_device(scenario)
    for scenario in (
        trained.train, trained.heads, trained.apply, trained.freeze, trained.penalized, trained.constrained, trained.implementations,
        parts.initializer_shared, parts.truncated, parts.in_pieces, parts.normalized, parts.confident, parts.loaded,
        entry_points.entry_points, entry_points.memory, entry_points.dropped, recurrent.recurrent, recurrent.kept_orthogonal,
        images.image_layer, minimized.minimized, minimized.lbfgs,
    )
} | {
    scenario.__name__: scenario for scenario in (parts.seeded, parts.refusals)  # shuffling loaders draw their order on the CPU
} | PROMISES  # fmt: skip
