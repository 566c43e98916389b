"""What a module carries from one pass to the next: parameters, buffers that are saved or not, and numbers in its own attributes."""

from __future__ import annotations

import copy
import random
from collections import Counter, OrderedDict, defaultdict, deque

import numpy as np
import torch
from torch import Tensor, nn

from models.arrays import Array

WIDER = {torch.float32: torch.float64, torch.float16: torch.float64, torch.bfloat16: torch.float64, torch.complex64: torch.complex128}
"""The format of a twin's numbers."""
OF_NUMPY = torch.float64, torch.float32, torch.float16
"""Floating-point formats that NumPy has, which lacks bfloat16 and those of 8 bits."""
PLAIN = bool, int, float, complex, str, bytes, type(None), np.ndarray, np.generic, torch.dtype, torch.Size
"""Values that can be kept by copying them."""
NESTS = dict, OrderedDict, defaultdict, Counter, list, tuple, set, frozenset, deque
"""Containers that are kept where all that they hold is."""
GENERATORS = torch.Generator, np.random.Generator, np.random.RandomState, random.Random
"""Sources of draws that a module holds itself."""


class State:
    """A module's state at one moment."""

    def __init__(self, model: nn.Module) -> None:
        """Keep it."""
        self._tensors = {name: value.detach().clone() for name, value in _tensors(model).items()}
        self._attributes = {name: _attributes(module) for name, module in model.named_modules()}
        self._there = {
            name: ({*module.__dict__}, {key: each is None for key, each in module._buffers.items()})
            for name, module in model.named_modules()
        }

    def put_back(self, model: nn.Module) -> None:
        """Give the module, or a copy of it in another format, the state that was kept; what a pass has made since then is taken away."""
        for name, module in model.named_modules():
            if name in self._there and not isinstance(module, torch.jit.ScriptModule):
                self._take_away(name, module)
        here = _tensors(model)
        with torch.no_grad():
            for name, value in self._tensors.items():
                if name in here and here[name].shape == value.shape:
                    here[name].copy_(value)
                else:  # a buffer that has grown, or that is there no more
                    owner, _, kind = name.rpartition(".")
                    # In the format of the model at hand, which may be a twin.
                    model.get_submodule(owner)._buffers[kind] = value.to(here.get(name, value), copy=True)
        for name, module in model.named_modules():
            for attribute, value in self._attributes.get(name, {}).items():
                here_now = module.__dict__.get(attribute)
                if isinstance(value, GENERATORS) and type(here_now) is type(value):
                    _rewind(here_now, value)  # the thing itself, which other modules may hold as well
                elif here_now is not value:  # a copy of what never changes is the thing itself
                    module.__dict__[attribute] = copy.deepcopy(value)

    def _take_away(self, name: str, module: nn.Module) -> None:
        """Attributes and buffers that were not there; buffers that were None are None again."""
        attributes, buffers = self._there[name]
        for attribute in module.__dict__.keys() - attributes:
            del module.__dict__[attribute]
        for buffer in list(module._buffers):
            if buffer not in buffers:
                del module._buffers[buffer]
                module._non_persistent_buffers_set.discard(buffer)
            elif buffers[buffer]:
                module._buffers[buffer] = None


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
    if isinstance(value, dict) and type(value) in NESTS:
        return all(map(_is_plain, value.keys())) and all(map(_is_plain, value.values()))
    if isinstance(value, (list, tuple, set, frozenset, deque)) and type(value) in NESTS:
        return all(map(_is_plain, value))
    return isinstance(value, (*PLAIN, *GENERATORS))


def _rewind(generator: object, kept: object) -> None:
    """Let a generator go on from where another one of its kind is."""
    if isinstance(generator, torch.Generator) and isinstance(kept, torch.Generator):
        generator.set_state(kept.get_state())
    elif isinstance(generator, np.random.Generator) and isinstance(kept, np.random.Generator):
        generator.bit_generator.state = kept.bit_generator.state
    elif isinstance(generator, np.random.RandomState) and isinstance(kept, np.random.RandomState):
        generator.set_state(kept.get_state())
    elif isinstance(generator, random.Random) and isinstance(kept, random.Random):
        generator.setstate(kept.getstate())


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
    """A copy of a tensor's numbers, complex ones as pairs, a sparse one's as dense; those of formats that NumPy lacks in float32."""
    tensor = tensor.detach().cpu()
    tensor = tensor.to_dense() if tensor.layout != torch.strided else tensor
    tensor = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
    # A copy before NumPy sees it: what shares its storage with NumPy can never be resized, as observers resize their buffers.
    lacks = tensor.is_floating_point() and tensor.dtype not in OF_NUMPY
    found: Array = (tensor.float() if lacks else tensor).resolve_neg().clone().numpy()
    return found


def tensor_like(numbers: Array, like: Tensor) -> Tensor:
    """The numbers of an array as a new tensor of another one's format and place."""
    found = torch.from_numpy(np.array(numbers))
    return torch.view_as_complex(found).to(like) if like.is_complex() else found.to(like)
