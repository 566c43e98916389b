"""Values of a framework, of NumPy and of Python as expressions, named as users name them."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import math
import sys
from types import ModuleType
from typing import Any

import numpy as np

from models.scripts.source import SUITE

PUBLIC = (
    "torch", "torch.nn", "torch.nn.functional", "torch.nn.init", "torch.nn.utils", "torch.optim", "torch.optim.lr_scheduler",
    "torch.optim.swa_utils",
    "keras", "keras.layers", "keras.initializers", "keras.losses", "keras.metrics", "keras.optimizers", "keras.optimizers.schedules",
    "keras.regularizers", "keras.constraints", "keras.activations", "keras.callbacks", "keras.ops", "keras.random", "keras.utils",
    "numpy", "math", "copy", "pathlib", "tempfile", "contextlib", "itertools", "functools", "os", "builtins",
)  # fmt: skip
"""Modules in which a class or function is looked for, so that a script names it as users do."""
LONGEST, MOST = 16, 64
"""Numbers of an array that are written out; a larger one is made as the suite makes it, and where that cannot be told, up to so many."""


class UnwritableError(Exception):
    """A value that has no text; the message says which."""


class Values:
    """Writes values; `imports` are the modules that they name. What the suite defines is written by whoever extends this."""

    def __init__(self) -> None:
        """Nothing is named yet."""
        self.imports: set[str] = set()
        self._global: set[str] = set()

    def _function(self, value: Any, name: str) -> ast.expr:
        return self._public(value, name)

    def value(self, value: Any, name: str) -> ast.expr:
        """An expression for a value that goes by `name`. Raises UnwritableError."""
        if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
            return ast.Constant(value)
        if isinstance(value, float):
            return ast.parse(f'float("{value}")', mode="eval").body
        if isinstance(value, list | tuple):
            made = [self.value(each, name) for each in value]
            return ast.List(made, ast.Load()) if isinstance(value, list) else ast.Tuple(made, ast.Load())
        if isinstance(value, dict):
            return ast.Dict([self.value(key, name) for key in value], [self.value(each, name) for each in value.values()])
        if isinstance(value, slice):
            return ast.Call(ast.Name("slice", ast.Load()), [self.value(v, name) for v in (value.start, value.stop, value.step)], [])
        if isinstance(value, ModuleType):
            if value.__name__.startswith(SUITE):
                raise UnwritableError(f"{name} is a module of the suite")
            return self._module(value, name)
        if isinstance(value, np.ndarray) and value.size <= LONGEST and value.dtype.kind in "iufb":
            return ast.parse(f"np.array({value.tolist()!r}, np.{value.dtype.name})", mode="eval").body
        if type(value).__module__ == "torch" and str(value).startswith("torch.") and str(value)[6:].isidentifier():
            return self._module(sys.modules["torch"], "torch", str(value)[6:])  # a format
        if type(value).__name__ == "Tensor" and type(value).__module__ == "torch":
            return self._tensor(value, name)
        if isinstance(value, functools.partial):
            words = [ast.keyword(key, self.value(each, name)) for key, each in value.keywords.items()]
            self.imports.add("import functools")
            return ast.Call(
                ast.parse("functools.partial", mode="eval").body, [self.value(each, name) for each in (value.func, *value.args)], words
            )
        if callable(value):
            return self._function(value, name)
        raise UnwritableError(f"{name} is {type(value).__name__}")

    def _module(self, module: ModuleType, name: str, *attributes: str) -> ast.expr:
        path = module.__name__
        parent, _, last = path.rpartition(".")
        self.imports.add(
            f"import {path}" if path == name else f"from {parent} import {last}" if last == name and parent else f"import {path} as {name}"
        )
        self._global.add(name)
        made: ast.expr = ast.Name(name, ast.Load())
        for attribute in attributes:
            made = ast.Attribute(made, attribute, ast.Load())
        return made

    def _public(self, value: Any, name: str) -> ast.expr:
        own = getattr(value, "__name__", "")
        for path in PUBLIC:
            if path.partition(".")[0] in sys.modules and getattr(importlib.import_module(path), own, None) is value:
                if path == "builtins":
                    self._global.add(own)
                    return ast.Name(own, ast.Load())
                root, *rest = path.split(".")
                return self._module(sys.modules[root], "np" if root == "numpy" else root, *rest, own)
        if not own:
            return self._object(value, name)
        raise UnwritableError(f"{name}, {value!r}, has no public name")

    def _object(self, value: Any, name: str) -> ast.expr:
        """An object of a framework as a call of its class, with the arguments that it keeps under their names."""
        made = ast.Call(self._public(type(value), name), [], [])
        for argument, parameter in inspect.signature(type(value)).parameters.items():
            held = getattr(value, argument, parameter.default)
            if held is inspect.Parameter.empty and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise UnwritableError(f"{name} is {type(value).__name__}")
            if held is not parameter.default and repr(held) != repr(parameter.default):
                made.keywords.append(ast.keyword(argument, self.value(held, argument)))
        return made

    def _tensor(self, value: Any, name: str) -> ast.expr:
        """A small tensor by its numbers."""
        if value.numel() > MOST or value.is_complex():
            raise UnwritableError(f"{name} is {type(value).__name__} of {value.numel()} numbers")
        kind = str(value.dtype)
        made = self._module(sys.modules["torch"], "torch", "tensor")
        grad = [ast.keyword("requires_grad", ast.Constant(True))] * bool(value.requires_grad)
        numbers = ast.parse(repr(value.tolist()), mode="eval").body
        return ast.Call(
            made, [numbers], [ast.keyword("dtype", self._module(sys.modules["torch"], "torch", kind.removeprefix("torch."))), *grad]
        )
