"""PyTorch's settings that hold for the whole process."""

from __future__ import annotations

import torch

from models.own.settings import Settings

SETTINGS = Settings(
    (torch.get_default_dtype, torch.set_default_dtype),
    # PyTorch before 2.3 does not tell its default device, so that it cannot be put back there.
    *([(torch.get_default_device, torch.set_default_device)] if hasattr(torch, "get_default_device") else []),
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    (torch.get_num_threads, torch.set_num_threads),
)
