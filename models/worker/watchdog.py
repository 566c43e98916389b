"""Ends a process that hangs: one that uses no processor while it is asked for something, or takes longer than its task can take."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import psutil

from models.observation import Job

SILENT = 120.0
"""Seconds without processor time after which a process counts as hung: stopped, or waiting for something that does not come."""
LEAST, OWN = 600.0, 3600.0
"""Seconds of a processor that any task may take, and that a user's own model may: starting and compiling the deepest network of the
matrix take a fraction of the first, and the largest network of torchvision a fraction of the second."""
SECONDS_A_STEP = 1.0
"""Seconds of a processor that a training step may take on average: a hundred times what one of the matrix takes."""
SLOWEST = 0.25
"""Share of the time on the clock that counts at the least. A busy machine gives a process less, and a device may work in its place."""


def longest(arguments: Job | dict[str, Any]) -> float:
    """Seconds of a processor that a task with these arguments may take, by the training steps it asks for."""
    if isinstance(arguments, dict) and "own" in arguments:
        return OWN
    jobs = [arguments] if isinstance(arguments, Job) else arguments.get("jobs", [])
    return max(LEAST, SECONDS_A_STEP * sum(training.steps for job in jobs for training in job.trainings))


class Watchdog(threading.Thread):
    """Watches a process while inside, and calls `end` where it hangs; `reason` says then why."""

    def __init__(self, pid: int, silent: float, deadline: float, end: Callable[[], None]) -> None:
        """`silent` seconds may pass without processor time; `deadline` bounds processor time, of one processor at most."""
        super().__init__(daemon=True)
        self.reason = ""
        self._pid, self._silent, self._deadline, self._end = pid, silent, deadline, end
        self._done = threading.Event()

    def run(self) -> None:
        """Look a few times in the time that may pass in silence.

        Time in which this process itself was stopped does not count, since then the other one may have been stopped with it.
        """
        interval = min(self._silent, self._deadline) / 4
        spent, idle, passed, last = _processor_time(self._pid), 0.0, 0.0, time.monotonic()
        while not self._done.wait(interval):
            now = time.monotonic()
            elapsed, last = min(now - last, 2 * interval), now
            before, spent = spent, _processor_time(self._pid)
            idle = 0.0 if spent > before else idle + elapsed
            passed += min(elapsed, max(spent - before, SLOWEST * elapsed))
            if idle >= self._silent:
                self.reason = f"hung for {idle:.0f} s without using a processor"
            elif passed >= self._deadline:
                self.reason = f"took more than {self._deadline:.0f} s of a processor"
            if self.reason:
                self._end()
                return

    def __enter__(self) -> Watchdog:
        """Begin."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look no more."""
        self._done.set()


def _processor_time(pid: int) -> float:
    """Seconds that a process and its children, such as compilers, have run; 0 where the system does not tell."""
    try:
        process = psutil.Process(pid)
        seconds = 0.0
        for each in (process, *process.children(recursive=True)):
            times = each.cpu_times()
            seconds += times.user + times.system + getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
        return seconds
    except psutil.Error:
        return 0.0
