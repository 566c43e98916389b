"""What calls do to the process that makes them: the seconds they take and the memory they keep."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import psutil


def clock(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def resident() -> int:
    """Bytes in memory once garbage is collected."""
    gc.collect()
    return psutil.Process().memory_info().rss


def growth(entries: dict[str, Callable[[], object]], wanted: list[str], warm_up: int, calls: int) -> dict[str, float]:
    """Bytes by which the process grew over `calls` calls of each of `wanted` that there is, after `warm_up` calls."""
    grown = {}
    for entry in (name for name in entries if name in wanted):
        for _ in range(warm_up):
            entries[entry]()
        before = resident()
        for _ in range(calls):
            entries[entry]()
        grown[entry] = float(resident() - before)
    return grown
