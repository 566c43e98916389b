"""Networks that both frameworks hold: healthy ones agree to rounding, and a fault in one of the two is named at its layer, as its own."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.checks.own.aligned import ALIGNED_CHECKS
from bench.evidence.aligned import AlignedEvidence, Comparison
from bench.judging.verdict import FAILED, PASSED, Verdict, judge
from bench.report import failure, galleries
from bench.report.record import Profile
from bench.selftest.faults.of_aligned import PAIR_FAULTS, PairFault
from bench.selftest.faults.plant import patching
from bench.selftest.gauges import pair
from fixtures.plugin import options
from models.backends.registry import backend_module
from models.own import aligned
from models.own.carried import Pair, WeightedLayer, matched
from models.own.gauge import OwnError
from models.worker.tasks.aligned import AlignedSide

QUICK = ("torch-a gradient off by 1e-4", "keras-a layout")
"""Faults that a quick run plants; the others are slow."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    pair.register(monkeypatch)


def compared(seed: int = 0) -> dict[str, AlignedEvidence]:
    sides = {name: AlignedSide(backend_module(name)) for name in aligned.BOTH}
    asks = {name: lambda do, kind, side=side, **given: side.take(do, given) for name, side in sides.items()}
    return Comparison(aligned.aligned_address(pair.SMALL), asks, seed).sides({name: {name: "1"} for name in aligned.BOTH})


def judged(sides: dict[str, AlignedEvidence]) -> dict[tuple[str, str], Verdict]:
    return {(side, name): judge(check, sides[side]) for side in sides for name, check in ALIGNED_CHECKS.items()}


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
def test_a_healthy_pair_agrees_in_float64_and_float32(seed: int) -> None:
    sides = compared(seed)
    verdicts = judged(sides)
    assert {key: verdict.worst for key, verdict in verdicts.items() if verdict.status != PASSED} == {}
    assert not sides["torch"].parted and sides["torch"].names[3] == "4.norm = wide_bn"
    judged_by = {finding.place.scope for finding in verdicts["torch", "gradient_parity"].findings}
    assert judged_by == {"", "float64", "by Keras's twin"}
    assert all(verdict.headroom > 0.5 for verdict in verdicts.values())


def cases() -> list[Any]:
    named = [(f"{fault.whose}-{fault.name}", fault) for fault in PAIR_FAULTS]
    return [pytest.param(fault, id=name, marks=[] if name in QUICK else [pytest.mark.slow]) for name, fault in named]


@pytest.mark.parametrize("fault", cases())
def test_a_fault_is_named_at_its_layer_and_as_its_own(fault: PairFault, monkeypatch: pytest.MonkeyPatch) -> None:
    fault.plant(patching(monkeypatch))
    sides = compared()
    verdicts = judged(sides)
    verdict, side = verdicts[fault.whose, fault.check], sides[fault.whose]
    other = verdicts[aligned.BOTH[fault.whose == aligned.BOTH[0]], fault.check]
    assert verdict.status == FAILED, (verdict.reason, side.parted)
    assert (other.status == FAILED) == fault.nobody, "whoever is right is not red"
    assert fault.where in failure.of_aligned(verdict, side, {})
    if not fault.nobody:
        layers = set(fault.where.split(" = "))
        assert any(layers <= set(re.split(r"[ ,]", where)) and whose == fault.whose for _, where, whose in side.first_parted()), side.parted


def layer(kind: str, shape: tuple[int, ...]) -> WeightedLayer:
    return WeightedLayer("x", kind, {"weight": "x.weight"}, {"weight": list(shape)})


def test_weights_go_there_and_back_in_every_layout() -> None:
    draws = np.random.default_rng(0)
    for kinds, shapes, side in (
        (("convolution", "convolution"), ((5, 4, 3, 2), (3, 2, 4, 5)), 1),
        (("convolution", "depthwise"), ((6, 1, 3, 2), (3, 2, 6, 1)), 1),
        (("dense", "dense"), ((5, 4), (4, 5)), 1),
        (("dense", "convolution"), ((5, 4), (1, 1, 4, 5)), 1),
        (("dense", "dense"), ((5, 12), (12, 5)), 2),
        (("scale", "scale"), ((4, 1, 1), (4,)), 1),
    ):
        one, other = (layer(kind, shape) for kind, shape in zip(kinds, shapes, strict=True))
        both = Pair(one, other, side)
        weight = draws.standard_normal(shapes[0])
        there = both.weight_in_keras("weight", weight)
        assert there.shape == shapes[1]
        np.testing.assert_array_equal(both.weight_in_torch("weight", there), weight)
    image = draws.standard_normal((3, 2, 2))  # channels, rows, columns
    dense = Pair(layer("dense", (1, 12)), layer("dense", (12, 1)), 2)
    row = draws.standard_normal((1, 12))
    np.testing.assert_allclose(row @ image.ravel(), image.transpose(1, 2, 0).ravel() @ dense.weight_in_keras("weight", row))


def test_a_pair_that_is_not_there_or_not_whole_is_one_sentence() -> None:
    with pytest.raises(OwnError, match="no network of this name is held by both frameworks; there are small, vgg16"):
        aligned.known_row("alexnet")
    dense = layer("dense", (2, 3))
    with pytest.raises(OwnError, match="1 layers with weights in PyTorch and 0 in Keras"):
        matched(pair.SMALL, [dense], [])
    with pytest.raises(OwnError, match="weight of x and x have other sizes"):
        matched(pair.SMALL, [dense], [replace(dense, shapes={"weight": [3, 3]})])


@pytest.mark.parametrize(("arguments", "said"), [(["--backend=torch"], "leave out --backend"), ([], "there are small")])
def test_a_pair_needs_both_frameworks(arguments: list[str], said: str, pytestconfig: pytest.Config) -> None:
    option = copy.copy(pytestconfig.option)
    option.model = ["aligned:small" if arguments else "aligned:alexnet"]
    option.backend = ["torch"] if arguments else None
    with pytest.raises(pytest.UsageError, match=said):
        options.check(option)


def test_the_page_draws_every_pair_with_both_frameworks() -> None:
    names = [f"depth={n}" for n in range(70, 84)] + ["aligned:mobilenet_v2", "aligned:vgg16"]
    seen = [Profile(backend, name, gradient=[1.0, 1.0 + (name[0] == "d"), 2.0]) for name in names for backend in aligned.BOTH]
    drawn_for = {picture.title: picture.caption for picture in galleries.gradients(SimpleNamespace(profiles=seen)).pictures}
    assert {"aligned:mobilenet_v2", "aligned:vgg16"} <= set(drawn_for)
    assert "torch -0.3, keras -0.3" in drawn_for["aligned:vgg16"]
