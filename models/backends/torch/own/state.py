"""What a module carries from one pass to the next: parameters, buffers that are saved or not, and numbers in its own attributes."""

from __future__ import annotations

import copy
import random

import numpy as np
import torch
from torch import Tensor, nn

from models.arrays import Array

WIDER = {torch.float32: torch.float64, torch.float16: torch.float64, torch.bfloat16: torch.float64, torch.complex64: torch.complex128}
"""The format of a twin's numbers."""
PLAIN = bool, int, float, complex, str, bytes, type(None), np.ndarray, np.generic, torch.dtype, torch.Size
"""Values that can be kept by copying them."""


class State:
    """A module's state at one moment."""

    def __init__(self, model: nn.Module) -> None:
        """Keep it."""
        self._tensors = {name: value.detach().clone() for name, value in _tensors(model).items()}
        self._attributes = {name: _attributes(module) for name, module in model.named_modules()}

    def put_back(self, model: nn.Module) -> None:
        """Give the module, or a copy of it in another format, the state that was kept."""
        here = _tensors(model)
        with torch.no_grad():
            for name, value in self._tensors.items():
                if name in here and here[name].shape == value.shape:
                    here[name].copy_(value)
                else:  # a buffer that has grown, or that is there no more
                    owner, _, kind = name.rpartition(".")
                    model.get_submodule(owner)._buffers[kind] = value.clone()
        for name, module in model.named_modules():
            for attribute, value in self._attributes.get(name, {}).items():
                if module.__dict__.get(attribute) is not value:  # a copy of what never changes is the thing itself
                    module.__dict__[attribute] = copy.deepcopy(value)


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers, those that are not saved as well."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _attributes(module: nn.Module) -> dict[str, object]:
    """A module's own attributes whose values are plain numbers, words and tensors, in any nesting; what PyTorch keeps itself apart."""
    ours = nn.Module().__dict__
    return {name: copy.deepcopy(value) for name, value in module.__dict__.items() if name not in ours and _is_plain(value)}


def _is_plain(value: object) -> bool:
    if isinstance(value, Tensor):
        return not isinstance(value, nn.Parameter) and not value.requires_grad
    if isinstance(value, dict) and type(value) is dict:
        return all(map(_is_plain, value.keys())) and all(map(_is_plain, value.values()))
    if isinstance(value, (list, tuple, set)) and type(value) in (list, tuple, set):
        return all(map(_is_plain, value))
    return isinstance(value, PLAIN)


def seed_everything(seed: int) -> None:
    """The draws that every pass begins with."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


def widen(model: nn.Module) -> None:
    """Put the module on the CPU in float64, its complex numbers in complex128."""
    model._apply(widened)


def widened(value: Tensor) -> Tensor:
    """A tensor on the CPU, in float64 or complex128 where it is of real or complex numbers."""
    return value.to("cpu", WIDER.get(value.dtype, value.dtype))


def array(tensor: Tensor) -> Array:
    """A copy of a tensor's numbers, complex ones as pairs, a sparse one's as dense; those of bfloat16, which NumPy lacks, in float32."""
    tensor = tensor.detach().cpu()
    tensor = tensor.to_dense() if tensor.layout != torch.strided else tensor
    tensor = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
    return np.array((tensor.float() if tensor.dtype == torch.bfloat16 else tensor).resolve_neg().numpy())


def tensor_like(numbers: Array, like: Tensor) -> Tensor:
    """The numbers of an array as a new tensor of another one's format and place."""
    found = torch.from_numpy(np.array(numbers))
    return torch.view_as_complex(found).to(like) if like.is_complex() else found.to(like)
