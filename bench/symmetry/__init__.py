"""Transformations of weights and batch under which gradients must transform in a known way: which runs they need, and what to expect.

A row's `lessons` are run by the framework's own training step from the given weights; the weights it leaves behind are not
looked at. Rows with `bits` multiply by powers of two or change signs only, which no rounding sees (as long as nothing under-
or overflows), so that their residuals are exactly zero.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.symmetry import derivatives, samples, twins, weights
from bench.symmetry.row import Symmetry, by_reference
from models.observation import Backward, ForcedStep
from models.spec import Spec

__all__ = ["ROWS", "Symmetry", "by_reference", "relation_lessons", "split", "symmetries"]

SMOOTH = ("linear", "sigmoid", "tanh", "silu")
"""Activations without a kink, whose float64 layers are float64 in every framework."""


def _plain(spec: Spec) -> bool:
    return spec.arch.norm == "none" and spec.arch.skip == "none" and spec.arch.bottleneck == 1


def _home(spec: Spec) -> bool:
    """The reference network, in either precision and on any data: what holds for every network is looked at there."""
    return spec.format.plain and spec.but(precision="float32", features=Spec().features) == Spec()


def _hinge(spec: Spec) -> bool:
    return _plain(spec) and spec.arch.act == "relu" and spec.loss == "hinge" and spec.arch.depth == 8


def _odd(spec: Spec) -> bool:
    return _plain(spec) and spec.arch.act == "tanh" and spec.loss == "hinge" and spec.classes == 2


def _normalized(spec: Spec) -> bool:
    return spec.arch.eps < 1e-20 and spec.arch.norm_at == "before" and spec.arch.skip == "none"


def _units_alike(spec: Spec) -> bool:
    return _home(spec) or (_normalized(spec) and spec.arch.norm != "group")


def _repeatable(spec: Spec) -> bool:
    return _home(spec) or (_normalized(spec) and spec.arch.norm == "batch")


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
    Symmetry("rebalanced by 4", _home, weights.rebalanced(4.0), weights.rebalancing(4.0), bits=True),
    Symmetry("rebalanced by 3", _home, weights.rebalanced(3.0), weights.rebalancing(3.0)),
    Symmetry("doubled", _hinge, weights.doubled, weights.doubling, bits=True),
    Symmetry("doubled inputs", _hinge, weights.fed_twice, weights.feeding_twice, bits=True),
    Symmetry("loss times 1024", _home, samples.weighted, samples.weighting, bits=True),
    Symmetry("permuted units", _units_alike, samples.permuted, samples.permuting),
    Symmetry("rotated inputs", _home, samples.rotated, samples.rotating),
    Symmetry("shuffled samples", lambda spec: _home(spec) or _normalized(spec), samples.shuffled, samples.shuffling),
    Symmetry("half batches", _home, samples.halved, samples.halving),
    Symmetry("doubled batch", _repeatable, samples.repeated, samples.repeating),
    Symmetry("one sample", _home, samples.single, samples.of_rank_one),
    Symmetry("turned signs", _odd, samples.negated, samples.negating, bits=True),
    Symmetry("scaled by 8", _normalized, weights.scaled(8.0), weights.scaling(8.0), bits=True),
    Symmetry("scaled by 3", _normalized, weights.scaled(3.0), weights.scaling(3.0)),
    Symmetry("constant weights", _home, weights.constant, weights.alike),
    Symmetry("looks linear", _deep, weights.looks_linear, weights.isometric),
    Symmetry("one unit a layer", _chain, lambda spec, first, jittered: [first], weights.chain),
    Symmetry("logistic units as tanh units", _logistic, twins.as_tanh, twins.like_tanh),
    Symmetry("leaky units as pairs of ReLUs", _in_pairs, twins.as_relu, twins.like_relu),
    Symmetry("forward mode", _eight, derivatives.pushed, derivatives.pushing, differentiates=True),
    Symmetry("difference quotients", _smooth, derivatives.stepped, derivatives.stepping, differentiates=True),
    Symmetry("complex step", _analytic, derivatives.alone, derivatives.complex_stepping, differentiates=True),
)


def symmetries(spec: Spec) -> list[Symmetry]:
    """The rows that hold for this network; none where results are rounded to half precision, which no order of sums measures."""
    return [row for row in ROWS if spec.format.plain and row.holds(spec)]


def relation_steps(spec: Spec, forced_steps: list[ForcedStep]) -> list[ForcedStep]:
    """Everything to run for `spec`, row after row, made from its first (initial) and second (jittered) lesson."""
    return [each for row in symmetries(spec) for each in row.forced_steps(spec, forced_steps[0], forced_steps[1])]


def split(
    spec: Spec, forced_steps: list[ForcedStep], passes: list[Backward]
) -> Iterator[tuple[Symmetry, list[ForcedStep], list[Backward]]]:
    """Each row with its own lessons and what was seen of them. Raises AssertionError where a pass is missing."""
    rows = [(row, row.forced_steps(spec, forced_steps[0], forced_steps[1])) for row in symmetries(spec)]
    if len(passes) != (wanted := sum(len(made) for _, made in rows)):
        raise AssertionError(f"{len(passes)} passes were seen for {wanted} lessons of {spec.id}")
    rest = iter(passes)
    for row, made in rows:
        yield row, made, [next(rest) for _ in made]
