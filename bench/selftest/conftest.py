"""What every self-test is given."""

from __future__ import annotations

import gc
import os
import signal

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a framework in a test computes on one thread, as in its worker


@pytest.fixture(scope="module", autouse=True)
def imports_are_not_collected() -> None:
    """Keras collects garbage whenever a network is built: what two frameworks consist of need not be walked every time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def children_can_be_interrupted() -> None:
    """A shell starts what runs in the background deaf to Ctrl-C, and so would be every run that a self-test interrupts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
