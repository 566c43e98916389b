"""What calls do to the process that makes them: the seconds they take and the memory they keep."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import psutil


def clock(call: Callable[[], object], wait: Callable[[], object] = lambda: None) -> float:
    """Seconds of one call, and of `wait`, which returns once the device has done what the call asked of it."""
    start = time.perf_counter()
    call()
    wait()
    return time.perf_counter() - start


def resident(on_device: Callable[[], int]) -> int:
    """Bytes in memory once garbage is collected, those of tensors `on_device` included."""
    gc.collect()
    return psutil.Process().memory_info().rss + on_device()


def growth(
    entries: dict[str, Callable[[], object]], wanted: list[str], warm_up: int, calls: int, on_device: Callable[[], int]
) -> dict[str, float]:
    """Bytes by which process and device memory grew over `calls` calls of each of `wanted` that there is, after `warm_up` calls."""
    grown = {}
    for entry in (name for name in entries if name in wanted):
        for _ in range(warm_up):
            entries[entry]()
        before = resident(on_device)
        for _ in range(calls):
            entries[entry]()
        grown[entry] = float(resident(on_device) - before)
    return grown
