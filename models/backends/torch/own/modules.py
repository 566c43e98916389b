"""What the modules of a user's model give out while it runs, and which one runs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from models.arrays import Arrays
from models.backends.torch.own.state import array
from models.own.trees import Tree, leaves


class Modules:
    """What every module with parameters or without children gives out on its first call, and the loss's gradient there."""

    def __init__(self, model: nn.Module, signals: bool, stack: bool) -> None:
        """`signals` are watched where asked for; with `stack` its end is the innermost module that runs."""
        self.signals: Arrays = {}
        self.gradients: Arrays = {}
        self.stack: list[str] = []
        self._handles: list[RemovableHandle] = []
        modules = [(name, module) for name, module in model.named_modules() if not isinstance(module, torch.jit.ScriptModule)]
        self._named = [(name, module) for name, module in modules if signals and name and _is_layer(module)]
        self._stacked = modules if stack else []

    def __enter__(self) -> Modules:
        """Begin to watch."""
        self._handles = [module.register_forward_hook(self._hook(name)) for name, module in self._named]
        for name, module in self._stacked:
            self._handles.append(module.register_forward_pre_hook(lambda *_, name=name: self.stack.append(name or "the model")))
            self._handles.append(module.register_forward_hook(lambda *_: self.stack.pop() and None))
        return self

    def __exit__(self, *_: object) -> None:
        """Watch no more."""
        for handle in self._handles:
            handle.remove()

    def _hook(self, name: str) -> Callable[..., None]:
        def seen(module: nn.Module, args: tuple[object, ...], output: Tree) -> None:
            first = next(
                (leaf for _, leaf in leaves(output) if is_number(leaf) and not torch._C._functorch.is_functorch_wrapped_tensor(leaf)), None
            )
            if first is None or name in self.signals:
                return
            self.signals[name] = array(first)
            if first.requires_grad:
                add = lambda g: self.gradients.__setitem__(name, self.gradients.get(name, 0) + array(g))  # noqa: E731
                self._handles.append(first.register_hook(add))

        return seen


def _is_layer(module: nn.Module) -> bool:
    return not any(True for _ in module.children()) or any(True for _ in module.parameters(recurse=False))


def is_number(leaf: object) -> bool:
    """Whether this is a tensor of real or complex numbers."""
    return isinstance(leaf, Tensor) and (leaf.is_floating_point() or leaf.is_complex())
