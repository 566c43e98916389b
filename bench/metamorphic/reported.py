"""What a framework reports, recomputed from the weights it had; penalties, constraints, counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from scipy.linalg import qr

from bench.evidence.reference import ROUNDINGS
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.tolerance import ROUNDING_MULTIPLE
from bench.metamorphic.scenarios import UNIT, Fitted, Scenarios, Start, close, measured, same, start
from models.arrays import Array, Arrays, Batch, Labels
from models.reference.network import Reference
from models.spec import Spec

UNEVEN, BATCH, EPOCHS = 22, 8, 2
"""Samples and batch size whose last batch is smaller (8, 8, 6), and how often fit shows them."""
LONGEST = 0.5
"""The norm that the scenario `constrained` allows."""


@dataclass(frozen=True)
class Recomputed:
    """Loss and accuracy as they should be, what float32 may be off in the loss, and over how many samples."""

    loss: float
    accuracy: float
    rounding: float
    samples: int


def recomputed(spec: Spec, weights: Arrays, x: Batch, labels: Labels) -> Recomputed:
    """Loss and accuracy of a batch, from the weights, in float64."""
    loss, rounding = measured(lambda dtype, order: Reference(spec, weights, dtype, order).run(x, labels).loss)
    accuracy = (Reference(spec, weights).forward(x).logits.argmax(1) == labels).mean()
    return Recomputed(float(loss), float(accuracy), float(rounding), len(labels))


def averaged(batches: list[Recomputed]) -> Recomputed:
    """The mean over the samples of some batches, whose roundings may add up."""
    samples = sum(batch.samples for batch in batches)
    loss, accuracy, rounding = (
        sum(getattr(batch, name) * batch.samples for batch in batches) / samples for name in ("loss", "accuracy", "rounding")
    )
    return Recomputed(loss, accuracy, rounding, samples)


def reported_train_on_batch(scenarios: Scenarios) -> Iterator[Finding]:
    """The loss and metric that train_on_batch returns are this batch's, before the step."""
    begin = start("optimizer=sgd,lr=0.5")
    seen = scenarios("on_batches", **begin.given)
    for step, (x, labels, weights, reported) in enumerate(zip(begin.xs, begin.labels, seen["before"], seen["train"], strict=True)):
        yield from _both(f"step {step}", reported, recomputed(begin.spec, weights, x, labels))


def reported_test_on_batch(scenarios: Scenarios) -> Iterator[Finding]:
    """The loss and metric that test_on_batch returns are this batch's."""
    begin = start("optimizer=sgd,lr=0.5")
    seen = scenarios("on_batches", **begin.given)
    for number, (x, labels, reported) in enumerate(zip(begin.xs, begin.labels, seen["test"], strict=True)):
        yield from _both(f"batch {number}", reported, recomputed(begin.spec, seen["after"], x, labels))


def reported_fit(scenarios: Scenarios) -> Iterator[Finding]:
    """The loss and metric that fit reports are the mean over samples, each at the weights it met, the uneven last batch included."""
    begin, seen = _fitted(scenarios)
    x, labels = begin.one()["x"], begin.one()["labels"]
    places = _places(BATCH)
    yield Finding(Place("batches seen"), len(seen["visited"]), EPOCHS * len(places), EPOCHS * len(places))
    if len(seen["visited"]) != EPOCHS * len(places):
        return  # which weights an epoch's loss belongs to is not known then
    for epoch in range(EPOCHS):
        visited = seen["visited"][epoch * len(places) : (epoch + 1) * len(places)]
        expected = averaged([recomputed(begin.spec, w, x[p], labels[p]) for w, p in zip(visited, places, strict=True)])
        yield from _both(f"epoch {epoch}", (seen["loss"][epoch], seen["accuracy"][epoch]), expected)


def reported_evaluate(scenarios: Scenarios) -> Iterator[Finding]:
    """What evaluate reports is the sample mean at the final weights, and predict returns every sample once."""
    begin, seen = _fitted(scenarios)
    x, labels = begin.one()["x"], begin.one()["labels"]
    yield from _both("evaluate", seen["evaluated"], recomputed(begin.spec, seen["weights"], x, labels))
    exact, rounding = measured(lambda dtype, order: Reference(begin.spec, seen["weights"], dtype, order).forward(x).logits)
    yield Finding(Place("samples predicted"), len(seen["predicted"]), UNEVEN, UNEVEN)
    if seen["predicted"].shape == exact.shape:
        apart, size = (float(np.linalg.norm(each)) for each in (seen["predicted"] - exact, exact))
        yield Finding(Place("predict"), apart / size, 0.0, ROUNDING_MULTIPLE * float(np.linalg.norm(rounding)) / size)


