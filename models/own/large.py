"""Arrays of large models: they lie in a folder of their own until they are looked at, one at a time.

A float64 twin of a model, its gradients, and the weights behind every step are several times what the model itself takes.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from models.arrays import Array

LARGE = 2**26
"""From so many bytes on arrays are kept in files: those of eight million float64 numbers."""


class Filed(Mapping[str, Array]):
    """Arrays by name, each in a file; they are gone with this object."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        """Write them. Raises OSError where there is no room."""
        self.folder = Path(tempfile.mkdtemp(prefix="gradgauge-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self._files: dict[str, Path] = {}
        for number, (name, array) in enumerate(arrays.items()):
            self._files[name] = self.folder / f"{number}.npy"
            np.save(self._files[name], array)

    def __getitem__(self, name: str) -> Array:
        """Read one."""
        found: Array = np.load(self._files[name])
        return found

    def __iter__(self) -> Iterator[str]:
        """Their names, in the order in which they were given."""
        return iter(self._files)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._files)


def kept(arrays: Mapping[str, Array]) -> Mapping[str, Array]:
    """The same arrays, in files where they are large."""
    return Filed(arrays) if sum(each.nbytes for each in arrays.values()) > LARGE else arrays
