"""Processor time of a process by what it was spent on, for `python -m bench profile`.

A stage is named where its work is done. Time counts for the innermost stage alone, so that stages add up. Reading a clock twice takes
less than a microsecond, and stages are milliseconds long, so that they are always measured.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
WORKERS: dict[str, Counter[tuple[str, str]]] = {}
"""In the judge, by backend: processor seconds of its workers so far, by what was asked about and stage."""


class Ledger:
    """Seconds by stage, since they were last taken; any thread may add to them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` is read in the thread that works."""
        self.clock = clock
        self._own = threading.local()
        self._lock = threading.Lock()
        self._seconds: dict[str, float] = defaultdict(float)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """What runs inside is spent on `name`, but for stages within."""
        began, inner = self.clock(), getattr(self._own, "inner", 0.0)
        self._own.inner = 0.0
        try:
            yield
        finally:
            took = self.clock() - began
            with self._lock:
                self._seconds[name] += took - self._own.inner
            self._own.inner = inner + took

    def charge(self, name: str, seconds: float) -> None:
        """Add seconds that were measured elsewhere."""
        with self._lock:
            self._seconds[name] += seconds

    def take(self) -> dict[str, float]:
        """What has been spent since this was last asked."""
        with self._lock:
            taken, self._seconds = self._seconds, defaultdict(float)
        return dict(taken)


WORKER = Ledger(time.process_time)
"""Of a worker, in which one task runs at a time, and threads of the framework work for it."""
JUDGE = Ledger(time.thread_time)
"""Of the judge, whose threads read the answers of workers while it judges."""


def spent_on(ledger: Ledger, name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorates a function whose time is spent on `name`."""

    def decorated(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def measured(*args: P.args, **kwargs: P.kwargs) -> R:
            with ledger.stage(name):
                return function(*args, **kwargs)

        return measured

    return decorated
