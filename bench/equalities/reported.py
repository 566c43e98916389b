"""What a framework reports, recomputed from the weights it had; penalties, constraints, counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.equalities.roads import UNIT, Roads, Start, close, same, start
from bench.judge import Finding
from bench.tolerance import ROUNDING_MULTIPLE
from models.on_numpy import Reference
from models.spec import Spec

ROUNDED_LOSS = 10 * UNIT
"""What a loss near 1 is off when summed in float32 over some dozen samples: a few units of rounding."""
UNEVEN, BATCH = 22, 8
"""Samples and batch size whose last batch is smaller: 8, 8, 6."""


def recomputed(spec: Spec, weights: Any, x: Any, labels: Any) -> tuple[float, float]:
    """Loss and accuracy of a batch, from the weights, in float64."""
    seen = Reference(spec, weights).run(x, labels)
    return float(seen.loss), float((seen.logits.argmax(1) == labels).mean())


def reported_train_on_batch(roads: Roads) -> Iterator[Finding]:
    """The loss and metric that train_on_batch returns are this batch's, before the step."""
    begin = start("optimizer=sgd,lr=0.5")
    seen = roads("on_batches", **begin.given)
    for step, (x, labels, weights, reported) in enumerate(zip(begin.xs, begin.labels, seen["before"], seen["train"], strict=True)):
        yield from _both(f"step {step}", reported, recomputed(begin.spec, weights, x, labels))


def reported_test_on_batch(roads: Roads) -> Iterator[Finding]:
    """The loss and metric that test_on_batch returns are this batch's."""
    begin = start("optimizer=sgd,lr=0.5")
    seen = roads("on_batches", **begin.given)
    for number, (x, labels, reported) in enumerate(zip(begin.xs, begin.labels, seen["test"], strict=True)):
        yield from _both(f"batch {number}", reported, recomputed(begin.spec, seen["after"], x, labels))


def reported_fit(roads: Roads) -> Iterator[Finding]:
    """The loss and metric that fit reports are the mean over samples, each at the weights it met, the uneven last batch included."""
    begin, seen = _fitted(roads)
    x, labels = begin.one()["x"], begin.one()["labels"]
    places = [slice(first, first + BATCH) for first in range(0, UNEVEN, BATCH)]
    yield Finding("batches seen", len(seen["visited"]), 2 * len(places), 2 * len(places))
    for epoch in range(2):
        visited = seen["visited"][epoch * len(places) : (epoch + 1) * len(places)]
        each = [(*recomputed(begin.spec, w, x[p], labels[p]), len(labels[p])) for w, p in zip(visited, places, strict=True)]
        expected = [sum(row[i] * row[2] for row in each) / UNEVEN for i in (0, 1)]
        yield from _both(f"epoch {epoch}", (seen["loss"][epoch], seen["accuracy"][epoch]), expected)


def reported_evaluate(roads: Roads) -> Iterator[Finding]:
    """What evaluate reports is the sample mean at the final weights, and predict returns every sample once."""
    begin, seen = _fitted(roads)
    x, labels = begin.one()["x"], begin.one()["labels"]
    yield from _both("evaluate", seen["evaluated"], recomputed(begin.spec, seen["weights"], x, labels))
    exact = Reference(begin.spec, seen["weights"]).forward(x).logits
    if seen["predicted"].shape != exact.shape:
        raise AssertionError(f"predict returned {len(seen['predicted'])} of {len(exact)} samples")
    apart = float(np.linalg.norm(seen["predicted"] - exact) / np.linalg.norm(exact))
    yield Finding("predict", apart, 0.0, ROUNDING_MULTIPLE * ROUNDED_LOSS)


