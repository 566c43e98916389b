"""How numbers, bounds, counts and versions are written, wherever the suite writes them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from bench.judging.finding import Finding

Number = float | Literal["nan", "inf", "-inf"]
"""A number as JSON can hold it: NaN and infinities, which JSON lacks, are their names."""
DIGITS = 5
"""Digits of a number in a record."""


def number(value: float) -> str:
    """Three digits of meaning whatever the size: `0.00123`, `1.23e-05`."""
    return f"{value:.3g}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.2e}"


def rounded(value: float, digits: int = DIGITS) -> Number:
    """A number with few digits, as a record keeps it."""
    if math.isfinite(value):
        return float(f"{value:.{digits}g}")
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def span(low: float, high: float) -> str:
    """`low … high`."""
    return f"{number(low)} … {number(high)}"


def allowed(finding: Finding) -> str:
    """What a finding's number may be: `≤ 1.2e-05`, `12`, `0.9 … 1.1`."""
    if finding.low == finding.high:
        return number(finding.high)
    return f"≤ {number(finding.high)}" if finding.low in (0.0, -math.inf) else span(finding.low, finding.high)


def outside(finding: Finding) -> str:
    """How far a number is outside its bound, as `✗ 910 ×`; empty within, a mark alone where no multiple says it."""
    if finding.within:
        return ""
    return f"✗ {number(finding.exceedance)} ×" if math.isfinite(finding.exceedance) else "✗"


def share(value: float) -> str:
    """A headroom: `79%`."""
    return f"{max(value, 0.0):.0%}"


def counted(count: int, noun: str) -> str:
    """`1 known failure`, `2 known failures`, `1,200 numbers`."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def library(versions: Mapping[str, str], joint: str = " on ") -> str:
    """`keras 3.15.1 on tensorflow 2.21.0`; settings, whose names have a space, are left out."""
    return joint.join(f"{name} {version}" for name, version in versions.items() if " " not in name)


def visible(line: str) -> str:
    """A line with its control characters and escape sequences written out, so that no terminal obeys them."""
    return line if line.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def shortened(subject: str, room: int) -> str:
    """A network's id in at most so many characters: whole fields, `norm=layer,…` where some are left out, nothing where none fits."""
    if len(subject) <= room:
        return subject
    fields = subject.split(",")
    kept = next((n for n in range(len(fields) - 1, 0, -1) if len(",".join(fields[:n])) + 2 <= room), 0)
    return f"{','.join(fields[:kept])},…" if kept else ""
