"""How a fault is planted: a dotted symbol of a framework is replaced by what a function makes of the original."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Patch = Callable[[str, Callable[[Any], Any]], None]


@dataclass(frozen=True)
class Fault:
    """A story, the network that shows it, the check that must catch it and a part of the place it must name."""

    name: str
    network: str
    check: str
    where: str
    plant: Callable[[Patch], None]


def patching(monkeypatch: Any) -> Patch:
    """Replace dotted symbols through pytest's monkeypatch, which puts them back. Raises LookupError for a symbol that is not there."""

    def replace(symbol: str, change: Callable[[Any], Any]) -> None:
        path = symbol.split(".")
        for cut in range(len(path) - 1, 0, -1):
            try:
                owner: Any = importlib.import_module(".".join(path[:cut]))
            except ImportError:
                continue
            for name in path[cut:-1]:
                owner = getattr(owner, name)
            monkeypatch.setattr(owner, path[-1], change(getattr(owner, path[-1])))
            return
        raise LookupError(symbol)

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
    return lambda original: lambda *args, **kwargs: original(*args, **kwargs) * factor
