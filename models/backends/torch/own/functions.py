"""Functions whose backward pass is no derivative on purpose: straight-through steps, reversed or scaled gradients.

Such a function is flat or changes nothing in its forward pass, so that its derivative would be of no use, and its author gives another one.
PyTorch's own simulated quantization is one. Its draws of gamma and Dirichlet distributions have an implicit gradient, which no difference
of the loss shows while the draw is held.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest import mock

import torch
from torch import Tensor
from torch.autograd import function
from torch.utils._python_dispatch import TorchDispatchMode

from models.backends.torch.own.dispatch import Arguments, Named, Types
from models.backends.torch.own.hooks import apart
from models.backends.torch.own.tape import operation, tensors
from models.own.slopes import CHOSEN, FLAT_SHARE, MOVE

if TYPE_CHECKING:
    from torch._ops import OpOverload

QUANTIZED = "fake_quantize_", "_fake_quantize_", "_fused_moving_avg_obs_fq_"
"""Beginnings of operations that round to a grid, and past which the gradient goes straight (Jacob et al. 2018)."""
IMPLICIT = {"_standard_gamma_grad": "gamma", "_dirichlet_grad": "Dirichlet"}
"""Backward operations of draws by distribution: how the draw moves with its parameters at the same quantile (Figurnov et al. 2018)."""


class Apart(TorchDispatchMode):
    """Collects why gradients of PyTorch's own operations in here need not be derivatives, by operation and by draw."""

    def __init__(self) -> None:
        """Nothing has run yet."""
        super().__init__()
        self.flat: dict[str, str] = {}
        self.drawn: dict[str, None] = {}

    def __torch_dispatch__(self, func: OpOverload, types: Types, args: Arguments = (), kwargs: Named | None = None) -> object:
        """Run the operation, and note it where it is of these."""
        name = operation(func)
        if name in IMPLICIT:
            self.drawn[f"draws of a {IMPLICIT[name]} distribution have an implicit gradient, and differences of the loss hold them"] = None
        elif name.startswith(QUANTIZED) and not name.endswith("_backward") and any(each.requires_grad for each in tensors(args)):
            self.flat[name.removesuffix("_cachemask")] = "is flat"
        return func(*args, **(kwargs or {}))


@contextmanager
def surrogates() -> Iterator[dict[str, str]]:
    """While a model runs in here, its functions of that kind are collected: what the forward pass does, by the function's name."""
    found: dict[str, str] = {}
    of_pytorch = function.Function.__dict__["apply"]  # a classmethod, since 2.14 one of C that does not show its function

    def apply(cls: type[function.Function], *args: object, **named: object) -> Tensor:
        out: Tensor = of_pytorch.__get__(None, cls)(*args, **named)
        return out

    def watched(cls: type[function.Function], *args: object, **named: object) -> object:
        out = apply(cls, *args, **named)
        if not cls.__module__.startswith("torch."):
            with torch.no_grad(), torch.random.fork_rng():
                if what := _what(cls, apply, args, named, out):
                    # Keras on PyTorch has one class for all of them, and gives it the user's function first.
                    found[args[0].__name__ if args and inspect.isfunction(args[0]) else cls.__name__] = what
        return out

    with mock.patch.object(function.Function, "apply", classmethod(watched)):
        yield found


def _what(
    cls: type[function.Function], apply: Callable[..., Tensor], args: tuple[object, ...], named: dict[str, object], out: object
) -> str:
    inputs = [arg for arg in args if isinstance(arg, Tensor) and arg.is_floating_point()]
    if not inputs or not isinstance(out, Tensor) or not out.is_floating_point() or not out.numel():
        return ""
    same = next((arg for arg in inputs if out.shape == arg.shape and torch.equal(out, arg)), None)
    if same is not None:
        return "changes nothing" if _is_chosen(cls, apply, args, named, same) else ""
    moved = [arg * (1 + MOVE) if isinstance(arg, Tensor) and any(arg is each for each in inputs) else arg for arg in args]
    flat = float((apply(cls, *moved, **named) == out).double().mean()) >= FLAT_SHARE
    return "is flat" if flat else ""


def _is_chosen(
    cls: type[function.Function], apply: Callable[..., Tensor], args: tuple[object, ...], named: dict[str, object], same: Tensor
) -> bool:
    """Whether a function that gives out one of its inputs has another gradient than that, by more than an error would change it."""
    with torch.enable_grad():
        x = same.detach().clone().requires_grad_()
        try:
            out = apply(cls, *(x if arg is same else arg for arg in args), **named)
            given = torch.randn_like(out)
            (seen,) = torch.autograd.grad(out, x, given, allow_unused=True)
        except RuntimeError:  # one that writes into its input cannot be asked apart
            return True
    return seen is None or apart(given, seen) > CHOSEN
