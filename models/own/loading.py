"""A user's factory in a worker: found in their folder, called with seeds set, and its exceptions told as theirs."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import linecache
import os
import random
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from models.own.address import OwnModel
from models.own.gauge import NoTwinError, OwnError

OURS = "models", "bench", "fixtures"
"""Packages of this suite whose names a user's folder may have as well."""
LONGEST = 300
"""Characters of an exception's line that are told."""
Factory = Callable[[], Any]
"""What a user writes: it returns a model, with loss and batch, in one of several forms."""
ROOT = Path(__file__).resolve().parents[2]


class Home:
    """The place that a user's code runs in: their folder first on the path and as working folder, their packages under their own names."""

    def __init__(self, model: OwnModel, collection: Callable[[str, str], Factory]) -> None:
        """Nothing is imported yet; `collection` gives the factory of a published network, by package and name."""
        self.model, self._collection = model, collection
        self._theirs: dict[str, ModuleType] = {}
        self._factory: Factory | None = None

    def call(self, seed: int) -> Any:
        """What the factory returns, with Python's and NumPy's seeds set. Raises OwnError."""
        self.load(seed)
        assert self._factory is not None, "it was loaded"
        with self.describing(f"{self.model.id} could not be built"):
            random.seed(seed)
            np.random.seed(seed % 2**32)
            if needed := _needed(self._factory):
                raise OwnError(f"{self.model.id} takes {needed}, and a factory is called without arguments: give it a default.")
            return self._factory()

    def load(self, seed: int) -> None:
        """Read the user's file, once, with Python's and NumPy's seeds set: it may build parts of the model itself. Raises OwnError."""
        if self._factory is None:
            with self.describing(f"{self.model.id} could not be built"):
                random.seed(seed)
                np.random.seed(seed % 2**32)
                self._factory = self._load()

    @contextlib.contextmanager
    def describing(self, what: str) -> Iterator[None]:
        """Run the user's code in here; what it raises becomes an OwnError of one sentence that names the last line of their file."""
        try:
            with self.entered():
                yield
        except (OwnError, NoTwinError):
            raise
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            raise OwnError(f"{what}: {description(error, self.model.folder)}") from error

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Their folder and packages in place of ours."""
        before, path = os.getcwd(), list(sys.path)
        ours = _taken(OURS)
        sys.modules.update(self._theirs)
        sys.path[:] = [self.model.folder, *(each for each in path if Path(each).resolve() != ROOT)]
        with contextlib.suppress(OSError):
            os.chdir(self.model.folder)
        try:
            yield
        finally:
            self._theirs = _taken(OURS)
            sys.modules.update(ours)
            sys.path[:] = path
            os.chdir(before)

    def _load(self) -> Factory:
        target = self.model.target
        if self.model.published:
            return self._collection(target, self.model.attribute)
        if target.endswith(".py"):
            name = Path(target).stem
            spec = importlib.util.spec_from_file_location(f"own_{name}" if name in sys.modules else name, target)
            assert spec is not None, "a file that ends in .py has a loader"
            assert spec.loader is not None, "a file that ends in .py has a loader"
            module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = module  # dataclasses and pickles look a module up by its name
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(target)
        found: Any = module
        for name in self.model.attribute.split("."):
            if not hasattr(found, name):
                near = [each for each in dir(found) if not each.startswith("_")][:8]
                raise OwnError(f"--model={self.model.id}: {Path(target).name} has no {name!r}; it has {', '.join(near) or 'nothing'}.")
            found = getattr(found, name)
        if not callable(found):
            raise OwnError(f"--model={self.model.id}: {self.model.attribute} is no function but a {type(found).__name__}.")
        return found


def description(error: BaseException, folder: str) -> str:
    """`RuntimeError: shapes cannot be multiplied (gauge.py, line 12: return self.head(x))`: the last line of the user's files."""
    said = f"{type(error).__name__}: {_first(_message(error))}".rstrip(": ")
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if _is_theirs(frame.filename, folder)]
    if isinstance(error, SyntaxError) and error.filename and _is_theirs(error.filename, folder):
        return f"{said} ({Path(error.filename).name}, line {error.lineno})"
    if not theirs:
        return said
    last = theirs[-1]
    line = (last.line or linecache.getline(last.filename, last.lineno or 0)).strip()
    return f"{said} ({Path(last.filename).name}, line {last.lineno}: {line})"


def _message(error: BaseException) -> str:
    """What an exception says, unless saying it raises another one."""
    try:
        return str(error)
    except Exception:
        return ""


def _needed(factory: Factory) -> str:
    """The first argument that a factory cannot be called without."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return ""
    fixed = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    return next((p.name for p in parameters if p.default is p.empty and p.kind not in fixed), "")


def _first(message: str) -> str:
    """The first line that says something, with the layer that Keras says it called; its advice on building a model comes before it."""
    cause = message.rpartition("Exception encountered:\n")[2]
    lines = [plain for line in cause.splitlines() if (plain := re.sub(r"\x1b\[[0-9;]*m", "", line).strip(" '"))]
    first = next((line for line in lines if not line.startswith("Exception encountered when calling")), lines[0] if lines else "")
    layer = re.search(r"Exception encountered when calling (\w+)\.call\(\)", cause)
    return (first if len(first) <= LONGEST else f"{first[:LONGEST]} …") + (f" (in {layer[1]})" if layer else "")


def _is_theirs(file: str, folder: str) -> bool:
    path = Path(file).resolve()
    return path.is_relative_to(folder) and "site-packages" not in path.parts and not path.is_relative_to(ROOT / "models")


def _taken(packages: tuple[str, ...]) -> dict[str, ModuleType]:
    """Packages and all in them, taken out of the table of imported modules."""
    names = [name for name in sys.modules if name.partition(".")[0] in packages]
    return {name: sys.modules.pop(name) for name in names}
