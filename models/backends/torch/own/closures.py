"""Functions of a user's over a copy of their model: what they hold of it, in a closure, a default or a global, is the copy's as well.

Otherwise `lambda out, y: cross_entropy(out, y) + decay(model)` is copied as a mere function, and asks the model that it was written for.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from models.backends.torch.own.hooks import Hooks, hook
from models.backends.torch.own.state import widen, widened
from models.own.gauge import Gauge

LIBRARIES = "torch", "torchvision", "numpy"
"""Packages whose functions hold nothing of a user's."""


class Copies:
    """Copies of a model and of all that belongs to it, each made once."""

    def __init__(self, kept: nn.Module | None = None) -> None:
        """`kept` is a module that is not copied, for what is held of it is right already."""
        self.memo: dict[int, Any] = {}
        self._functions: dict[int, Any] = {}
        if kept is not None:
            self.memo = {id(each): each for each in (*kept.modules(), *kept.parameters(), *kept.buffers())}

    def of(self, value: Any) -> Any:
        """A copy of what holds modules or learned numbers; anything else is itself. Raises what copying raises."""
        if not _holds(value, set()):
            return value
        if isinstance(value, FunctionType):
            return self._functions[id(value)] if id(value) in self._functions else self._function(value)
        if isinstance(value, MethodType):
            return MethodType(value.__func__, self.of(value.__self__))
        if isinstance(value, partial):
            return partial(self.of(value.func), *map(self.of, value.args), **{name: self.of(each) for name, each in value.keywords.items()})
        if type(value) in (list, tuple, set):
            return type(value)(map(self.of, value))
        if type(value) is dict:
            return {self.of(name): self.of(each) for name, each in value.items()}
        return copy.deepcopy(value, self.memo)

    def widen(self, model: nn.Module) -> None:
        """Put the model and all that was copied beside it in float64, on the CPU."""
        widen(model)
        own = {id(each) for each in (*model.modules(), *model.parameters())}
        for each in list(self.memo.values()):
            if id(each) in own:
                continue
            if isinstance(each, nn.Module):
                widen(each)
            elif isinstance(each, Tensor) and each.requires_grad and each.is_leaf:
                each.data = widened(each.data)

    def _function(self, function: FunctionType) -> FunctionType:
        held = {name: each for name, each in _globals(function).items() if _holds(each, {id(function)})}
        cells = tuple(CellType() for _ in function.__closure__ or ())
        shared = dict(function.__globals__) if held else function.__globals__
        made = FunctionType(function.__code__, shared, function.__name__, None, cells or None)
        self._functions[id(function)] = made  # before what it holds, which may be itself
        shared.update({name: self.of(each) for name, each in held.items()})
        for cell, original in zip(cells, function.__closure__ or (), strict=True):
            if (content := _contents(original)) is not _EMPTY:
                cell.cell_contents = self.of(content)
        made.__defaults__, made.__kwdefaults__ = self.of(function.__defaults__), self.of(function.__kwdefaults__)
        made.__dict__.update(function.__dict__)
        return made


def copied(gauge: Gauge, hooks: Hooks) -> tuple[Copies, Gauge]:
    """A model with its optimizer, its loss and these hooks of its parameters once more. Raises what copying raises."""
    copies = Copies()
    model, optimizer = copy.deepcopy((gauge.model, gauge.optimizer), copies.memo)
    hook(model, copies.of(hooks))
    return copies, replace(gauge, model=model, optimizer=optimizer, loss=copies.of(gauge.loss))


def made_again(gauge: Gauge) -> tuple[Copies, Gauge]:
    """What a factory has made anew, whose loss holds this very model and copies of all else. Raises what copying raises."""
    copies = Copies(kept=gauge.model)
    return copies, replace(gauge, loss=copies.of(gauge.loss))


_EMPTY = object()


def _contents(cell: CellType) -> Any:
    """What a cell holds; nothing yet, where the variable is assigned later."""
    try:
        return cell.cell_contents
    except ValueError:
        return _EMPTY


def _holds(value: Any, seen: set[int]) -> bool:
    """Whether a module, an optimizer or something learned is reached from here."""
    if id(value) in seen:
        return False
    seen.add(id(value))
    if isinstance(value, (nn.Module, Optimizer)):
        return True
    if isinstance(value, Tensor):
        return value.requires_grad
    if isinstance(value, (type, ModuleType)) or (getattr(type(value), "__module__", "") or "").partition(".")[0] in LIBRARIES:
        return False
    return any(_holds(each, seen) for each in _parts(value))


def _parts(value: Any) -> list[Any]:
    if isinstance(value, FunctionType):
        if (value.__module__ or "").partition(".")[0] in LIBRARIES:
            return []
        cells = [_contents(cell) for cell in value.__closure__ or ()]
        return [*cells, *(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values(), *_globals(value).values()]
    if isinstance(value, MethodType):
        return [value.__self__]
    if isinstance(value, partial):
        return [value.func, *value.args, *value.keywords.values()]
    if type(value) in (list, tuple, set):
        return list(value)
    if type(value) is dict:
        return [*value.keys(), *value.values()]
    return list(getattr(value, "__dict__", {}).values())


def _globals(function: FunctionType) -> dict[str, Any]:
    """Globals that a function, or one written within it, names."""
    return {name: function.__globals__[name] for name in _names(function.__code__) if name in function.__globals__}


def _names(code: CodeType) -> set[str]:
    inner = (each for each in code.co_consts if isinstance(each, CodeType))
    return set(code.co_names).union(*map(_names, inner))
