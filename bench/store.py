"""Results on disk, so that a command that was interrupted goes on where it was."""

import json
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
from filelock import FileLock

from bench import files

T = TypeVar("T")


class _Line(msgspec.Struct, Generic[T]):
    """One result in its file."""

    cell: str
    code: str
    result: T


class Store(dict[str, T], Generic[T]):
    """Results by cell, one JSON line each, of one state of the code (`bench.imported.digest`); those of another are not seen.

    A cell names what was asked: a network, a backend, a version. The last result of a cell counts. A line that was cut off, or that
    holds another kind of result, is none.
    """

    def __init__(self, path: Path, kind: type[T], code: str) -> None:
        """Read what is there."""
        super().__init__()
        self.path, self.code, self._kind = path, code, _Line[kind]  # type: ignore[valid-type]
        for line in path.read_bytes().splitlines() if path.exists() else []:
            try:
                stored = msgspec.convert(json.loads(line), self._kind)
            except (*files.NO_JSON, ValueError):
                continue
            if stored.code == code:
                self[stored.cell] = stored.result

    def keep(self, cell: str, result: T) -> T:
        """Add a result to the file, and return it. Raises WriteError."""
        self[cell] = result
        line = json.dumps(msgspec.to_builtins(_Line(cell, self.code, result)), ensure_ascii=False)  # msgspec's JSON has no NaN
        files.folder(self.path.parent)
        with FileLock(f"{self.path}.lock"):
            files.append(self.path, f"{line}\n".encode())
        return result
