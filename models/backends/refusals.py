"""What becomes of options that exclude each other."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping

Attempts = Mapping[str, Mapping[str, Callable[[], object]]]
"""What is tried, by what should become of it and by its name."""


def outcomes(attempts: Attempts, refusals: tuple[type[Exception], ...], dropped: str) -> dict[str, dict[str, str]]:
    """Of each attempt `refused`, where one of these errors was raised, `warned`, where a warning has words of `dropped`, or `taken`."""
    return {due: {name: _outcome(attempt, refusals, dropped) for name, attempt in each.items()} for due, each in attempts.items()}


def _outcome(attempt: Callable[[], object], refusals: tuple[type[Exception], ...], dropped: str) -> str:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            attempt()
        except refusals:
            return "refused"
    return "warned" if any(re.search(dropped, str(w.message)) for w in caught) else "taken"
