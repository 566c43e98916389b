"""How weights begin: factors of layers, mirrored weights, widths that change, and activations that suit a depth."""

from __future__ import annotations

import numpy as np
import pytest

from bench.checks.invariants import is_isometric
from bench.theory.correlation import plain_pair
from bench.theory.ensemble import sample
from bench.theory.meanfield import backward_limit, gains
from bench.theory.remedies import DECADES
from models.architectures import graph
from models.arrays import Arrays
from models.backends.registry import backend_module
from models.parts.activations import TAILORED
from models.reference.draws import draw_weights
from models.reference.network import Reference
from models.spec import Spec, SpecError

FIXUP = "depth=10,skip=two,skip_order=pre,branch=fixup"
BEGUN = (
    FIXUP, "depth=8,gain=0.5,variance_decay=1", "depth=6,last_width=16", "depth=6,mirror=looks_linear,init=orthogonal",
    "depth=4,mirror=looks_linear,gain=3,init=torch_default", "depth=4,mirror=independent,init=keras_default",
)  # fmt: skip


@pytest.mark.parametrize(("text", "words"), [
    ("last_width=8,skip=two", "use skip=none"), ("last_width=8,depth=2", "depth 3 or more"), ("branch=fixup,skip=one", "use skip=two"),
    ("variance_decay=1,depth=2", "depth 3 or more"), ("mirror=looks_linear,skip=two", "skip_order=pre"), ("gain=0", "positive"),
    ("mirror=independent,bottleneck=2,depth=4", "bottleneck=1"), ("variance_decay=-1", "zero or a positive"),
])  # fmt: skip
def test_what_does_not_go_together_is_refused(text: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        Spec.parse(text)


def test_fixup_divides_a_branchs_first_weights_by_the_root_of_blocks_and_empties_its_last() -> None:
    assert [node.start for node in graph(Spec.parse(FIXUP)).dense] == [1, *[4**-0.5, 0] * 4, 1]


def test_variance_falls_with_the_number_of_a_layer_or_of_a_block() -> None:
    plain, blocks = (graph(Spec.parse(f"depth=6,variance_decay=2{skip}")).dense for skip in ("", ",skip=two"))
    assert [node.start for node in plain] == pytest.approx([1, 1, 1 / 2, 1 / 3, 1 / 4, 1])
    assert [node.start for node in blocks] == pytest.approx([1, 1, 1, 1 / 2, 1 / 2, 1])


def test_widths_go_from_the_first_to_the_last_in_equal_ratios() -> None:
    assert Spec.parse("depth=6,last_width=4").arch.hidden == (64, 32, 16, 8, 4)
    assert Spec.parse("depth=4,width=4,last_width=64").arch.hidden == (4, 16, 64)
    assert Spec.parse("depth=3,last_width=7").arch.hidden == (64, 7)


@pytest.mark.parametrize(
    "text", [text for text in BEGUN if "last_width" not in text] + ["depth=4,mirror=independent,norm=layer,norm_at=after"]
)
def test_a_network_is_weighed_as_if_it_were_built(text: str) -> None:
    spec = Spec.parse(text)
    learned = sum(int(np.prod(shape)) for shape in graph(spec).parameters.values())
    assert spec.arch.size(spec.features, spec.classes) == (learned, sum(node.width for node in graph(spec).nodes))


def test_a_network_whose_widths_change_is_weighed_as_one_of_its_largest() -> None:
    assert Spec.parse("last_width=4").arch.size(64, 10) == Spec().arch.size(64, 10)
    assert Spec.parse("last_width=96").arch.size(64, 10) == Spec.parse("width=96").arch.size(64, 10)


def test_units_that_look_linear_are_a_linear_network() -> None:
    spec = Spec.parse("depth=12,mirror=looks_linear,init=orthogonal,precision=float64")
    weights, x = draw_weights(spec, 0), np.random.default_rng(0).standard_normal((16, spec.features))
    linear = spec.but(act="linear", mirror="none")
    halves = {name: w[:, : w.shape[1] // 2] if w.ndim == 2 and name != "dense1.weight" else w for name, w in weights.items()}
    assert Reference(spec, weights).forward(x).logits == pytest.approx(Reference(linear, halves).forward(x).logits, abs=1e-12)


@pytest.mark.parametrize(("text", "holds"), [
    ("mirror=looks_linear,init=orthogonal", True), ("act=linear,init=orthogonal", True),
    ("mirror=independent,act=linear,init=orthogonal", False), ("mirror=looks_linear,init=orthogonal,gain=2", False),
    ("mirror=looks_linear", False), ("mirror=looks_linear,act=tanh,init=orthogonal", False),
])  # fmt: skip
def test_lengths_of_gradients_are_kept_where_orthogonal_units_are_or_look_linear(text: str, holds: bool) -> None:
    spec = Spec.parse(f"depth=6,precision=float64,{text}")
    assert is_isometric(spec) is holds
    rng = np.random.default_rng(0)
    done = Reference(spec, draw_weights(spec, 0)).run(rng.standard_normal((16, 64)), rng.integers(0, 10, 16))
    first, last = (np.linalg.norm(done.pre_activation_gradients[name], axis=1) for name in ("dense1", "dense6"))
    assert bool(np.abs(first / last - 1).max() < 1e-12) is holds


@pytest.mark.parametrize("text", [
    "depth=12,mirror=looks_linear,act=gelu", "depth=12,mirror=independent", "depth=12,skip=two,skip_order=pre,variance_decay=1",
    "depth=12,skip=two,variance_decay=2", "depth=12,act=tanh,gain=1.3", "depth=12,skip=two,skip_order=pre,branch=fixup",
    "depth=12,mirror=looks_linear,skip=two,skip_order=pre,branch=depth",
])  # fmt: skip
def test_random_networks_follow_the_closed_form_at_large_width(text: str) -> None:
    spec, x = Spec.parse(f"{text},width=512,batch=8"), np.random.default_rng(0).standard_normal((8, 64))
    norms, limit = sample(spec, x, 8), backward_limit(spec, x)
    assert limit is not None
    assert float(np.mean(norms.delta["dense1"] - norms.delta["dense12"])) == pytest.approx(limit, abs=0.25)


def test_variance_that_falls_keeps_gradients_of_a_deep_residual_network() -> None:
    """Yang & Schoenholz 2018: exp(Θ(L)) of a ReLU network becomes a power of L, and a constant where the exponent is larger."""
    x = np.random.default_rng(0).standard_normal((8, 64))
    grown = [backward_limit(Spec.parse(f"depth=202,skip=two,skip_order=pre,variance_decay={beta}"), x) for beta in (0, 1, 2)]
    decades = [DECADES * each for each in grown if each is not None]
    assert decades[0] > 10 > 1 > decades[1] > decades[2] > 0


@pytest.mark.parametrize("depth", [40, 100])
def test_a_tailored_network_brings_orthogonal_samples_to_the_same_cosine(depth: int) -> None:
    """The map of cosines by the quadrature of mean-field theory, which shares nothing with the formula that chose the slope."""
    act = f"tailored_{depth}"
    gain = (2 / (1 + TAILORED[act] ** 2)) ** 0.5
    spec = Spec.parse(f"depth={depth},act={act},init=orthogonal,gain={gain}")
    pair = plain_pair(act, gains(spec), 1.0, 0.0)
    assert pair.c[-1] == pytest.approx(0.9, abs=1e-3)
    assert pair.q[-2] == pytest.approx(pair.q[0]) and pair.chi[:-1] == pytest.approx([1.0] * (depth - 2))


def test_the_slope_for_a_hundred_layers_is_the_published_kind() -> None:
    assert TAILORED["tailored_100"] == pytest.approx(0.569, abs=5e-4)
    assert 0 < TAILORED["tailored_40"] < TAILORED["tailored_100"] < 1


@pytest.mark.parametrize("text", BEGUN)
@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_frameworks_begin_as_the_row_says(backend: str, text: str) -> None:
    """Against what NumPy draws: each layer's size, zeros and mirror images, when it is built and when it begins anew."""
    spec, drawn = Spec.parse(text), draw_weights(Spec.parse(text), 0)
    network = backend_module(backend).Network(spec, seed=0)
    _begins(spec, network.weights(), drawn)
    network.redraw(1)
    _begins(spec, network.weights(), drawn)


def _begins(spec: Spec, own: Arrays, drawn: Arrays) -> None:
    for node in graph(spec).dense:
        w, reference = own[node.weight].astype(np.float64), drawn[node.weight].astype(np.float64)
        assert w.shape == reference.shape
        assert np.linalg.norm(w) == pytest.approx(np.linalg.norm(reference), rel=0.15)
        if node.mirrored:
            assert np.array_equal(w[:, : node.fan_drawn], -w[:, node.fan_drawn :])
