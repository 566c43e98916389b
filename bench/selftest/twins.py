"""GPUs that are not there: PyTorch whose products are computed as a GPU's are, and Keras that compiles as it does beside a GPU.

A GPU multiplies in float32 or in TF32, whichever the framework was told, and sums in orders of its own. What is not emulated is the
rest: transcendental functions, reductions and atomics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch

Product = Callable[[Any, Any], Any]
TENSOR_CORE_TERMS = 8
"""How many products a tensor core adds at once before it cuts the sum to float32 (Fasi, Higham, Mikaitis and Pranesh 2021: 4 to 8)."""


def rounded(x: Any) -> Any:
    """To TF32's ten bits, to nearest and ties to even."""
    bits = x.contiguous().view(torch.int32)
    return ((bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFF).view(torch.float32)


def cut(x: Any) -> Any:
    """The first ten bits, as tensor cores read their operands."""
    return (x.contiguous().view(torch.int32) & ~0x1FFF).view(torch.float32)


def whole(a: Any, b: Any) -> Any:
    """As this processor's library sums."""
    return torch.mm(a, b)


def split(a: Any, b: Any) -> Any:
    """Split-K: four partial sums, added at last."""
    parts = [torch.mm(one, other) for one, other in zip(a.chunk(4, 1), b.chunk(4, 0), strict=True)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def one_by_one(a: Any, b: Any) -> Any:
    """Term after term, each fused product and sum rounded to float32, as a GPU's ordinary cores do."""
    total = torch.zeros(a.shape[0], b.shape[1])
    for k in range(a.shape[1]):
        total = (total.double() + a[:, k : k + 1].double() * b[k : k + 1].double()).float()
    return total


def towards_zero(a: Any, b: Any) -> Any:
    """A few terms at a time, each sum cut to float32, as tensor cores do."""
    total = torch.zeros(a.shape[0], b.shape[1])
    for k in range(0, a.shape[1], TENSOR_CORE_TERMS):
        exact = total.double() + a[:, k : k + TENSOR_CORE_TERMS].double() @ b[k : k + TENSOR_CORE_TERMS].double()
        near = exact.float()
        total = torch.where(near.double().abs() > exact.abs(), torch.nextafter(near, torch.zeros_like(near)), near)
    return total


@dataclass(frozen=True)
class Twin:
    """How a made-up GPU multiplies: what it does to operands where TF32 is allowed (None: it has none), how it sums then, and else."""

    tf32: Callable[[Any], Any] | None = None
    tf32_sums: Product = whole
    sums: Product = whole

    def product(self, a: Any, b: Any) -> Any:
        """a @ b, two matrices in float32."""
        if self.tf32 and torch.get_float32_matmul_precision() == "high":
            return self.tf32_sums(self.tf32(a), self.tf32(b))
        return self.sums(a, b)


TWINS: dict[str, Twin] = {
    "float32 split in four": Twin(sums=split),
    "float32 one by one": Twin(sums=one_by_one),
    "TF32 to nearest": Twin(rounded),
    "TF32 cut": Twin(cut),
    "TF32 cut, sums cut": Twin(cut, towards_zero),
    "no TF32": Twin(),
}


@contextmanager
def multiplying(twin: Twin) -> Iterator[None]:
    """PyTorch that multiplies matrices in float32, forward, backward and in forward mode, as the twin does."""

    class Multiply(torch.autograd.Function):  # type: ignore[name-defined, misc]
        generate_vmap_rule = True  # `torch.func` goes through it as well

        @staticmethod
        def forward(a: Any, b: Any) -> Any:
            return twin.product(a, b)

        @staticmethod
        def setup_context(context: Any, inputs: Any, output: Any) -> None:
            context.save_for_backward(*inputs)
            context.save_for_forward(*inputs)

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            a, b = context.saved_tensors
            return twin.product(gradient, b.t()), twin.product(a.t(), gradient)

        @staticmethod
        def jvp(context: Any, along_a: Any, along_b: Any) -> Any:
            a, b = context.saved_tensors
            return twin.product(along_a, b) + twin.product(a, along_b)

    linear, matmul, at = torch.nn.functional.linear, torch.matmul, torch.Tensor.__matmul__

    def plain(*factors: Any) -> bool:
        return all(x.dtype == torch.float32 and x.dim() == 2 for x in factors) and not torch.is_autocast_enabled("cpu")

    def as_linear(x: Any, w: Any, b: Any = None) -> Any:
        if not plain(x, w):
            return linear(x, w, b)
        y = Multiply.apply(x, w.t())
        return y if b is None else y + b

    with (
        mock.patch.object(torch.nn.functional, "linear", as_linear),
        mock.patch.object(torch, "matmul", lambda a, b: Multiply.apply(a, b) if plain(a, b) else matmul(a, b)),
        mock.patch.object(torch.Tensor, "__matmul__", lambda a, b: Multiply.apply(a, b) if plain(a, b) else at(a, b)),
    ):
        yield


@contextmanager
def compiling_as_on_a_gpu() -> Iterator[None]:
    """Keras on TensorFlow that compiles steps by XLA, as it does where TensorFlow lists a GPU."""
    from keras.src.trainers import trainer

    with mock.patch.object(trainer.Trainer, "_resolve_auto_jit_compile", lambda model: trainer.model_supports_jit(model)):
        yield
