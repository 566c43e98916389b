"""Transformations of weights and batch under which gradients must transform in a known way: which runs they need, and what to expect.

The framework's own training step takes the steps of a row's `transform`; the weights after it are not compared. Rows with `bits`
multiply by powers of two or change signs only. That rounds nothing as long as nothing under- or overflows, so their residuals are
exactly zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from bench.symmetry import derivatives, samples, twins, weights
from bench.symmetry.row import Symmetry, by_reference, twin
from models.architectures import graph
from models.nodes import Mirror
from models.observation import Backward, ForcedStep
from models.spec import Spec, Value

__all__ = ["ROWS", "Symmetry", "by_reference", "relation_steps", "split", "symmetries"]

REBALANCED = "with layers rebalanced"
SMOOTH = ("linear", "sigmoid", "tanh", "silu")
"""Activations without a kink, whose float64 layers are float64 in every framework."""


def _plain(**fields: Value) -> Callable[[Spec], bool]:
    """Holds for networks of dense layers and activations alone that have these fields."""

    def holds(spec: Spec) -> bool:
        bare = spec.arch.layered and spec.arch.norm == "none" and spec.arch.skip == "none" and spec.arch.bottleneck == 1
        bare = bare and not spec.arch.last_width and spec.arch.mirror == "none"
        return bare and all(spec.fields[name] == value for name, value in fields.items())

    return holds


def _reference(spec: Spec) -> bool:
    """The reference network, in either precision and on any data: what holds for every network is looked at there."""
    return spec.format.plain and spec.but(precision="float32", features=Spec().features) == Spec()


def _normalized(spec: Spec) -> bool:
    return spec.arch.eps < 1e-20 and spec.arch.norm_at == "before" and spec.arch.skip == "none" and not graph(spec).of(Mirror)


def _units_alike(spec: Spec) -> bool:
    return _reference(spec) or (_normalized(spec) and spec.arch.norm != "group")


def _repeatable(spec: Spec) -> bool:
    return _reference(spec) or (_normalized(spec) and spec.arch.norm == "batch")


def _eight(spec: Spec) -> bool:
    """Networks that are looked at for their exact laws, whatever their parts: eight layers, or recurrent ones in float64."""
    return spec.arch.depth == 8 if spec.arch.layered else spec.precision == "float64"


def _smooth(spec: Spec) -> bool:
    return _eight(spec) and spec.arch.act in SMOOTH and spec.loss in ("cross_entropy", "mse") and spec.precision == "float64"


def _analytic(spec: Spec) -> bool:
    return _eight(spec) and _plain()(spec) and spec.arch.act in derivatives.ANALYTIC and spec.loss == "cross_entropy"


def _in_pairs(spec: Spec) -> bool:
    return _plain()(spec) and spec.arch.act in twins.NEGATIVE_SLOPE and spec.arch.depth <= Spec().arch.depth


HINGE = _plain(act="relu", loss="hinge", depth=8)
CHAIN = _plain(width=1, act="tanh", loss="cross_entropy")
ROWS = (
    twin("rebalanced by 4", _reference, "with layers rebalanced by 4", partial(weights.rebalance, 4.0), loss=REBALANCED, bits=True),
    twin("rebalanced by 3", _reference, "with layers rebalanced by 3", partial(weights.rebalance, 3.0), loss=REBALANCED),
    twin("doubled", HINGE, "with all weights doubled", weights.double, of=weights.linear_loss, bits=True),
    twin("doubled inputs", HINGE, "with inputs doubled", weights.double_inputs, of=weights.linear_loss, bits=True),
    twin("loss times 1024", _reference, "with the loss times 1024", samples.weigh, bits=True),
    twin("permuted units", _units_alike, "with units and classes in another order", samples.permute),
    twin("rotated inputs", _reference, "with inputs turned", samples.rotate),
    twin("shuffled samples", lambda spec: _reference(spec) or _normalized(spec), "with samples in another order", samples.shuffle),
    Symmetry("half batches", _reference, samples.halve_transform, samples.halve_expect),
    twin("doubled batch", _repeatable, "with every sample twice", samples.repeat),
    Symmetry("one sample", _reference, samples.single_transform, samples.single_expect),
    twin(
        "turned signs",
        _plain(act="tanh", loss="hinge", classes=2),
        "with all signs turned",
        samples.negate,
        loss="with all signs turned",
        bits=True,
    ),
    twin("scaled by 8", _normalized, "with weights times 8", partial(weights.scale, 8.0), loss="with weights times 8", bits=True),
    twin("scaled by 3", _normalized, "with weights times 3", partial(weights.scale, 3.0), loss="with weights times 3"),
    Symmetry("constant weights", _reference, weights.constant_transform, weights.constant_expect),
    Symmetry("looks linear", _plain(act="relu", depth=100), weights.mirrored_transform, weights.mirrored_expect),
    Symmetry("one unit a layer", CHAIN, lambda spec, first, jittered: [first], weights.chain_expect),
    twin("logistic units as tanh units", _plain(act="sigmoid", depth=8), "as a tanh network", twins.as_tanh, back=True),
    twin("leaky units as pairs of ReLUs", _in_pairs, "as a relu network of twice the width", twins.as_relu, back=True),
    Symmetry("forward mode", _eight, derivatives.forward_mode_transform, derivatives.forward_mode_expect, differentiates=True),
    Symmetry("difference quotients", _smooth, derivatives.quotient_transform, derivatives.quotient_expect, differentiates=True),
    Symmetry("complex step", _analytic, lambda spec, first, jittered: [jittered], derivatives.complex_step_expect, differentiates=True),
)


def symmetries(spec: Spec) -> list[Symmetry]:
    """The rows that hold for this network; none where results are rounded to half precision, which no order of sums measures."""
    return [row for row in ROWS if spec.format.plain and row.holds(spec)]


def relation_steps(spec: Spec, forced_steps: list[ForcedStep]) -> list[ForcedStep]:
    """Everything to run for `spec`, row after row, made from its first (initial) and second (jittered) step."""
    return [each for row in symmetries(spec) for each in row.transform(spec, forced_steps[0], forced_steps[1])]


def split(
    spec: Spec, forced_steps: list[ForcedStep], passes: list[Backward]
) -> Iterator[tuple[Symmetry, list[ForcedStep], list[Backward]]]:
    """Each row with its own steps and what was seen of them. Raises AssertionError where a pass is missing."""
    rows = [(row, row.transform(spec, forced_steps[0], forced_steps[1])) for row in symmetries(spec)]
    if len(passes) != (wanted := sum(len(made) for _, made in rows)):
        raise AssertionError(f"{len(passes)} passes were seen for {wanted} steps of {spec.id}")
    rest = iter(passes)
    for row, made in rows:
        yield row, made, [next(rest) for _ in made]
