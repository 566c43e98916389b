"""How a fault is planted: a dotted symbol of a framework is replaced by what a function makes of the original."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np

Patch = Callable[[str, Callable[[Any], Any]], None]


@dataclass(frozen=True)
class Fault:
    """What is wrong, the network that shows it, the check that must catch it and a part of the place it must name.

    `link` leads to where it really happened, for those that did; `trains` says that it shows in free training only.
    """

    name: str
    network: str
    check: str
    where: str
    plant: Callable[[Patch], None]
    link: str = ""
    trains: bool = False


@contextmanager
def planted(fault: Fault) -> Iterator[None]:
    """The framework with the fault; everything is undone afterwards. Raises LookupError for a symbol that is not there."""
    with ExitStack() as undo:

        def replace(symbol: str, change: Callable[[Any], Any]) -> None:
            owner, name = _owner(symbol)
            undo.enter_context(mock.patch.object(owner, name, change(getattr(owner, name))))

        fault.plant(replace)
        yield


def _owner(symbol: str) -> tuple[Any, str]:
    """What holds a symbol, by attributes first: `keras.src.backend.numpy` is what the active backend calls so, and a module besides."""
    *path, last = symbol.split(".")
    owner: Any = None
    try:
        for place, name in enumerate(path, start=1):
            owner = getattr(owner, name) if hasattr(owner, name) else importlib.import_module(".".join(path[:place]))
    except ImportError:
        raise LookupError(symbol) from None
    return owner, last


def patching(monkeypatch: Any) -> Patch:
    """Replace dotted symbols through pytest's monkeypatch, which puts them back. Raises LookupError for a symbol that is not there."""

    def replace(symbol: str, change: Callable[[Any], Any]) -> None:
        owner, name = _owner(symbol)
        monkeypatch.setattr(owner, name, change(getattr(owner, name)))

    return replace


def one(symbol: str, change: Callable[[Any], Any]) -> Callable[[Patch], None]:
    """A fault in a single symbol."""
    return lambda patch: patch(symbol, change)


def with_first_entry(value: float) -> Callable[[Any], Any]:
    """Replace one entry of a gradient, in either framework."""

    def change(g: Any) -> Any:
        mask = np.zeros(tuple(g.shape), np.float32)
        mask[0, 0] = value
        if hasattr(g, "new_tensor"):
            return g + g.new_tensor(mask)
        return g + mask

    return change


def with_arguments(**forced: Any) -> Callable[[Any], Any]:
    """Call the original with some arguments forced."""
    return lambda original: functools.wraps(original)(lambda *args, **kwargs: original(*args, **{**kwargs, **forced}))


def with_attribute(name: str, value: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Call a method with one attribute of its object changed for the call."""

    def wrap(method: Any) -> Any:
        @functools.wraps(method)  # Keras reads the signature of `call`
        def called(self: Any, *args: Any, **kwargs: Any) -> Any:
            kept = getattr(self, name)
            setattr(self, name, value(kept))
            try:
                return method(self, *args, **kwargs)
            finally:
                setattr(self, name, kept)

        return called

    return wrap


def scaled(factor: float) -> Callable[[Any], Any]:
    """The original's result, times a factor."""
    return lambda original: functools.wraps(original)(lambda *args, **kwargs: original(*args, **kwargs) * factor)


def reported(factor: float) -> Callable[[Any], Any]:
    """A value that is told `factor` times too large, with its gradient as it is."""

    def wrap(original: Any) -> Any:
        @functools.wraps(original)
        def called(*args: Any, **kwargs: Any) -> Any:
            value = original(*args, **kwargs)
            return value + (factor - 1) * value_alone(value)

        return called

    return wrap


def value_alone(x: Any) -> Any:
    """The value without its gradient, in either framework."""
    if hasattr(x, "detach"):
        return x.detach()
    from keras import ops

    return ops.stop_gradient(x)


def after(calls: int, change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A fault that shows from the given call on."""

    def wrap(original: Any) -> Any:
        changed, count = change(original), [0]

        @functools.wraps(original)
        def called(*args: Any, **kwargs: Any) -> Any:
            count[0] += 1
            return (changed if count[0] > calls else original)(*args, **kwargs)

        return called

    return wrap
