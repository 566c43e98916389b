"""What PyTorch's encoder leaves out in evaluation: it packs sequences without their padding, and gives zeros in the place of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from models.backends.torch.own.state import array

PACKING = "_nested_tensor_from_mask"
"""The operation by which `nn.TransformerEncoder` packs sequences, seen where it has taken its fast path."""


@contextmanager
def zeros_for_padding(model: nn.Module) -> Iterator[None]:
    """Encoders in here give zeros for padding on their slow path as well, which is the only one that can be looked into."""

    def zeroed(module: nn.Module, args: tuple[object, ...], kwargs: dict[str, Tensor | None], output: Tensor) -> Tensor:
        mask = kwargs["src_key_padding_mask"]
        if mask is None:
            return output
        padded = torch.from_numpy(array(mask) != 0)  # outside of PyTorch, for it is no decision of the model's
        return output.masked_fill(padded.to(output.device).unsqueeze(-1), 0.0)

    lasts = [module.layers[-1] for module in model.modules() if isinstance(module, nn.TransformerEncoder)]
    handles = [last.register_forward_hook(zeroed, with_kwargs=True) for last in lasts]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
