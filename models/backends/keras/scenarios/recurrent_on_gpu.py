"""The path that Keras on PyTorch takes through a recurrent layer on a GPU, taken on a CPU."""

from __future__ import annotations

import inspect
import sys
from typing import Any

from keras import ops

from models.backends.keras.libraries import Tensor
from models.backends.registry import Absent

MODULE = "keras.src.backend.torch.rnn"
"""Where Keras's functions stand that call PyTorch's fused layers. They are private, so that a release may lack one."""


def gpu_path(parts: list[Any], x: Tensor, lengths: list[int]) -> tuple[Tensor, Tensor]:
    """Outputs of all time steps and the last ones, from a state of zeros.

    A layer falls back in silence where this path fails, so that its own outputs say nothing of it. Raises Absent where there is none,
    and whatever the path raises.
    """
    layer, cell = parts[0], parts[0].cell
    path = getattr(sys.modules.get(MODULE), f"_cudnn_{type(layer).__name__.lower()}", None)
    if path is None:
        raise Absent(f"Keras has no path of a GPU through {type(layer).__name__} here")
    zeros = ops.zeros((x.shape[0], cell.units), dtype=x.dtype)
    given = {
        **dict.fromkeys(("initial_state", "initial_state_h", "initial_state_c"), zeros),
        **{name: ops.convert_to_tensor(getattr(cell, name)) for name in ("kernel", "recurrent_kernel", "bias")},
        "inputs": x, "mask": None, "batch_first": True, "go_backwards": False, "return_sequences": True,
        "device": getattr(x, "device", None),
    }  # fmt: skip
    last, outputs, _ = path(**{name: given[name] for name in inspect.signature(path).parameters})
    return outputs, last
