"""What a framework says of itself, whether it really computes where it says, and whether it takes a training step in each way."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from models.backends.protocol import Backend
from models.reference.draws import draw_weights
from models.spec import Spec
from models.worker.tasks.shared_libraries import owned_twice, shadowed_here

SIZE = 256
"""Rows and columns of the matrix that is multiplied; its entries are −2 … 2, so that the product is exact in any precision from TF32 up."""
NETWORK = Spec.of(depth=2, width=8, batch=4)
"""What takes a step: the smallest network that has all that is compiled."""
STEPS = 3
"""CUDA graphs are recorded by the second step and replayed by the third."""
LONGEST_MESSAGE = 4000


@dataclass
class DeviceProbe:
    """A framework in its worker: versions, what it was `built_for` (nothing: the CPU alone), devices it lists, and one product.

    `place` is where it says that it multiplied, `wrong` how many entries of the product are not what they must be, `error` its
    message instead. `owned_twice` and `shadowed` tell of shared libraries that are not the framework's own.
    """

    versions: dict[str, str] = field(default_factory=dict)
    built_for: str = ""
    devices: list[str] = field(default_factory=list)
    place: str = ""
    wrong: int = 0
    error: str = ""
    owned_twice: list[str] = field(default_factory=list)
    shadowed: list[str] = field(default_factory=list)

    @property
    def on_gpu(self) -> bool:
        """Whether the product came from a GPU."""
        return any(word in self.place.lower() for word in ("cuda", "gpu", "rocm"))


@dataclass
class StepProbe:
    """A few training steps in one mode: seconds, compiling included, or the framework's message instead."""

    mode: str
    seconds: float = 0.0
    error: str = ""


def probe_device(backend: Backend) -> DeviceProbe:
    """Ask, and multiply; a framework that cannot multiply is an answer, too."""
    seen = DeviceProbe(backend.versions(), backend.built_for(), backend.devices(), owned_twice=owned_twice())
    matrix = np.random.default_rng(0).integers(-2, 3, (SIZE, SIZE)).astype(np.float32)
    try:
        seen.place, product = backend.multiplied(matrix)
    except Exception as error:  # whatever a driver or kernel raises is an answer
        seen.error = f"{type(error).__name__}: {error}".splitlines()[0]
        return seen
    seen.wrong = int((product != matrix @ matrix).sum())
    seen.shadowed = shadowed_here()
    return seen


def probe_step(backend: Backend, mode: str, device: str) -> StepProbe:
    """Take training steps in `mode`; one that cannot be taken is an answer, too."""
    seen, begun = StepProbe(mode), time.perf_counter()
    try:
        network = backend.Network(NETWORK, device=device, mode=mode, record=())
        network.load(draw_weights(NETWORK, 0), fresh=True)
        step, wait = network.timed_step(np.ones((NETWORK.batch, NETWORK.features), np.float32), np.zeros(NETWORK.batch, int))
        for _ in range(STEPS):
            step()
        wait()
    except Exception as error:  # whatever a compiler or driver raises is an answer
        seen.error = f"{type(error).__name__}: {error}"[:LONGEST_MESSAGE]
    seen.seconds = time.perf_counter() - begun
    return seen
