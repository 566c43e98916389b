"""What must hold within a framework, whatever the network."""

from __future__ import annotations

from typing import Any

from bench.checks import ITSELF

AGAINST = (ITSELF,)


def test_itself(case: Any, judged: Any) -> None:
    """Numbers are finite, clipping keeps its promise, and exact laws of gradients hold."""
    judged(case)
