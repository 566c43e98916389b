"""What calls do to the process that makes them: the seconds they take and the memory they keep."""

from __future__ import annotations

import ctypes
import gc
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

Answer = TypeVar("Answer")


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


def peak(call: Callable[[], Answer], on_device: Callable[[bool], float]) -> tuple[Answer, float]:
    """What a call returns, and by how many MB memory rose above what was held when it began, at its highest.

    That is the GPU's memory where anything is held there: `on_device` tells its highest in MB, and forgets it when asked to. Else it is the
    process's: freed pages are given back first, and Linux tells the highest since then. NaN where the system does not tell.
    """
    gc.collect()
    on_device(True)
    held = on_device(False)
    if held:
        return call(), on_device(False) - held
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except (OSError, AttributeError):
        return call(), math.nan
    before = _highest()
    return call(), _highest() - before


def _highest() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
