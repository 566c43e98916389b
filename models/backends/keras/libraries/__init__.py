"""What Keras leaves to the library it runs on: one module a library, with the functions of `Library`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar, cast, runtime_checkable

import keras

from models.arrays import Batches, Targets


@runtime_checkable
class Tensor(Protocol):
    """A tensor or variable of whichever library Keras runs on, or one of Keras's own: what these classes have in common."""

    @property
    def shape(self) -> Sequence[int]:
        """Its dimensions."""

    @property
    def dtype(self) -> object:
        """Its format: a string in Keras, the library's own class elsewhere."""

    def __getitem__(self, place: object, /) -> Tensor:
        """A part of it."""

    def __neg__(self) -> Tensor:
        """Its negative."""

    def __add__(self, other: object, /) -> Tensor:
        """Sum."""

    def __radd__(self, other: object, /) -> Tensor:
        """Sum."""

    def __sub__(self, other: object, /) -> Tensor:
        """Difference."""

    def __rsub__(self, other: object, /) -> Tensor:
        """Difference."""

    def __mul__(self, other: object, /) -> Tensor:
        """Product of elements."""

    def __rmul__(self, other: object, /) -> Tensor:
        """Product of elements."""

    def __truediv__(self, other: object, /) -> Tensor:
        """Quotient of elements."""

    def __rtruediv__(self, other: object, /) -> Tensor:
        """Quotient of elements."""

    def __pow__(self, other: object, /) -> Tensor:
        """Power of elements."""

    def __matmul__(self, other: object, /) -> Tensor:
        """Product of matrices."""


Side = TypeVar("Side")
"""What a function returns beside its value."""
Tap = Callable[[str, Tensor], Tensor]
"""Hands on a named tensor of a pass, and notes it so that the pass can be differentiated with respect to it."""
Tapped = Callable[..., tuple[Tensor, Side]]
"""A pass of a tap and of tensors that it is given; it returns a scalar and side results."""


class Library(Protocol):
    """What each of these modules offers."""

    FLOAT64: bool
    """Whether float64 tensors exist beside float32 ones."""
    CALLS_TRAIN_FUNCTION: bool
    """Whether the trainer's compiled function can be called with batches that are on the device already."""
    SEVERAL_STEPS: bool
    """Whether `fit` can take several steps in one execution."""

    def version(self) -> str:
        """The library's version."""

    def gradient(self, function: Callable[[list[Tensor]], tuple[Tensor, Side]], at: list[Tensor]) -> tuple[Tensor, Side, list[Tensor]]:
        """Value, side results and gradient of `function(tensors) -> (scalar, side)`."""

    def with_gradient(self, function: Callable[..., tuple[list[Tensor], object]]) -> Callable[..., list[Tensor]]:
        """A function of tensors whose gradient is its own: it returns results, and what makes their gradients those of its arguments.

        Raises Absent where it is not written yet.
        """

    def after(self, tensors: list[Tensor], first: list[Tensor]) -> list[Tensor]:
        """The same tensors, which are not used before those of `first` are there."""

    def tapped_gradients(
        self, function: Tapped[Side], shapes: Mapping[str, tuple[int, ...]], dtype: str, compiled: bool, fused: bool
    ) -> Callable[..., tuple[Tensor, Side, dict[str, Tensor]]]:
        """A function of what a pass is given: its value and side results, and the value's gradient with respect to every tapped tensor.

        `shapes` names the tensors that are tapped. With `compiled` the pass is compiled as a training step is, where a library does so:
        by XLA where that is `fused`. What it is given are then arguments, which a compiler does not compute with beforehand.
        """

    def compiled(self, function: Callable[..., Side]) -> Callable[..., Side]:
        """The function as the library compiles it. Raises Absent where it compiles none by itself."""

    def slope(self, function: Callable[[list[Tensor]], Tensor], at: list[Tensor], along: list[Tensor]) -> Tensor:
        """Derivative of `function(tensors) -> scalar` in the direction `along`, by forward mode."""

    def hessian(self, function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
        """Second derivatives (parameters × parameters) of `function(vector) -> scalar`."""

    def forget_traces(self) -> None:
        """Forget training steps traced so far that the library itself would keep for the life of the process."""

    def allow_float64(self, allowed: bool) -> None:
        """Let float64 be float64."""

    def allow_tf32(self, allowed: bool) -> None:
        """Allow or forbid TF32 in float32 matrix products."""

    def float32_products(self) -> str:
        """The precision of float32 matrix products that is on: `float32`, `tf32` or `lower`."""

    def once_traced(self, xs: Batches, targets: list[Targets]) -> Iterator[Tensor] | None:
        """Batches as the trainer's compiled function takes them, None where they are arrays (batch × features) like all others."""

    def collect_weights(self, model: keras.Model) -> None:
        """Put weights that `fit` keeps elsewhere while it runs into the model's variables."""

    def configure(self, threads: int, deterministic: bool = False) -> None:
        """Fix the number of threads and, if asked to, kernels that give the same bits every time, before any work."""

    def gpus(self) -> list[str]:
        """Names of the GPUs that can be used here."""

    def built_for(self) -> str:
        """`CUDA 12.5`, or nothing for the CPU alone."""

    def place_of(self, tensor: Tensor) -> str:
        """Where a tensor is."""

    def drain(self) -> None:
        """Wait until every GPU has done all it was asked."""

    def device_memory(self) -> int:
        """Bytes that tensors hold on the first GPU now."""

    def peak_device_memory(self, reset: bool) -> float:
        """The most memory that tensors held on the GPU, in MB, since the last time with `reset`."""


LIBRARY = cast(Library, importlib.import_module(f"{__name__}.{keras.backend.backend()}"))
"""The one that Keras runs on in this process."""

if TYPE_CHECKING:  # holds every module against the protocol
    from models.backends.keras.libraries import jax, tensorflow, torch

    _LIBRARIES: tuple[Library, ...] = (tensorflow, jax, torch)
