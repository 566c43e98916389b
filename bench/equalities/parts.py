"""Single parts: what stays frozen, what a seed reproduces, what is refused, what extreme numbers do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.equalities.roads import Roads, same, start
from bench.judge import Finding
from bench.tolerance import BAND_Z, ROUNDING_MULTIPLE

SEEDS = [0, 1, 123456789]
FRESH = "fresh"
"""Backends of this suffix are asked in a process of their own."""


def frozen(roads: Roads) -> Iterator[Finding]:
    """What is frozen before it is built stays where it is, as does what is frozen after, running statistics included; the rest moves."""
    begin = start("norm=batch,optimizer=momentum,lr=0.05")
    seen = {when: roads("freeze", **begin.given, layers=[1], when=when) for when in ("before", "after")}
    for when, done in seen.items():
        for key, value in done["after"].items():
            moved = float(abs(value - done["before"][key]).max())
            if key.startswith("1."):
                yield Finding(f"frozen {when}: {key}", moved, 0.0, 0.0, "moved although frozen")
            elif not key.endswith(".bias"):  # a bias before batch normalization has no gradient
                yield Finding(f"frozen {when}: {key} trains", float(moved == 0), 0.0, 0.0, "did not move although it trains")
    moving = begin.rounding(roads.dialect)
    after = [{key: done["after"][key] for key in moving} for done in (seen["after"], seen["before"])]
    yield from same("frozen after against before", after[0], after[1], moving)


def seeds(roads: Roads) -> Iterator[Finding]:
    """A seed, 0 included, gives the same numbers in two fresh processes, and another seed gives others."""
    first, second = roads("seeded", seeds=SEEDS, process=0), roads("seeded", seeds=SEEDS, process=1)
    if set(first) != set(second):
        raise AssertionError(f"{sorted(set(first) ^ set(second))} are missing")
    for name, drawn in first.items():
        for kind, value in drawn.items():
            yield Finding(f"{name} {kind}", float(abs(np.asarray(value, float) - second[name][kind]).max()), 0.0, 0.0, "not reproduced")
    for owner in ("global", "own"):
        for kind in first[f"{owner} seed 0"]:
            alike = float(
                sum(np.array_equal(first[f"{owner} seed {a}"][kind], first[f"{owner} seed {b}"][kind]) for a, b in ((0, 1), (0, SEEDS[2])))
            )
            yield Finding(f"{owner} seeds differ in {kind}", alike, 0.0, 0.0, "another seed gave the same numbers")


def initializer_shared(roads: Roads) -> Iterator[Finding]:
    """Two layers that share an initializer object, unseeded or with a generator that goes on, get weights of their own."""
    for source in ("unseeded", "generator"):
        one, two = roads("initializer_shared", shape=[48, 32], source=source)
        correlation = float(np.corrcoef(np.ravel(one), np.ravel(two))[0, 1])
        yield Finding(f"{source}: correlation", abs(correlation), 0.0, BAND_Z / np.size(one) ** 0.5)


def early_stopping_again(roads: Roads) -> Iterator[Finding]:
    """An EarlyStopping object that has seen one training treats the next one alike."""
    begin = start("optimizer=sgd,lr=0.01", steps=1)
    first, second = roads("stopped_early", **begin.one(), epochs=12, patience=2)
    yield Finding("epochs of the first fit", first, 12, 12, "stopped although the loss falls")
    yield Finding("epochs of the second fit", second, first, first)


def refused(roads: Roads) -> Iterator[Finding]:
    """Options that exclude each other are refused, or their dropping is told; each alone is taken."""
    for name, outcome in roads("refusals").items():
        lonely = name.endswith("alone") or name == "nesterov with momentum"
        yield Finding(name, float(outcome != "taken"), float(not lonely), float(not lonely), outcome)


HALVES = {"large": 300.0, "huge": 3000.0, "tiny": 3e-3}
"""Input sizes whose squares leave float16's range (65,504) or its resolution (6e-8), while they themselves do not."""


