"""Transformations of weights and batch under which gradients must transform in a known way: which runs they need, and what to expect.

The framework's own training step takes the steps of a row's `transform`; the weights after it are not compared. Rows with `bits`
multiply by powers of two or change signs only. That rounds nothing as long as nothing under- or overflows, so their residuals are
exactly zero.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.symmetry import derivatives, samples, twins, weights
from bench.symmetry.row import Symmetry, by_reference
from models.observation import Backward, ForcedStep
from models.spec import Spec

__all__ = ["ROWS", "Symmetry", "by_reference", "relation_steps", "split", "symmetries"]

SMOOTH = ("linear", "sigmoid", "tanh", "silu")
"""Activations without a kink, whose float64 layers are float64 in every framework."""


def _plain(spec: Spec) -> bool:
    return spec.arch.norm == "none" and spec.arch.skip == "none" and spec.arch.bottleneck == 1


def _reference(spec: Spec) -> bool:
    """The reference network, in either precision and on any data: what holds for every network is looked at there."""
    return spec.format.plain and spec.but(precision="float32", features=Spec().features) == Spec()


def _hinge(spec: Spec) -> bool:
    return _plain(spec) and spec.arch.act == "relu" and spec.loss == "hinge" and spec.arch.depth == 8


def _odd(spec: Spec) -> bool:
    return _plain(spec) and spec.arch.act == "tanh" and spec.loss == "hinge" and spec.classes == 2


def _normalized(spec: Spec) -> bool:
    return spec.arch.eps < 1e-20 and spec.arch.norm_at == "before" and spec.arch.skip == "none"


def _units_alike(spec: Spec) -> bool:
    return _reference(spec) or (_normalized(spec) and spec.arch.norm != "group")


def _repeatable(spec: Spec) -> bool:
    return _reference(spec) or (_normalized(spec) and spec.arch.norm == "batch")


def _deep(spec: Spec) -> bool:
    return _plain(spec) and spec.arch.act == "relu" and spec.arch.depth == 100


def _eight(spec: Spec) -> bool:
    """Networks that are looked at for their exact laws, whatever their parts."""
    return spec.arch.depth == 8


def _smooth(spec: Spec) -> bool:
    return _eight(spec) and spec.arch.act in SMOOTH and spec.loss in ("cross_entropy", "mse") and spec.precision == "float64"


def _analytic(spec: Spec) -> bool:
    return _eight(spec) and _plain(spec) and spec.arch.act in derivatives.ANALYTIC and spec.loss == "cross_entropy"


def _logistic(spec: Spec) -> bool:
    return _eight(spec) and _plain(spec) and spec.arch.act == "sigmoid"


def _in_pairs(spec: Spec) -> bool:
    return _plain(spec) and spec.arch.act in twins.NEGATIVE_SLOPE and spec.arch.depth <= Spec().arch.depth


def _chain(spec: Spec) -> bool:
    return _plain(spec) and spec.arch.width == 1 and spec.arch.act == "tanh" and spec.loss == "cross_entropy"


ROWS = (
    Symmetry("rebalanced by 4", _reference, weights.rebalance_transform(4.0), weights.rebalance_expect(4.0), bits=True),
    Symmetry("rebalanced by 3", _reference, weights.rebalance_transform(3.0), weights.rebalance_expect(3.0)),
    Symmetry("doubled", _hinge, weights.double_transform, weights.double_expect, bits=True),
    Symmetry("doubled inputs", _hinge, weights.double_inputs_transform, weights.double_inputs_expect, bits=True),
    Symmetry("loss times 1024", _reference, samples.weigh_transform, samples.weigh_expect, bits=True),
    Symmetry("permuted units", _units_alike, samples.permute_transform, samples.permute_expect),
    Symmetry("rotated inputs", _reference, samples.rotate_transform, samples.rotate_expect),
    Symmetry("shuffled samples", lambda spec: _reference(spec) or _normalized(spec), samples.shuffle_transform, samples.shuffle_expect),
    Symmetry("half batches", _reference, samples.halve_transform, samples.halve_expect),
    Symmetry("doubled batch", _repeatable, samples.repeat_transform, samples.repeat_expect),
    Symmetry("one sample", _reference, samples.single_transform, samples.single_expect),
    Symmetry("turned signs", _odd, samples.negate_transform, samples.negate_expect, bits=True),
    Symmetry("scaled by 8", _normalized, weights.scale_transform(8.0), weights.scale_expect(8.0), bits=True),
    Symmetry("scaled by 3", _normalized, weights.scale_transform(3.0), weights.scale_expect(3.0)),
    Symmetry("constant weights", _reference, weights.constant_transform, weights.constant_expect),
    Symmetry("looks linear", _deep, weights.mirrored_transform, weights.mirrored_expect),
    Symmetry("one unit a layer", _chain, weights.chain_transform, weights.chain_expect),
    Symmetry("logistic units as tanh units", _logistic, twins.tanh_transform, twins.tanh_expect),
    Symmetry("leaky units as pairs of ReLUs", _in_pairs, twins.relu_transform, twins.relu_expect),
    Symmetry("forward mode", _eight, derivatives.forward_mode_transform, derivatives.forward_mode_expect, differentiates=True),
    Symmetry("difference quotients", _smooth, derivatives.quotient_transform, derivatives.quotient_expect, differentiates=True),
    Symmetry("complex step", _analytic, derivatives.complex_step_transform, derivatives.complex_step_expect, differentiates=True),
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
