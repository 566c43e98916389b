"""Single parts: what stays frozen, what a seed reproduces, what is refused, what extreme numbers do."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.tolerance import BAND_Z, ROUNDING_MULTIPLE
from bench.metamorphic.scenarios import UNIT, Scenarios, Start, same, start
from models.architectures import graph
from models.arrays import Array
from models.naming import layer_of, node_of
from models.parts.clips import CLIPS
from models.parts.initializers import TRUNCATED_SD

SEEDS = [0, 1, 123456789]


def frozen(scenarios: Scenarios) -> Iterator[Finding]:
    """What is frozen before it is built stays where it is, as does what is frozen after, running statistics included; the rest moves."""
    begin = start("norm=batch,optimizer=momentum,lr=0.05")
    seen = {when: scenarios("freeze", **begin.given, layers=[1], when=when) for when in ("before", "after")}
    for when, done in seen.items():
        for key, value in done["after"].items():
            moved = float(abs(value - done["before"][key]).max())
            if layer_of(node_of(key)) == 1:
                yield Finding(Place.of(key, scope=f"frozen {when}:"), moved, 0.0, 0.0, "moved although frozen")
            elif not key.endswith(".bias"):  # a bias before batch normalization has no gradient
                yield Finding(
                    Place.of(key, "trains", scope=f"frozen {when}:"),
                    float(not 0 < moved < np.inf),
                    0.0,
                    0.0,
                    f"moved by {moved:g} although it trains",
                )
    moving = begin.rounding(scenarios.conventions)
    after = [{key: done["after"][key] for key in moving} for done in (seen["after"], seen["before"])]
    yield from same("frozen after against before", after[0], after[1], moving)


def seeds(scenarios: Scenarios) -> Iterator[Finding]:
    """A seed, 0 included, gives the same numbers in two fresh processes, and another seed gives others."""
    first, second = scenarios("seeded", seeds=SEEDS, process=0), scenarios("seeded", seeds=SEEDS, process=1)
    if set(first) != set(second):
        raise AssertionError(f"{sorted(set(first) ^ set(second))} are missing")
    for name, drawn in first.items():
        for kind, value in drawn.items():
            yield Finding(
                Place(kind, scope=name), float(abs(np.asarray(value, float) - second[name][kind]).max()), 0.0, 0.0, "not reproduced"
            )
    for owner in ("global", "own"):
        for kind in first[f"{owner} seed 0"]:
            alike = float(
                sum(np.array_equal(first[f"{owner} seed {a}"][kind], first[f"{owner} seed {b}"][kind]) for a, b in ((0, 1), (0, SEEDS[2])))
            )
            yield Finding(Place(f"seeds differ in {kind}", scope=owner), alike, 0.0, 0.0, "another seed gave the same numbers")


def initializer_shared(scenarios: Scenarios) -> Iterator[Finding]:
    """Two layers that share an initializer object, unseeded or with a generator that goes on, get weights of their own."""
    for source in ("unseeded", "generator"):
        one, two = scenarios("initializer_shared", shape=[48, 32], source=source)
        correlation = float(np.corrcoef(np.ravel(one), np.ravel(two))[0, 1])
        yield Finding(Place("correlation", scope=f"{source}:"), abs(correlation), 0.0, BAND_Z / np.size(one) ** 0.5)


def early_stopping_again(scenarios: Scenarios) -> Iterator[Finding]:
    """An EarlyStopping object that has seen one training treats the next one alike."""
    begin = start("optimizer=sgd,lr=0.01", steps=1)
    first, second = scenarios("stopped_early", **begin.one(), epochs=12, patience=2)
    yield Finding(Place("epochs of the first fit"), first, 12, 12, "stopped although the loss falls")
    yield Finding(Place("epochs of the second fit"), second, first, first)


def refused(scenarios: Scenarios) -> Iterator[Finding]:
    """Options that exclude each other are refused, or their dropping is told; each alone is taken."""
    for due, outcomes in scenarios("refusals").items():
        wanted = float(due == "refused")
        for name, outcome in outcomes.items():
            yield Finding(Place(scope=name), float(outcome != "taken"), wanted, wanted, outcome)


CUTS = {2.0: TRUNCATED_SD, 100.0: 1.0}
"""Where truncated normals are cut, and what that leaves of the spread, both in standard deviations of the normal; the second is what
PyTorch's own default, ±2 whatever the standard deviation, comes to for one of 0.02."""
FURTHEST = 7.0
"""What no draw reaches, in standard deviations: one of 65,536 does in 2 · 10⁻⁷ of cases."""


def truncated(scenarios: Scenarios) -> Iterator[Finding]:
    """A truncated normal reaches no further than its cut and keeps its spread, in half precision too.

    A normal cut on both sides has no heavier tails than a normal, so that n draws know its spread to 1/√(2n); and storing them in a
    format may move it by the format's rounding.
    """
    for cut, left in CUTS.items() if scenarios.conventions == "torch" else [(2.0, CUTS[2.0])]:  # Keras cuts at two standard deviations
        for precision, bits in {"float32": 24, "bfloat16": 8, "float16": 11}.items():
            drawn = np.asarray(scenarios("truncated", shape=[256, 256], spread=2 / cut, cut=cut, precision=precision)) * cut / 2
            rounding = 2.0**-bits
            where, beyond = f"{precision} cut at {cut:g}:", float(np.max(abs(drawn))) / min(cut, FURTHEST) - 1
            yield Finding(Place("furthest draw beyond", scope=where), max(beyond, 0.0), 0.0, rounding)
            allowed = left * (BAND_Z / (2 * drawn.size) ** 0.5 + rounding)
            yield Finding(Place("spread", scope=where), float(drawn.std()), left - allowed, left + allowed)


