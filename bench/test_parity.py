"""Forward pass, backward pass, optimizer steps and running statistics, against the float64 reference."""

from __future__ import annotations

from typing import Any

from bench.checks import REFERENCE

AGAINST = (REFERENCE,)


def test_parity(case: Any, judged: Any) -> None:
    """What the framework computes equals the reference, to what rounding this network costs."""
    judged(case)
