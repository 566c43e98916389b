"""Arrays of large models: they lie in a temporary file until they are looked at, one at a time, and what was freed is given back.

A float64 twin of a model, its gradients, and the weights behind every step are several times what the model itself takes.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import tempfile
import weakref
from collections.abc import Iterator, Mapping

import numpy as np

from models.arrays import Array

LARGE = 2**26
"""From so many bytes on arrays are kept in a file: those of eight million float64 numbers."""


MANY = 2**20
"""From so many numbers in a model on, freed memory is given back: collecting and returning it takes tenths of a second."""


class Filed(Mapping[str, Array]):
    """Arrays by name in one file without a name, which the system takes away however the process ends."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        """Write them. Raises OSError where there is no room."""
        self._file = tempfile.TemporaryFile(prefix="gradgauge-")  # noqa: SIM115  # as long as this object
        weakref.finalize(self, self._file.close)
        self._begins: dict[str, int] = {}
        for name, array in arrays.items():
            self._begins[name] = self._file.tell()
            np.save(self._file, array)
        self._file.flush()

    def __getitem__(self, name: str) -> Array:
        """Read one."""
        self._file.seek(self._begins[name])
        found: Array = np.load(self._file)
        return found

    def __iter__(self) -> Iterator[str]:
        """Their names, in the order in which they were given."""
        return iter(self._begins)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._begins)


def kept(arrays: Mapping[str, Array]) -> Mapping[str, Array]:
    """The same arrays, in a file where they are large and there is room."""
    if sum(each.nbytes for each in arrays.values()) <= LARGE:
        return arrays
    try:
        return Filed(arrays)
    except OSError:
        return arrays


def give_back(size: int) -> None:
    """Give memory that a model of `size` numbers has freed back to the system.

    C's allocator keeps the pages of freed arrays: a process that had examined Swin-T held 4.7 GB, of which 4.3 GB were free. Only glibc has
    this function; elsewhere nothing happens.
    """
    if size >= MANY:
        gc.collect()
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
