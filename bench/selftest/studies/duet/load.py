"""A competing load for the error-rate study: bursts of matrix products, on and off for 0.3 s on average, in a process of its own."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

BURST = 0.3
"""Mean seconds of a burst and of the pause after it; longer than a round and shorter than a restart, which is the worst for both."""
SIZE = 300


@contextmanager
def competing(processes: int, seed: int = 0) -> Iterator[None]:
    """Run that many loads beside what is inside, each with its own times."""
    one_thread = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "bench.selftest.studies.duet.load"]
    running = [subprocess.Popen([*command, str(seed + n), str(os.getpid())], env=one_thread) for n in range(processes)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def main() -> None:
    """Work and rest at random until the process that started this one is gone."""
    rng, parent, matrix = random.Random(int(sys.argv[1])), int(sys.argv[2]), np.ones((SIZE, SIZE))
    while os.getppid() == parent:
        end = time.monotonic() + rng.expovariate(1 / BURST)
        while time.monotonic() < end:
            matrix @ matrix
        time.sleep(rng.expovariate(1 / BURST))


if __name__ == "__main__":
    main()
