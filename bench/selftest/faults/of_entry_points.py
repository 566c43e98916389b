"""A fault for each entry point that a promise names, made from what its law looks at; the catalogue plants others by hand, one a law at least.

What an entry point gives is a hundredth too large where a law compares it with something else, a tenth too large in half precision, and
drawn anew where a law compares draws. What is left out has another default, an option is dropped, and what is saved is half of what is there.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np

from bench.promises.promise import Promise
from bench.selftest.faults.plant import _owner, scaled

Change = Callable[[Any], Any]
BY_VALUE = {
    "ways_of_writing_layers", "ways_of_writing_losses", "ways_of_writing_networks", "layers_by_formula", "metrics_by_formula",
    "schedules_by_formula",
}  # fmt: skip
BY_DRAW = {"seeds_of_initializers", "seeds_of_draws"}
OPTIONS = {"options_act", "options_of_optimizers_act"}
METHODS = ("forward", "call", "result", "get_lr", "__call__")
"""What gives a class's result, in either framework: the first that the class or one of its parents has."""
REQUIRED = {"params", "lr", "learning_rate"}
"""Arguments of an optimizer that are no options of it."""
OTHER = {"mean": "sum", "sum_over_batch_size": "sum", "none": "tanh", "zeros": "ones", "ones": "zeros"}
"""Another value for a default that is a word."""


def changes(promise: Promise) -> list[tuple[str, Change]]:
    """The symbols in which the promise's fault is planted, with what is made of each; none where no such change touches what its law looks at."""
    entry, found = promise.entry, _found(promise.entry)
    option = promise.case.rpartition(" ")[2]
    if promise.name in BY_VALUE and inspect.isclass(found):
        for method in ("__init__", "__call__"):
            if option in inspect.signature(getattr(found, method)).parameters:
                return [(f"{entry}.{method}", _without(option))]
    if promise.name in BY_VALUE:
        return _in(entry, found, scaled(1.01))
    if promise.name == "norms_in_half_precision":
        return _in(entry, found, _larger_in_half)
    if promise.name in BY_DRAW:
        change = _always_the_same if " differs" in promise.case else _drawn_anew
        return [*_in(entry, found, change), *([(f"{entry}.__init__", _begun_anew)] if hasattr(found, "reset_parameters") else [])]
    if not inspect.isclass(found):
        return []
    if promise.name == "saved_and_loaded":
        return [(f"{entry}.state_dict", _halved)] if hasattr(found, "state_dict") else []
    if promise.name == "defaults_spelled_out":
        return [(f"{entry}.__init__", _other_defaults)]
    return [(f"{entry}.__init__", _without_options)] if promise.name in OPTIONS else []


@contextmanager
def planted(what: list[tuple[str, Change]], held_in: ModuleType) -> Iterator[None]:
    """The framework with the fault, also where tables of `held_in`, the package of the laws, hold what it is planted into."""
    with ExitStack() as undo:
        for symbol, change in what:
            owner, name = _owner(symbol)
            original = getattr(owner, name)
            changed = change(original)
            undo.enter_context(mock.patch.object(owner, name, changed))
            tables = [table for module in vars(held_in).values() if isinstance(module, ModuleType) for table in vars(module).values()]
            for table in tables:
                if isinstance(table, dict):
                    held = {key: changed for key, value in table.items() if value is original}
                    undo.enter_context(mock.patch.dict(table, held))
        yield


def _found(entry: str) -> Any:
    first, *names = entry.split(".")
    return functools.reduce(getattr, names, importlib.import_module(first))


def _in(entry: str, found: Any, change: Change) -> list[tuple[str, Change]]:
    if not inspect.isclass(found):
        return [(entry, change)] if callable(found) else []
    method = next((name for name in METHODS if name in dir(found)), None)
    return [(f"{entry}.{method}", change)] if method else []


def _drawn_anew(original: Any) -> Any:
    """The original's result with numbers added that no seed of the framework's decides; in place where the original is."""
    rng = np.random.default_rng()

    @functools.wraps(original)
    def drawn(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        noise = rng.standard_normal(tuple(result.shape)).astype(np.float32)
        if not hasattr(result, "new_tensor"):
            from keras import ops

            return result + ops.cast(noise, result.dtype)
        import torch

        with torch.no_grad():
            return result.add_(result.new_tensor(noise)) if result is next(iter(args), None) else result + result.new_tensor(noise)

    return drawn


def _always_the_same(original: Any) -> Any:
    @functools.wraps(original)
    def drawn(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        return result.detach().fill_(0.5) if hasattr(result, "new_tensor") else result * 0 + 0.5

    return drawn


def _begun_anew(construct: Any) -> Any:
    """The first parameter of a module begins with numbers that no seed decides."""

    @functools.wraps(construct)
    def constructed(self: Any, *args: Any, **kwargs: Any) -> None:
        construct(self, *args, **kwargs)
        parameter = next(self.parameters())
        parameter.data += parameter.new_tensor(np.random.default_rng().standard_normal(tuple(parameter.shape)))

    return constructed


def _larger_in_half(original: Any) -> Any:
    @functools.wraps(original)
    def called(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        return result * 1.1 if "float16" in str(result.dtype) else result

    return called


def _halved(save: Any) -> Any:
    def half(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: value[key] if key == "params" else half(value[key]) for key in value}
        if isinstance(value, list | tuple):
            return type(value)(map(half, value))
        return (
            value
            if isinstance(value, bool | str) or not hasattr(value, "__floordiv__")
            else value // 2
            if isinstance(value, int)
            else value / 2
        )

    return functools.wraps(save)(lambda *args, **kwargs: half(dict(save(*args, **kwargs))))


def _other_defaults(construct: Any) -> Any:
    """A number that is left out is twice as large, a word another one, or a switch the other way round: the first that there is."""
    parameters = inspect.signature(construct).parameters
    names = list(parameters)

    @functools.wraps(construct)
    def constructed(*args: Any, **kwargs: Any) -> None:
        left = {name: parameters[name].default for name in names[len(args) :] if name not in kwargs}
        other = {name: default * 2 + 0.5 for name, default in left.items() if isinstance(default, float)}
        other = other or {name: OTHER[default] for name, default in left.items() if isinstance(default, str) and default in OTHER}
        construct(*args, **kwargs, **(other or {name: not default for name, default in left.items() if isinstance(default, bool)}))

    return constructed


def _without(option: str) -> Change:
    return lambda method: functools.wraps(method)(
        lambda self, *args, **kwargs: method(self, *args, **{name: value for name, value in kwargs.items() if name != option})
    )


def _without_options(construct: Any) -> Any:
    return functools.wraps(construct)(
        lambda self, *args, **kwargs: construct(self, *args, **{name: value for name, value in kwargs.items() if name in REQUIRED})
    )
