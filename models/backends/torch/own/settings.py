"""Settings of the whole process that a user's file may change: each model begins with those that this process began with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

SETTINGS: tuple[tuple[Callable[[], Any], Callable[[Any], object]], ...] = (
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_default_device, torch.set_default_device),
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    (torch.get_num_threads, torch.set_num_threads),
)
"""How each is asked for and set."""
_first: list[Any] = []


def put_back() -> None:
    """Undo what an earlier model's file has set."""
    if not _first:
        _first.extend(ask() for ask, _ in SETTINGS)
    for (ask, set_to), value in zip(SETTINGS, _first, strict=True):
        if ask() != value:
            set_to(value)
