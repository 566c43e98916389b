"""What must come out the same by every entry point that users call."""

from __future__ import annotations

from typing import Any

from bench.metamorphic import EqualityCase


def test_equality(equality_case: EqualityCase, judged_equality: Any) -> None:
    """The law of one equality holds on one backend."""
    judged_equality(equality_case)
