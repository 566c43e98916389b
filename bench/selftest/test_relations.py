"""Relations are judged where their terms are more than rounding, and where there may be none."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from bench.checks.relations import Residual, compared
from bench.evidence.evidence import FLOAT64_EPS_RATIO, Evidence
from bench.judging.finding import Finding
from bench.judging.place import Place

PLACE = Place("Σδ", "dense1")


def _judged(seen_off: float, exact: float, sizes: list[float], resolution: float = 1.0) -> tuple[list[Finding], int]:
    evidence: Evidence = SimpleNamespace(floor=1e-38)  # type: ignore[assignment]  # all that is read of it
    judging = compared(
        evidence, {PLACE: Residual(seen_off, 1.0)}, {PLACE: Residual(0.0, exact)},
        [{PLACE: Residual(1e-7 if size else 0.0, size)} for size in sizes], resolution, 6e-8,
    )  # fmt: skip
    found = []
    while True:
        try:
            found.append(next(judging))
        except StopIteration as end:
            return found, end.value


@pytest.mark.parametrize(
    ("sizes", "judged"),
    [([1.0, 1.1, 0.9], True), ([1.0, 0.0, 1.0], False), ([1.0, 1.0, 2.1], False), ([0.0, 0.0, 0.0], False), ([np.nan, 1.0, 1.0], False)],
)
def test_a_relation_between_terms_that_rounding_makes_is_counted_and_not_judged(sizes: list[float], judged: bool) -> None:
    found, lost = _judged(0.5, 1.0, sizes)
    assert (len(found), lost) == ((1, 0) if judged else (0, 1))
    assert all(not finding.within for finding in found)
    assert _judged(0.5, 1.0, sizes, FLOAT64_EPS_RATIO)[1] == (not np.isfinite(sizes).all()), "float64 knows them"


def test_a_relation_where_nothing_may_be_is_judged() -> None:
    found, lost = _judged(0.5, 0.0, [0.0, 0.0])
    assert not lost and not found[0].within
    assert _judged(0.5, 0.0, [1e-20, 0.0])[1] == 1
