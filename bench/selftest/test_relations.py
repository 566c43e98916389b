"""Relations are judged where their terms are more than rounding, and where there may be none."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest

from bench.checks import CHECKS
from bench.checks.relations import Judged, Residual, compared
from bench.evidence.evidence import FLOAT64_EPS_RATIO, Evidence
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.verdict import judge
from bench.selftest.kills import seen

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


TRUE = 1e-9
"""Share of its terms by which a relation is off in float64 at the most."""
NETWORKS = (
    "depth=6,width=8,bias=normal", "depth=6,width=8,act=linear,init=orthogonal", "depth=6,width=8,norm=batch,eps=0.1",
    "depth=6,width=8,norm=layer,norm_at=after", "depth=6,width=8,act=tanh,skip=two,skip_order=pre,branch=root2",
    "depth=4,classes=2,loss=hinge",
    "conv,channels=4,norm=group,pool=average,window=3,pool_padding=same", "conv,depth=5,channels=4,convolution=depthwise,padding=circular",
    "conv,channels=4,stride=3,padding=same_at_end,read=max,head=4", "rnn,width=4,cell=lstm,direction=both,lengths=uneven",
    "rnn,width=4,layers=2,cell=gru,outputs=all,lengths=uneven,between=layer", "rnn,width=4,length=100,truncated=3,outputs=all",
)  # fmt: skip


@pytest.mark.parametrize("network", NETWORKS)
def test_every_relation_holds_in_float64_and_is_not_lost_as_rounding(network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    off = dict[Place, float]()

    def noted(
        evidence: Evidence, seen: object, exact: dict[Place, Residual], rounded: list[dict[Place, Residual]], *rest: object
    ) -> Judged:
        for place, (value, size) in exact.items():
            if all(abs(each[place].size - size) < size for each in rounded):
                off[place] = max(off.get(place, 0.0), value)
        return compared(evidence, seen, exact, rounded, *rest)  # type: ignore[arg-type]

    for module in ("relations", "symmetries", "derivative"):  # of which the last name is also a function's
        monkeypatch.setattr(import_module(f"bench.checks.{module}"), "compared", noted)
    evidence = seen("numpy", network, trains=False)
    for name in ("sum_rules", "homogeneity", "norm_orthogonality", "symmetry", "derivative"):
        if not CHECKS[name].missing(evidence.spec, evidence.collected):
            judge(CHECKS[name], evidence)
    assert off and {place: value for place, value in off.items() if not value < TRUE} == {}
