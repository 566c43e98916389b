"""Fields of a network as text and numbers: what is read, what is refused in one sentence, how a value is written."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping

LARGEST = 2**31 - 1
"""The largest count: frameworks keep numbers of steps, units and samples in 32-bit integers here and there."""

SMALLEST_NORMAL, LARGEST_FLOAT = 2.0**-126, (2 - 2.0**-23) * 2.0**127
"""Positive numbers that float32 holds with all its digits."""


LONGEST = 80
"""Characters of a value that a message shows."""


class SpecError(ValueError):
    """A network that cannot be built; the message is one sentence that names the value and what is allowed."""


def check_choices(record: object, choices: Mapping[str, Iterable[str]]) -> None:
    """Raise SpecError for a field whose value is not among its choices."""
    for field, allowed in choices.items():
        value, names = getattr(record, field), tuple(allowed)
        if value not in names:
            raise SpecError(f"{field}={shown(value)} is not known{nearest(value, names)}; use one of {', '.join(names)}.")


def check_whole(record: object, least: Mapping[str, int]) -> None:
    """Raise SpecError for a field that is no whole number, a smaller one than its least, or a larger one than `LARGEST`."""
    for field, smallest in least.items():
        value = getattr(record, field)
        if isinstance(value, bool) or not isinstance(value, int) or value < smallest:
            raise SpecError(f"{field}={value} must be a whole number of at least {smallest}.")
        if value > LARGEST:
            raise SpecError(f"{field}={value} is more than {LARGEST:,}, the largest number that every framework counts with.")


def check_positive(record: object, *fields: str, or_zero: bool = False) -> None:
    """Raise SpecError for a field that is no positive number of float32, in which frameworks hold it, nor zero where that is allowed."""
    for field in fields:
        value = getattr(record, field)
        if not (math.isfinite(value) and (value > 0 or (or_zero and value == 0))):
            raise SpecError(f"{field}={value} must be {'zero or ' if or_zero else ''}a positive number.")
        if value and not SMALLEST_NORMAL <= value <= LARGEST_FLOAT:
            raise SpecError(f"{field}={value} must lie between {SMALLEST_NORMAL:.2g} and {LARGEST_FLOAT:.2g}, the numbers of float32.")


def nearest(value: object, allowed: Iterable[str]) -> str:
    """A question after the allowed word that was probably meant, or nothing."""
    close = difflib.get_close_matches(str(value), list(allowed), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def shown(value: object) -> str:
    """A value as a message shows it: cut where it is long, with control characters written out."""
    text = str(value)
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def plain(value: object) -> str:
    """A value as an id writes it: the shortest text that reads back as the same number."""
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
