"""Training over several seeds, against recorded samples."""

from __future__ import annotations

from typing import Any

from bench.checks import BASELINE

AGAINST = (BASELINE,)


def test_training(case: Any, judged: Any) -> None:
    """Accuracy, loss and gradient norms lie where recorded seeds predict them."""
    judged(case)
