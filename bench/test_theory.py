"""The frameworks' own initializers and what they do to signals and gradients, against theory."""

from __future__ import annotations

from typing import Any

from bench.checks import THEORY

AGAINST = (THEORY,)


def test_theory(case: Any, judged: Any) -> None:
    """Signal gain, backward gain and initializers lie in the band that theory predicts."""
    judged(case)
