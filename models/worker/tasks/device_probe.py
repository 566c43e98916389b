"""What a framework says of itself, and whether it really computes where it says."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from models.backends.protocol import Backend

SIZE = 256
"""Rows and columns of the matrix that is multiplied; its entries are −2 … 2, so that the product is exact in any precision from TF32 up."""


@dataclass
class DeviceProbe:
    """A framework in its worker: versions, what it was `built_for` (nothing: the CPU alone), devices it lists, and one product.

    `place` is where it says that it multiplied, `wrong` how many entries of the product are not what they must be, `error` its
    message instead.
    """

    versions: dict[str, str] = field(default_factory=dict)
    built_for: str = ""
    devices: list[str] = field(default_factory=list)
    place: str = ""
    wrong: int = 0
    error: str = ""

    @property
    def on_gpu(self) -> bool:
        """Whether the product came from a GPU."""
        return any(word in self.place.lower() for word in ("cuda", "gpu", "rocm"))


def probe_device(backend: Backend) -> DeviceProbe:
    """Ask, and multiply; a framework that cannot multiply is an answer, too."""
    seen = DeviceProbe(backend.versions(), backend.built_for(), backend.devices())
    matrix = np.random.default_rng(0).integers(-2, 3, (SIZE, SIZE)).astype(np.float32)
    try:
        seen.place, product = backend.multiplied(matrix)
    except Exception as error:  # whatever a driver or kernel raises is an answer
        seen.error = f"{type(error).__name__}: {error}".splitlines()[0]
        return seen
    seen.wrong = int((product != matrix @ matrix).sum())
    return seen