def iterations(scenarios: Scenarios) -> Iterator[Finding]:
    """The optimizer counts one iteration per batch, uneven last ones included."""
    _, seen = _fitted(scenarios)
    expected = EPOCHS * len(_places(BATCH))
    yield Finding(Place("two epochs"), seen["iterations"], expected, expected)


def steps_per_execution(scenarios: Scenarios) -> Iterator[Finding]:
    """Several steps per execution train, count and report like one, remainder included."""
    begin = start(f"optimizer=momentum,batch={UNEVEN}", steps=1)
    one, several = (scenarios.fit(begin, batch=4, epochs=EPOCHS, executions=n) for n in (1, 4))
    batches = [(begin.xs[0][place], begin.labels[0][place]) for place in _places(4)] * EPOCHS
    fitted = Start(begin.spec, begin.weights, *map(list, zip(*batches, strict=True)))
    yield from same("weights", several["weights"], one["weights"], fitted.rounding(scenarios.conventions))
    yield Finding(Place("iterations"), several["iterations"], one["iterations"], one["iterations"])
    _, rounding = measured(lambda dtype, order: _losses(fitted, begin, scenarios.conventions, dtype, order))
    for epoch in range(EPOCHS):
        yield close(Place("loss", scope=f"epoch {epoch}"), several["loss"][epoch], one["loss"][epoch], rounding[epoch])
        yield close(
            Place("accuracy", scope=f"epoch {epoch}"), several["accuracy"][epoch], one["accuracy"][epoch], UNIT * one["accuracy"][epoch]
        )
    yield close(Place("loss", scope="evaluate"), several["evaluated"][0], one["evaluated"][0], rounding[-1])
    yield close(Place("accuracy", scope="evaluate"), several["evaluated"][1], one["evaluated"][1], UNIT * one["evaluated"][1])


def _losses(fitted: Start, begin: Start, conventions: str, dtype: DTypeLike, order: int | None) -> ArrayLike:
    """The reference's loss of every epoch of `fitted`, and of the whole of `begin` after it."""
    visited = fitted.visited(conventions, dtype, order)
    met = zip(visited[:-1], fitted.xs, fitted.labels, strict=True)
    seen = [Reference(begin.spec, w, dtype, order).run(x, labels).loss * len(labels) for w, x, labels in met]
    final = Reference(begin.spec, visited[-1], dtype, order).run(begin.xs[0], begin.labels[0]).loss
    return [*np.reshape(seen, (EPOCHS, -1)).sum(1) / UNEVEN, final]


def loader(scenarios: Scenarios) -> Iterator[Finding]:
    """A loader shows every sample once, the uneven last batch included, and says how many batches there are."""
    begin = start(f"batch={UNEVEN}", steps=1)
    seen = scenarios("loaded", **begin.one(), batch=BATCH)
    places = _places(BATCH)
    for name, expected in (("samples", UNEVEN), ("batches", len(places)), ("announced", len(places))):
        yield Finding(Place(name), seen[name], expected, expected)
    whole = averaged([recomputed(begin.spec, begin.weights, begin.xs[0][place], begin.labels[0][place]) for place in places])
    yield close(Place("mean loss"), seen["loss"], whole.loss, whole.rounding)


def penalty_once(scenarios: Scenarios) -> Iterator[Finding]:
    """A penalty enters loss and step exactly once, whatever the batch size."""
    factor, rate = 0.05, 0.1
    begin = start(f"optimizer=sgd,lr={rate},batch=50", steps=1)
    kernels = {key: np.asarray(w, np.float64) for key, w in begin.weights.items() if key.endswith(".weight")}
    for batch in (5, 50):
        given = begin.one(batch)
        plain, seen = (scenarios("penalized", **given, kind=kind, factor=factor) for kind in ("none", "kernel"))
        loss = recomputed(begin.spec, begin.weights, given["x"], given["labels"])
        if scenarios.conventions == "torch":  # its penalty is the optimizer's, which no loss sees
            yield close(Place("decay in the loss", scope=f"batch {batch}"), seen["loss"], plain["loss"], loss.rounding)
        else:
            active = scenarios("penalized", **given, kind="activity", factor=factor)
            penalties = measured(partial(_penalty, begin, factor)), measured(partial(_activity, begin, given["x"], factor))
            for kind, penalized, (penalty, rounding) in zip(("kernel", "activity"), (seen, active), penalties, strict=True):
                # Two losses are told apart: the one without, and the one with the penalty, whose sum is rounded once more.
                off = 2 * loss.rounding + float(rounding) + UNIT * (loss.loss + float(penalty))
                yield close(
                    Place(f"{kind} penalty in the loss", scope=f"batch {batch}"), penalized["loss"] - plain["loss"], float(penalty), off
                )
        for key in (key for key in begin.weights if key not in kernels):
            bias = plain["weights"][key]
            apart, size = (float(np.linalg.norm(each)) for each in (seen["weights"][key] - bias, bias))
            yield Finding(Place.of(key, "without penalty", scope=f"batch {batch}"), apart / size, 0.0, ROUNDING_MULTIPLE * UNIT)
        for key, w in kernels.items():
            entered = (plain["weights"][key] - seen["weights"][key]) / (rate * 2 * factor)
            size = float(np.linalg.norm(w))
            stored = np.linalg.norm(begin.weights[key]) * UNIT / (rate * 2 * factor)
            yield Finding(
                Place.of(key, scope=f"batch {batch}"),
                float(np.linalg.norm(entered - w)) / size,
                0.0,
                ROUNDING_MULTIPLE * float(stored) / size,
            )