def iterations(roads: Roads) -> Iterator[Finding]:
    """The optimizer counts one iteration per batch, uneven last ones included."""
    _, seen = _fitted(roads)
    expected = 2 * -(-UNEVEN // BATCH)
    yield Finding("two epochs", seen["iterations"], expected, expected)


def steps_per_execution(roads: Roads) -> Iterator[Finding]:
    """Several steps per execution train, count and report like one, remainder included."""
    begin = start(f"optimizer=momentum,batch={UNEVEN}", steps=1)
    one, several = (roads("fit", **begin.one(), batch=4, epochs=2, executions=n) for n in (1, 4))
    sequence = Start(begin.spec, begin.weights, begin.xs, begin.labels)
    yield from same("weights", several["weights"], one["weights"], {k: 12 * v for k, v in sequence.rounding("keras").items()})
    yield Finding("iterations", several["iterations"], one["iterations"], one["iterations"])
    for name in ("loss", "accuracy", "evaluated"):
        for number, (a, b) in enumerate(zip(several[name], one[name], strict=True)):
            yield close(f"{name} {number}", a, b, ROUNDED_LOSS)


def loader(roads: Roads) -> Iterator[Finding]:
    """A loader shows every sample once, the uneven last batch included, and says how many batches there are."""
    begin = start(f"batch={UNEVEN}", steps=1)
    seen = roads("loaded", **begin.one(), batch=BATCH)
    for name, expected in (("samples", UNEVEN), ("batches", -(-UNEVEN // BATCH)), ("announced", -(-UNEVEN // BATCH))):
        yield Finding(name, seen[name], expected, expected)
    yield close("mean loss", seen["loss"], recomputed(begin.spec, begin.weights, *_batch(begin))[0], ROUNDED_LOSS)


def penalty_once(roads: Roads) -> Iterator[Finding]:
    """A penalty enters loss and step exactly once, whatever the batch size."""
    factor, rate = 0.05, 0.1
    begin = start(f"optimizer=sgd,lr={rate},batch=50", steps=1)
    kernels = {key: np.asarray(w, np.float64) for key, w in begin.weights.items() if key.endswith(".weight")}
    for batch in (5, 50):
        given = begin.one(batch)
        plain, seen = (roads("penalized", **given, kind=kind, factor=factor) for kind in ("none", "kernel"))
        rounding = float(sum(np.square(w).sum() for w in kernels.values())) * factor * ROUNDED_LOSS + ROUNDED_LOSS
        if roads.dialect == "keras":
            expected = factor * sum(float(np.square(w).sum()) for w in kernels.values())
            yield close(f"batch {batch} kernel penalty in the loss", seen["loss"] - plain["loss"], expected, rounding)
            active = roads("penalized", **given, kind="activity", factor=factor)
            signals = Reference(begin.spec, begin.weights).forward(given["x"]).signals.values()
            expected = factor * sum(float(np.square(z).sum()) for z in signals) / batch
            yield close(f"batch {batch} activity penalty in the loss", active["loss"] - plain["loss"], expected, expected * ROUNDED_LOSS)
        for key, w in kernels.items():
            entered = (plain["weights"][key] - seen["weights"][key]) / (rate * 2 * factor)
            size = float(np.linalg.norm(w))
            stored = np.linalg.norm(begin.weights[key]) * UNIT / (rate * 2 * factor)
            yield Finding(f"batch {batch} {key}", float(np.linalg.norm(entered - w)) / size, 0.0, ROUNDING_MULTIPLE * float(stored) / size)


def constraints(roads: Roads) -> Iterator[Finding]:
    """A constraint holds after every step."""
    begin = start("optimizer=sgd,lr=1.0")
    for kind in ("orthogonal",) if roads.dialect == "torch" else ("max_norm", "non_neg", "unit_norm"):
        for step, weights in enumerate(roads("constrained", **begin.given, kind=kind)):
            for key in (key for key in weights if key.endswith(".weight")):
                yield Finding(
                    f"{kind} step {step} {key}", _violation(kind, np.asarray(weights[key], np.float64)), 0.0, 2 * ROUNDING_MULTIPLE * UNIT
                )


def _violation(kind: str, w: Any) -> float:
    """How far w (fan-out × fan-in) is from its constraint."""
    norms = np.linalg.norm(w, axis=1)
    if kind == "orthogonal":
        short = w if len(w) <= w.shape[1] else w.T
        return float(abs(short @ short.T - np.eye(len(short))).max())
    return {"max_norm": float(max(0.0, norms.max() - 0.5)), "non_neg": float(max(0.0, -w.min())), "unit_norm": float(abs(norms - 1).max())}[
        kind
    ]


def _fitted(roads: Roads) -> tuple[Start, Any]:
    begin = start(f"optimizer=sgd,lr=0.5,batch={UNEVEN}", steps=1)
    return begin, roads("fit", **begin.one(), batch=BATCH, epochs=2)


def _batch(begin: Start) -> tuple[Any, Any]:
    return begin.xs[0], begin.labels[0]


def _both(where: str, reported: Any, expected: Any) -> Iterator[Finding]:
    yield close(f"{where} loss", reported[0], expected[0], ROUNDED_LOSS * max(1.0, expected[0]))
    yield close(f"{where} accuracy", reported[1], expected[1], ROUNDED_LOSS)