SLOPE_ROUNDINGS = 7
"""How often a slope of x · relu6(x + 3) / 6 rounds at most: the sum in relu6, its sixth, the gradient times x, the sixth of that, and
their sum (5); in one operation, x / 3 and a half more (2)."""


def meeting_pieces(scenarios: Scenarios) -> Iterator[Finding]:
    """An activation that is one operation has the values and slopes of the formula it stands for, where its pieces meet too."""
    x = np.arange(-4.0, 4.25, 0.25, dtype=np.float32)
    for name, (one, formula) in scenarios("in_pieces", x=x).items():
        for what, seen, expected in zip(("value", "slope"), one, formula, strict=True):
            for place, a, b in zip(x, seen, expected, strict=True):
                at = Place(f"{what} at {place:g}", scope=name)
                yield Finding(at, abs(float(a - b)), 0.0, SLOPE_ROUNDINGS * UNIT * max(abs(float(place)), 1.5))


HALVES = {"large": 300.0, "huge": 3000.0, "tiny": 3e-3}
"""Input sizes whose squares leave float16's range (65,504) or its resolution (6e-8), while they themselves do not."""


def half_precision_norm(scenarios: Scenarios) -> Iterator[Finding]:
    """A layer norm in float16 has the output of one in float64, to float16's rounding."""
    rng = np.random.default_rng(9)
    for name, size in HALVES.items():
        x = (size * rng.standard_normal((4, 64))).astype(np.float16).astype(np.float64)
        seen = scenarios("normalized", x=x, precision="float16")
        true = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
        unit = float(np.finfo(np.float16).eps) / 2
        yield Finding(
            Place(scope=name),
            float(np.linalg.norm(seen - true) / np.linalg.norm(true)),
            0.0,
            ROUNDING_MULTIPLE * unit,
            f"standard deviation {seen.std():.3g} for {true.std():.3g}",
        )


def confidently_wrong(scenarios: Scenarios) -> Iterator[Finding]:
    """Cross-entropy of probabilities trains like cross-entropy of logits, on confidently wrong samples too."""
    for gap in (1.0, 10.0, 30.0):
        begin = start("optimizer=sgd,lr=0.1", steps=1)
        weights = begin.weights | {graph(begin.spec).dense[-1].bias: np.array([gap, 0, 0, 0], np.float32)}
        wrong = Start(begin.spec, weights, begin.xs, np.ones_like(begin.labels))
        logits, probabilities = (scenarios("confident", **wrong.one(), of=of) for of in ("logits", "probabilities"))
        # The gap costs no digits: with p the softmax, ∂L/∂z = p · (g + 1) for g = −1/p at the label and 0 elsewhere, each off by a few
        # roundings of itself, however small p is.
        yield from same(f"logit gap {gap:g}", probabilities, logits, wrong.rounding(scenarios.conventions))


EXTREMES = {"none": (1e-20, 1e-5, 1e30), "global": (1e-20, 1e-5, 1e30), "variable": (1e30,), "value": (1e30, np.inf)}
"""By way of clipping, the sizes of gradients that weights are given."""
OVERFLOWING = float(np.finfo(np.float32).max) ** 0.5
"""The gradient whose square leaves float32's range."""
STEP_ROUNDINGS = 8
"""How often a step on four equal gradients, clipped by their norm, rounds at most: the square (1) and three sums (3), halved by the root
(2), the root itself, PyTorch's 1e-6 added to the norm, the factor (a quotient, and one more where it goes through 1 / norm: 2), its
product with the gradient, and that with the rate."""


def extreme_gradients(scenarios: Scenarios) -> Iterator[Finding]:
    """Gradients of any size move weights by the rule, or not at all where a square overflows; clipping lets no infinite one through.

    Finite gradients never leave NaN behind. What a norm makes of an infinite one is the framework's choice, NaN included, which is seen.
    """
    rate = 0.5
    for clip, sizes in EXTREMES.items():
        for size in sizes:
            gradient = np.full((2, 2), size, np.float32)
            clipped = CLIPS[clip].rule({"": gradient.astype(np.float64)}, 1.0, scenarios.conventions)[""]
            right = [-rate * clipped]
            if clip in ("global", "variable") and size > OVERFLOWING:
                right.append(np.zeros((2, 2)))  # a norm of infinity makes the factor 0
            new = _stepped(scenarios, clip, gradient, rate)
            apart = np.min([np.linalg.norm(new - each) for each in right]) / np.linalg.norm(right[0])
            note = f"{new[0, 0]:.3g} for {right[0][0, 0]:.3g}"
            yield Finding(Place(f"gradient {size:g}", scope=f"clip={clip}"), float(apart), 0.0, STEP_ROUNDINGS * UNIT, note)
    for clip in ("global", "variable"):
        new = _stepped(scenarios, clip, np.array([[1.0, 0.5], [np.inf, 0.5]], np.float32), rate)
        longest = float(np.abs(new[~np.isnan(new)]).max(initial=0.0))
        yield Finding(
            Place("one gradient inf", scope=f"clip={clip}"), longest, 0.0, rate * (1 + STEP_ROUNDINGS * UNIT), "longer than the threshold"
        )


def _stepped(scenarios: Scenarios, clip: str, gradient: Array, rate: float) -> Array:
    """Where weights of zero are after a step on this gradient, clipped at 1."""
    given = {"weights": {"dense1.weight": np.zeros((2, 2), np.float32)}, "gradients": {"dense1.weight": gradient}}
    return scenarios("apply", spec=f"optimizer=sgd,lr={rate:g},clip={clip},clip_at=1", **given)["weights"]["dense1.weight"].astype(
        np.float64
    )
