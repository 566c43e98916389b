"""Values behind which a model stops the gradient: what is detached, and what is computed under `torch.no_grad`.

The gradient that a user asks for is the loss's derivative with these values held. Differences of the loss hold them, too. What an
`autograd.Function` computes has the gradient that its author wrote, and is not held.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd import function
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from models.backends.torch.own.dispatch import Arguments, Named, Types
from models.own.trees import Tree

DETACHING = (Tensor.detach, Tensor.data.__get__)  # type: ignore[attr-defined]  # a property of the C type


class Stopped(TorchFunctionMode):
    """Keeps stopped values in the order of computation or, where `held` are given, puts these in their places."""

    def __init__(self, held: list[Tree] | None = None) -> None:
        """Without `held`, the values of this pass are kept on a new list."""
        super().__init__()
        self._replays = held is not None
        self.held: list[Tree] = [] if held is None else held
        self._place = 0

    def __torch_function__(self, func: Callable[..., object], types: Types, args: Arguments = (), kwargs: Named | None = None) -> object:
        """Call the function; a stopped result is kept, or is the one that was kept."""
        kwargs = kwargs or {}
        if func is functional.gumbel_softmax:
            straight_through: Callable[..., Tensor] = self._straight_through
            return straight_through(*args, **kwargs)
        out = func(*args, **kwargs)
        if (padded := _padded(func, args, kwargs)) is not None:
            held = self._held(out)
            return torch.where(padded.unsqueeze(-1), held, out) if self._replays else out
        if _writes(func, args, kwargs):
            for written, held in zip(_tensors(args[0]), _tensors(self._held(args[0])), strict=True):
                if self._replays:
                    written.copy_(held)
            return out
        if not _stops(func, (args, kwargs)) or not any(isinstance(leaf, Tensor) for leaf in tree_leaves(out)):
            return out
        held = self._held(out)
        # What stops here has no gradient the second time, so that it must have none the first time for both to stop alike.
        return held if self._replays else tree_map(lambda leaf: leaf.detach() if isinstance(leaf, Tensor) else leaf, out)

    def _straight_through(self, logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
        """Gumbel softmax, of which the hard form stops a gradient where no mode sees it: the sample less its held value and plus itself."""
        sample = functional.gumbel_softmax(logits, tau, False, eps, dim)
        if not hard:
            return sample
        largest = torch.zeros_like(sample).scatter_(dim, sample.max(dim, keepdim=True)[1], 1.0)
        held = self._held(sample.detach())
        return largest - held + sample

    def _held(self, out: Tree) -> Tree:
        """The value that was kept in this place; in the first pass the one that is kept now."""
        clone = lambda leaf: leaf.detach().clone() if isinstance(leaf, Tensor) else leaf  # noqa: E731
        if not self._replays:
            self.held.append(tree_map(clone, out))
            return out
        self._place += 1
        return tree_map(clone, self.held[self._place - 1]) if self._place <= len(self.held) else out


def _padded(func: Callable[..., object], args: Arguments, kwargs: Named) -> Tensor | None:
    """Where an embedding is asked for its padding, whose row has no gradient by definition; nothing for other functions."""
    if func is not functional.embedding:
        return None
    given = dict(zip(("input", "weight", "padding_idx"), args, strict=False)) | dict(kwargs)
    padding = given.get("padding_idx")
    return None if padding is None else given["input"] == padding % len(given["weight"])


def _stops(func: Callable[..., object], given: Tree) -> bool:
    """Whether what comes out could have a gradient and has none. What changes a tensor in its place is no value of its own."""
    detaches = func in DETACHING
    name = getattr(func, "__name__", "")
    if not detaches and (torch.is_grad_enabled() or name.endswith("_") or name.startswith("__set")):
        return False
    return any(isinstance(leaf, Tensor) and leaf.requires_grad for leaf in tree_leaves(given)) and not _inside_a_function()


def _writes(func: Callable[..., object], args: Arguments, kwargs: Named) -> bool:
    """Whether what is learned is written into tensors that are not, as a teacher of averaged weights is."""
    name = getattr(func, "__name__", "")
    if torch.is_grad_enabled() or not name.endswith("_") or name.startswith("__") or not args:
        return False
    learned = any(leaf.requires_grad for leaf in _tensors((args[1:], kwargs)))
    return learned and not any(leaf.requires_grad for leaf in _tensors(args[0])) and not _inside_a_function()


def _tensors(tree: Tree) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _inside_a_function() -> bool:
    """Whether this is called from the `forward` of an `autograd.Function`, where gradients are off as under `torch.no_grad`."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name == "apply" and frame.f_code.co_filename == function.__file__:
            return True
        frame = frame.f_back
    return False
