"""What every self-test is given."""

from __future__ import annotations

import gc

import pytest


@pytest.fixture(scope="module", autouse=True)
def imports_are_not_collected() -> None:
    """Keras collects garbage whenever a network is built: what two frameworks consist of need not be walked every time."""
    gc.collect()
    gc.freeze()
