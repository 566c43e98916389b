"""What NumPy says of itself: threads, versions, and a CPU."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from models.arrays import Array


def configure(threads: int, deterministic: bool = False) -> None:
    """Fix the number of threads that products take; products of one thread give the same bits every time."""
    threadpool_limits(threads, user_api="blas")


def versions() -> dict[str, str]:
    """NumPy's version."""
    return {"numpy": np.__version__}


def devices() -> list[str]:
    """The CPU."""
    return ["cpu"]


def built_for() -> str:
    """The CPU alone."""
    return ""


def multiplied(matrix: Array) -> tuple[str, Array]:
    """The product of a matrix with itself."""
    return "cpu", matrix @ matrix


def peak_device_memory(reset: bool) -> float:
    """There is no GPU."""
    return 0.0


def drain() -> None:
    """Whatever was asked is done."""