def _penalty(begin: Start, factor: float, dtype: DTypeLike, order: int | None) -> ArrayLike:
    """factor · Σ‖W‖², summed in `dtype`."""
    return factor * _squares([np.asarray(w, dtype) for key, w in begin.weights.items() if key.endswith(".weight")], order)


def _activity(begin: Start, x: Batch, factor: float, dtype: DTypeLike, order: int | None) -> ArrayLike:
    """factor · Σ‖z‖² over what the weight layers output, per sample, summed in `dtype`."""
    return factor * _squares(list(Reference(begin.spec, begin.weights, dtype, order).forward(x).pre_activations.values()), order) / len(x)


def _squares(arrays: list[Array], order: int | None) -> float:
    """Σ‖array‖² in the arrays' own precision, each summed in an order of its own."""
    rng = np.random.default_rng(order)
    return sum(np.square(rng.permutation(np.ravel(each))).sum() for each in arrays)


def constraints(scenarios: Scenarios) -> Iterator[Finding]:
    """A constraint holds after every step."""
    begin = start("optimizer=sgd,lr=1.0")
    for kind in ("orthogonal",) if scenarios.conventions == "torch" else ("max_norm", "non_neg", "unit_norm"):
        for step, weights in enumerate(scenarios("constrained", **begin.given, kind=kind)):
            for key in (key for key in weights if key.endswith(".weight")):
                w = np.asarray(weights[key], np.float64)
                yield Finding(Place.of(key, step=step, scope=kind), _violation(kind, w), 0.0, ROUNDING_MULTIPLE * _stored(kind, w))


def _violation(kind: str, w: Array) -> float:
    """How far w (fan-out × fan-in) is from its constraint."""
    if kind == "orthogonal":
        short = w if len(w) <= w.shape[1] else w.T
        return float(abs(short @ short.T - np.eye(len(short))).max())
    norms = np.linalg.norm(w, axis=1)
    beyond = {"max_norm": norms - LONGEST, "non_neg": -w, "unit_norm": abs(norms - 1)}[kind]
    return float(np.maximum(beyond, 0.0).max())


def _stored(kind: str, w: Array) -> float:
    """What float32 may be off from a constraint: setting negative weights to 0 is exact, scaling to a norm ends in one rounding of it.

    An orthogonal matrix is a product of reflections; SciPy makes such products of its own in float32, and shows their rms violation.
    """
    if kind == "orthogonal":
        drawn = [np.random.default_rng(draw).standard_normal(sorted(w.shape)[::-1]).astype(np.float32) for draw in range(ROUNDINGS)]
        made = [qr(each, mode="economic")[0] for each in drawn]
        return float(np.sqrt(np.mean([_violation(kind, each.astype(np.float64)) ** 2 for each in made])))
    return {"max_norm": UNIT * LONGEST, "non_neg": 0.0, "unit_norm": UNIT}[kind]


def _fitted(scenarios: Scenarios) -> tuple[Start, Fitted]:
    begin = start(f"optimizer=sgd,lr=0.5,batch={UNEVEN}", steps=1)
    return begin, scenarios.fit(begin, batch=BATCH, epochs=EPOCHS)


def _places(batch: int) -> list[slice]:
    """Where the batches of an epoch stand."""
    return [slice(first, first + batch) for first in range(0, UNEVEN, batch)]


def _both(where: str, reported: Sequence[float], expected: Recomputed) -> Iterator[Finding]:
    yield close(Place("loss", scope=where), reported[0], expected.loss, expected.rounding)
    # Right answers are whole numbers, which float32 adds exactly: their quotient alone is rounded.
    yield close(Place("accuracy", scope=where), reported[1], expected.accuracy, UNIT * expected.accuracy)
