"""Float64 twins of a Keras model: one module for each library that Keras runs on, with the functions of `Twins`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, cast

import keras

from models.arrays import Array
from models.backends.keras.libraries import Side, Tensor

Tape = Any
"""Decisions and draws of a pass, as each library's module keeps them."""
LossOf = Callable[..., tuple[Tensor, Side]]
"""Loss and side results of variables' values and of a tap that each layer's output passes through."""


class Operations(Protocol):
    """One pass, whose operations are recorded, or replayed in float64 and perhaps rounded."""

    tape: Tape
    counts_near: bool
    """Whether decisions are counted that rounding could turn."""

    @property
    def stopped(self) -> list[Tensor | Array]:
        """Values whose gradient the model stops, in the order of computation."""

    @property
    def half(self) -> str:
        """The first operation that computed in less than float32; empty without one."""

    @property
    def near(self) -> int:
        """How many decisions rounding could turn."""

    def inside(self) -> AbstractContextManager[object]:
        """Operations in here are this pass's."""

    def differentiate(self, loss_of: LossOf[Side], values: list[Tensor]) -> tuple[Tensor, Side, list[Tensor | None], dict[str, Tensor]]:
        """Value, side results, and gradients of the values and of every tapped layer."""

    def evaluate(self, function: Callable[[list[Tensor]], Side], values: Iterable[Array]) -> Side:
        """A function of tensors without its gradient."""


class Twins(Protocol):
    """What each of these modules offers."""

    REBUILT: bool
    """Whether the twin is the model built again in float64; else it is the float32 model's own operations in float64."""

    TAKES_ALL: bool
    """Whether `evaluate` must be given the value of every variable, and not of those alone that are moved."""

    def recording(self) -> Operations:
        """A float32 pass whose decisions and draws are kept."""

    def replay(self, tape: Tape | None, rounded: int | None = None, held: list[Tensor | Array] | None = None) -> Operations:
        """A float64 pass with the decisions of a tape; `rounded` seeds errors, `held` take the places of stopped values."""

    def draws(self, tape: Tape) -> bool:
        """Whether any number of the pass is random."""

    def float64_by_default(self) -> AbstractContextManager[None]:
        """What is built and run in here is the twin."""

    def surrogates(self, run: Callable[[Operations], object]) -> dict[str, str]:
        """The user's functions whose backward pass is no derivative on purpose: what their forward pass does, by name.

        `run` computes the loss by the operations that it is given.
        """


TWINS = cast(Twins, importlib.import_module(f"{__name__}.{keras.backend.backend()}"))
"""The one of the library that Keras runs on in this process."""

if TYPE_CHECKING:  # holds every module against the protocol
    from models.backends.keras.own.twins import jax, tensorflow, torch

    _TWINS: tuple[Twins, ...] = (tensorflow, jax, torch)
