"""Normalizations in half precision, on inputs whose squares leave the format."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn import functional

from models.backends.ways import Ways

NORMS: dict[str, Callable[[], Callable[[torch.Tensor], torch.Tensor]]] = {
    "LayerNorm": lambda: nn.LayerNorm(32),
    "RMSNorm": lambda: nn.RMSNorm(32, eps=1e-5),
    "GroupNorm": lambda: nn.GroupNorm(4, 32),
    "GroupNorm of one group": lambda: nn.GroupNorm(1, 32),
    "BatchNorm1d": lambda: nn.BatchNorm1d(32),
    "InstanceNorm1d": lambda: nn.Sequential(nn.Unflatten(1, (4, 8)), nn.InstanceNorm1d(4), nn.Flatten()),
    "normalize": lambda: lambda x: functional.normalize(x, dim=1),
    "softmax": lambda: nn.Softmax(1),
    "log_softmax": lambda: nn.LogSoftmax(1),
}
SIZES = {torch.float16: (3e-4, 3e-3, 1.0, 300.0, 3000.0, 8000.0), torch.bfloat16: (1e-15, 1e-6, 1e-3, 1.0, 300.0, 1e15)}
"""By format, input sizes whose squares leave it or its resolution while they themselves, and their squares in float32, do not."""


def norms_in_half_precision() -> Iterator[Ways]:
    """Every normalization in both half precisions on inputs of every size, against the same in float64."""
    for dtype, sizes in SIZES.items():
        for name, make in NORMS.items():
            for size in sizes:
                x = (size * torch.randn(8, 32, generator=torch.Generator().manual_seed(9), device="cpu")).to(dtype)

                def half() -> torch.Tensor:
                    norm = make()
                    return (norm.to(dtype) if isinstance(norm, nn.Module) else norm)(x)

                def double() -> torch.Tensor:
                    norm = make()
                    return (norm.double() if isinstance(norm, nn.Module) else norm)(x.double())

                # The output is stored once; where a mean is taken away, that was stored before in a format not narrower.
                case = f"{name} {str(dtype).removeprefix('torch.')} of size {size:g}"
                yield Ways(case, {"float64": double, "half": half}, 1, unit=torch.finfo(dtype).eps / 2)
