"""Copies of this process that do one thing and end, with imports done once for all."""

from __future__ import annotations

import os
import signal
import time


def ended(pid: int, seconds: float) -> int:
    """The exit status of a copy, negative for a signal; one that takes longer is killed with all it has started.

    The copy leads a session of its own.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.killpg(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
