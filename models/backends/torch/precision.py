"""How PyTorch is asked for a precision: autocast, the scaler of the loss, TF32."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

import torch
from torch.autograd import forward_ad

from models.backends.registry import Absent
from models.spec import Spec

LACKING = "could not create a primitive descriptor"
"""What oneDNN says of a kernel that it does not have for this processor and format."""


def autocast(spec: Spec, device: str) -> contextlib.AbstractContextManager[object]:
    """The context in which a user of the spec's precision computes outputs and loss."""
    half = spec.format.half
    return torch.autocast(device.partition(":")[0], getattr(torch, half)) if half else contextlib.nullcontext()


def scaler(spec: Spec, device: str) -> torch.amp.GradScaler | None:
    """PyTorch's own scaler from the spec's first scale, None where no loss is scaled; raises Absent in a release without."""
    if not spec.format.scaled:
        return None
    if not hasattr(torch.amp, "GradScaler"):
        raise Absent(f"PyTorch {torch.__version__} has no torch.amp.GradScaler")
    return torch.amp.GradScaler(device.partition(":")[0], init_scale=spec.loss_scale, growth_interval=spec.scale_growth)


@contextlib.contextmanager
def absences(device: str) -> Iterator[None]:
    """A kernel that this release does not have for a format raises models.backends.registry.Absent with PyTorch's own words.

    oneDNN, which computes LSTMs on CPUs, has those in bfloat16 for processors with AVX-512 alone, and those in float16 for fewer.
    """
    try:
        yield
    except RuntimeError as error:  # NotImplementedError is one
        if not isinstance(error, NotImplementedError) and LACKING not in str(error):
            raise
        raise Absent(f"PyTorch {torch.__version__} on {device}: {str(error).replace(chr(10), ' ').partition('. ')[0]}") from None


def allow_tf32(allowed: bool) -> None:
    """Allow or forbid TF32 in float32 matrix products, and in cuDNN's convolutions, where PyTorch allows it by default."""
    torch.backends.cudnn.allow_tf32 = allowed
    torch.set_float32_matmul_precision("high" if allowed else "highest")


def float32_products() -> str:
    """The precision of float32 matrix products that PyTorch says is on: `float32` or `tf32`."""
    return {"highest": "float32", "high": "tf32"}.get(torch.get_float32_matmul_precision(), "lower")


@contextlib.contextmanager
def forward_mode() -> Iterator[None]:
    """Where dual numbers carry derivatives."""
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.simplefilter("ignore", DeprecationWarning)  # forward mode loads PyTorch's own deprecated scripts
        yield


def format_of(tensor: torch.Tensor) -> str:
    """The name of a tensor's format, as NumPy has it."""
    return str(tensor.dtype).removeprefix("torch.")