def half_precision_norm(roads: Roads) -> Iterator[Finding]:
    """A layer norm in float16 has the output of one in float64, to float16's rounding."""
    rng = np.random.default_rng(9)
    for name, size in HALVES.items():
        x = (size * rng.standard_normal((4, 64))).astype(np.float16).astype(np.float64)
        seen = roads("normalized", x=x, precision="float16")
        true = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
        unit = float(np.finfo(np.float16).eps) / 2
        yield Finding(
            name,
            float(np.linalg.norm(seen - true) / np.linalg.norm(true)),
            0.0,
            ROUNDING_MULTIPLE * unit,
            f"standard deviation {seen.std():.3g} for {true.std():.3g}",
        )


def confidently_wrong(roads: Roads) -> Iterator[Finding]:
    """Cross-entropy of probabilities trains like cross-entropy of logits, on confidently wrong samples too."""
    for gap in (1.0, 10.0, 30.0):
        begin = start("optimizer=sgd,lr=0.1", steps=1)
        weights = begin.weights | {f"{begin.spec.depth}.bias": np.array([gap, 0, 0, 0], np.float32)}
        given = begin.one() | {"weights": weights, "labels": np.ones_like(begin.labels[0])}
        logits, probabilities = (roads("confident", **given, of=of) for of in ("logits", "probabilities"))
        rounding = {key: value * np.exp(min(gap, 10.0)) if gap < 30 else value for key, value in begin.rounding(roads.dialect).items()}
        yield from same(f"logit gap {gap:g}", probabilities, logits, rounding)


EXTREME: dict[tuple[str, float], dict[str, str]] = {
    ("none", 1e-20): {"torch": "moved", "keras": "moved"},
    ("none", 1e-5): {"torch": "moved", "keras": "moved"},
    ("none", 1e30): {"torch": "moved", "keras": "moved"},
    ("global", 1e-20): {"torch": "moved", "keras": "moved"},
    ("global", 1e-5): {"torch": "moved", "keras": "moved"},
    ("global", 1e30): {"torch": "kept", "keras": "NaN"},
    ("variable", 1e30): {"torch": "kept", "keras": "kept"},
    ("value", 1e30): {"torch": "moved", "keras": "moved"},
}
"""What a step does to weights of zero whose gradients are all of one size, and clipped at 1: it moves them by the rule, leaves them
where they are (PyTorch's norm overflows, so its factor is 0) or makes them NaN. Source: the two frameworks' clipping code."""


def extreme_gradients(roads: Roads) -> Iterator[Finding]:
    """Gradients of 1e-20, 1e-5 and 1e30 do to weights what is written down for this framework."""
    weights = {"1.weight": np.zeros((2, 2), np.float32)}
    for (clip, size), expected in EXTREME.items():
        gradients = {"1.weight": np.full((2, 2), size, np.float32)}
        new = roads("apply", spec=f"optimizer=sgd,lr=0.5,clip={clip}", weights=weights, gradients=gradients)["weights"]["1.weight"]
        outcome = "NaN" if np.isnan(new).any() else "moved" if np.any(new != 0) else "kept"
        yield Finding(
            f"clip={clip} gradient {size:g}",
            float(outcome == expected[roads.dialect]),
            1.0,
            1.0,
            f"{outcome} for {expected[roads.dialect]}",
        )
        if expected[roads.dialect] == "moved":
            length = {"none": 2 * size, "value": 2 * min(size, 1.0)}.get(clip, min(2 * size, 1.0))
            moved: Any = np.linalg.norm(new.astype(np.float64)) / (0.5 * length)
            yield Finding(f"clip={clip} gradient {size:g} length", float(moved), 1 - _slack(clip, size, roads.dialect), 1 + 1e-6)


def _slack(clip: str, size: float, dialect: str) -> float:
    """How much shorter a step may be: PyTorch divides by (norm + 1e-6) only when the norm exceeds the threshold less 1e-6."""
    return 1e-6
