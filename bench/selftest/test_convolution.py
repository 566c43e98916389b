"""Laws of convolutional networks on the NumPy backend: healthy ones pass, a thousandth beside them does not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from bench.checks import CHECKS
from bench.evidence.evidence import Evidence
from bench.judging.verdict import FAILED, PASSED, judge
from bench.report.failure import describe_network
from bench.report.profile import profile
from bench.selftest.kills import seen, verdicts
from bench.theory.images import logs
from models.matrix import FURTHER, networks
from models.nodes import Conv
from models.reference.draws import draw_weights
from models.reference.network import Reference
from models.spec import Spec

ISOMETRIC = "conv,depth=5,batch=8,channels=4,padding=circular,act=linear,init=orthogonal,start=delta"
SMALL = "conv,batch=8,channels=4"


@cache
def healthy(network: str) -> Evidence:
    return seen("numpy", network, trains=False)


def spoilt(network: str, spoil: Callable[[Any], None], check: str) -> list[str]:
    """Where a check is red once something was changed in what a framework did of itself."""
    evidence = copy.deepcopy(healthy(network))
    spoil(evidence.seen)
    verdict = judge(CHECKS[check], evidence)
    assert (verdict.status == FAILED) == bool(verdict.outside)
    return [finding.where for finding in verdict.findings if not finding.within]


@pytest.mark.parametrize("network", [ISOMETRIC, f"{SMALL},norm=batch", f"{SMALL},pool=average,init=torch_default", f"{SMALL},head=8"])
def test_a_healthy_convolutional_network_passes_all_that_applies(network: str) -> None:
    found = verdicts(healthy(network))
    assert {name: verdict.status for name, verdict in found.items() if verdict.status != PASSED} == {}
    assert {"forward_parity", "gradient_parity", "update", "finite", "sum_rules", "convolution_start", "image_gain"} <= set(found)
    assert ("normalization_state" in found) == ("norm=batch" in network)
    assert ("homogeneity" in found) == (Spec.parse(network).init != "torch_default" and "norm" not in network)


def test_a_delta_orthogonal_linear_network_keeps_every_pixels_gradient() -> None:
    places = [finding.where for finding in judge(CHECKS["homogeneity"], healthy(ISOMETRIC)).findings]
    assert (
        "step 0 layer  3 pixels' ‖δ‖ against the next layer's" in places and "step 0 image samples' ⟨x, ∂x⟩ against the logits'" in places
    )

    def spoil(run: Any) -> None:
        run.shared.pre_activation_gradients["conv2"][:, :, 3, 3] *= 1.001

    where = spoilt(ISOMETRIC, spoil, "homogeneity")
    assert {"step 0 layer  1 pixels' ‖δ‖ against the next layer's", "step 0 layer  2 pixels' ‖δ‖ against the next layer's"} <= set(where)


@pytest.mark.parametrize(("network", "change", "where"), [
    (SMALL, lambda w: w * 2, "layer  2 weight variance over the one asked"),
    (ISOMETRIC, lambda w: w * 1.001, "layer  2 weight largest entry of W Wᵀ − 1"),
    (ISOMETRIC, lambda w: w + 1e-9, "layer  2 weight largest weight beside the middle"),
])  # fmt: skip
def test_a_start_other_than_asked_is_caught(network: str, change: Callable[[Any], Any], where: str) -> None:
    def spoil(run: Any) -> None:
        run.native.weights["conv2.weight"] = change(run.native.weights["conv2.weight"])

    assert spoilt(network, spoil, "convolution_start") == [where]


def test_a_start_whose_gradient_grows_otherwise_is_caught_between_its_layers() -> None:
    def spoil(run: Any) -> None:
        run.native.pre_activation_gradients["conv2"] *= 1000

    assert spoilt(SMALL, spoil, "image_gain") == ["∂L/∂z layer  1 over 2", "∂L/∂z layer  2 over 3"]


def test_where_padding_wraps_around_mean_field_theory_of_dense_layers_holds() -> None:
    """Mean squares stay behind He's initialization with many channels (Xiao et al. 2018); zeros at the edges take some away."""
    means = {}
    for padding in ("circular", "same"):
        spec = Spec.parse(f"conv,depth=4,channels=64,batch=4,padding={padding},precision=float64")
        x = np.random.default_rng(0).standard_normal((4, 64))
        gains = []
        for seed in range(6):
            done = Reference(spec, draw_weights(spec, seed)).run(x, np.arange(4))
            gains.append(logs(spec, done.pre_activations, done.pre_activation_gradients)[[0, 1]])
        means[padding] = float(np.mean(gains))
    assert means["circular"] == pytest.approx(0, abs=0.15), "six networks know it to some 0.05"
    assert means["same"] < means["circular"] - 0.04, "of nine taps 16 % lie outside, and the same weights are compared"


def test_what_is_said_of_a_convolutional_network() -> None:
    evidence = healthy(f"{SMALL},norm=batch")
    assert describe_network(evidence.spec).startswith(
        "depth 4 · 4 channels · 3 × 3 kernels · relu · same padding · no pooling · batch norm"
    )
    assert len(profile(evidence).gradient) == 1 and np.isfinite(profile(evidence).gradient).all()


def test_the_full_matrix_has_every_choice_of_the_family() -> None:
    specs = [*(spec for spec in networks("core") if "channels" in spec.fields), *map(Spec.parse, FURTHER["convolution"])]
    assert len([spec for spec in networks("core") if "channels" in spec.fields]) == 3
    taken = {(name, spec.fields[name]) for spec in specs for name in type(spec.arch).CHOICES}
    others = {(name, value) for name, values in type(specs[0].arch).CHOICES.items() for value in values if name != "act"}
    assert others <= taken, "activations have an axis of their own"
    assert Conv in {type(node) for spec in specs for node in spec.arch.build(64, 10).nodes}
