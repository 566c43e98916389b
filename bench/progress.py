"""How far a long computation is, and how long it will still take: lines on stderr, for whoever waits at a terminal or reads a log."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

QUIET = 5.0
"""Seconds before the first line, and between two: what is done by then needs none."""
Item = TypeVar("Item")
_shown: ContextVar[bool] = ContextVar("shown", default=False)


@contextmanager
def shown() -> Iterator[None]:
    """Inside, `track` prints; elsewhere, as in tests and workers, it is silent."""
    token = _shown.set(True)
    try:
        yield
    finally:
        _shown.reset(token)


def track(items: Sequence[Item], title: str) -> Iterator[Item]:
    """The items one after the other; between them a line now and then that says how many are done and how long the rest will take."""
    begun = printed = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if done and _shown.get() and now - printed >= QUIET:
            printed = now
            left = (now - begun) / done * (len(items) - done)
            say(f"{title}: {done} of {len(items)}, {clock(now - begun)}, {clock(left)} left")
        yield item


def say(line: str) -> None:
    """A line on stderr at once."""
    print(line, file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """`12:05`: minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
