"""One training in several scenarios: micro-batches, execution modes, implementations, scaling, averages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.tolerance import ROUNDING_MULTIPLE
from bench.metamorphic.scenarios import UNIT, Scenarios, Start, same, start
from models.architectures.reversible import RECOMPUTED
from models.arrays import Arrays
from models.reference.reversible import TakenBack

PARTS = 4
REFERENCE = "single"
"""The implementation of an optimizer that takes one tensor after the other, as its rule is written."""
SCHEDULE = 0.5
"""Factor on the learning rate after every update: strong, so that an update too many shows."""
AVERAGE = 0.8
"""Weight of the old in an average of weights."""


def micro_batches(scenarios: Scenarios) -> Iterator[Finding]:
    """One batch of n samples trains like k accumulated micro-batches of n/k, with clipping, momentum, Adam and weight decay."""
    for changes in ("optimizer=adamw,decay=0.1,clip=global,clip_at=0.1", "optimizer=momentum,clip=value,clip_at=0.02"):
        begin = start(changes)
        whole, parts = (scenarios.train(begin, parts=k)["weights"] for k in (1, PARTS))
        yield from same(f"{begin.spec.optimizer} with clip={begin.spec.clip}", parts, whole, begin.rounding(scenarios.conventions))


def micro_batches_schedule(scenarios: Scenarios) -> Iterator[Finding]:
    """A learning-rate schedule advances once per update, as if its rates were set by hand, and not once per micro-batch."""
    begin = start("optimizer=adam,lr=0.02")
    rounding = begin.rounding(scenarios.conventions)
    whole, parts = (scenarios.train(begin, parts=k, schedule=SCHEDULE)["weights"] for k in (1, PARTS))
    by_hand = scenarios.train(begin, schedule=SCHEDULE, by_hand=True)["weights"]
    yield from same("whole batches", whole, by_hand, rounding)
    yield from same("micro-batches", parts, whole, rounding)


def micro_batches_average(scenarios: Scenarios) -> Iterator[Finding]:
    """An average of weights advances once per update, by its rule, and not once per micro-batch."""
    begin = start("optimizer=adam,lr=0.02")
    rounding = begin.rounding(scenarios.conventions)
    whole, parts = (scenarios.train(begin, average=AVERAGE, **given) for given in ({}, {"parts": PARTS}))
    yield from same("whole batches", whole["average"], _averaged(whole["visited"], scenarios.conventions), rounding)
    yield from same("micro-batches", parts["average"], whole["average"], rounding)


def _averaged(visited: list[Arrays], conventions: str) -> Arrays:
    """The average's rule in float64; PyTorch's copies the weights it is made of, Keras's those after the first update."""
    first = 1 if conventions == "keras" else 0
    average = {key: np.asarray(value, np.float64) for key, value in visited[first].items()}
    for weights in visited[first + 1 :]:
        average = {key: AVERAGE * value + (1 - AVERAGE) * weights[key] for key, value in average.items()}
    return average


def duplicated_batch(scenarios: Scenarios) -> Iterator[Finding]:
    """A batch in which every sample stands twice trains like the batch itself, whose loss is a mean."""
    for changes in ("optimizer=momentum", "optimizer=adam,norm=layer"):
        begin = start(changes)
        twice = Start(begin.spec, begin.weights, np.concatenate([begin.xs] * 2, 1), np.concatenate([begin.labels] * 2, 1))
        once, doubled = scenarios.train(begin)["weights"], scenarios.train(twice)["weights"]
        yield from same(f"{begin.spec.optimizer} with norm={begin.spec.arch.norm}", doubled, once, begin.rounding(scenarios.conventions))


def modes(scenarios: Scenarios) -> Iterator[Finding]:
    """Eager, compiled and XLA-compiled steps train alike."""
    yield from _modes(scenarios, ("plain", "auto", "jit"))


def function_in_function(scenarios: Scenarios) -> Iterator[Finding]:
    """A model whose call is a tf.function answers alike alone and inside another one, compiled by XLA or not, whenever it is built."""
    rng = np.random.default_rng(4)
    x, kernel = rng.standard_normal((4, 8)).astype(np.float32), rng.standard_normal((8, 16)).astype(np.float32)
    exact = x.astype(np.float64) @ kernel
    for built in ("before", "at the first call"):
        for inside, seen in scenarios("called", x=x, kernel=kernel, built_before=built == "before").items():
            apart = float(np.linalg.norm(seen - exact) / np.linalg.norm(exact))
            yield Finding(Place(inside, scope=f"built {built}:"), apart, 0.0, ROUNDING_MULTIPLE * UNIT)


def recomputed(scenarios: Scenarios) -> Iterator[Finding]:
    """A reversible network whose activations are computed again from its output trains like one that keeps them.

    What one training may be off is the reference's error where it, too, computes them again: it rounds once more a layer.
    """
    for dynamics in ("reversible", "hamiltonian"):
        begin = start(f"ode,dynamics={dynamics},depth=8,step=0.5,optimizer=sgd,lr=0.5")  # a step of which a fault in a gradient shows
        kept, again = (scenarios.train(begin, **mode)["weights"] for mode in ({}, {"mode": RECOMPUTED}))
        yield from same(dynamics, again, kept, begin.rounding(scenarios.conventions, TakenBack))


def torch_compile(scenarios: Scenarios) -> Iterator[Finding]:
    """A step under torch.compile trains like an eager one."""
    yield from _modes(scenarios, ("compile",))


def _modes(scenarios: Scenarios, others: tuple[str, ...]) -> Iterator[Finding]:
    begin = start("norm=batch,optimizer=momentum,lr=0.05")  # Adam would not see a gradient that is scaled
    eager, rounding = scenarios.train(begin, mode="eager")["weights"], begin.rounding(scenarios.conventions)
    for mode in others:
        yield from same(mode, scenarios.train(begin, mode=mode)["weights"], eager, rounding)


def implementations(scenarios: Scenarios) -> Iterator[Finding]:
    """Single-tensor, foreach and fused optimizers take the same steps.

    Largest distance over tensors, relative to the tensor; allowed is the rounding of storing a weight, once a step.
    """
    for dtype, seen, allowed in _implemented(scenarios):
        for optimizer, by_implementation in seen.items():
            reference = by_implementation[REFERENCE]["weights"]
            for name in (name for name in by_implementation if name != REFERENCE):
                pairs = zip(by_implementation[name]["weights"], reference, strict=True)
                apart = np.max([np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in pairs])
                yield Finding(Place(dtype, scope=f"{optimizer} {name}"), float(apart), 0.0, allowed)


def gradients_kept(scenarios: Scenarios) -> Iterator[Finding]:
    """An optimizer's step leaves the gradients it was given as they were."""
    if scenarios.conventions == "torch":
        for dtype, seen, _ in _implemented(scenarios):
            for optimizer, by_implementation in seen.items():
                for name, how in by_implementation.items():
                    yield Finding(Place(dtype, scope=f"{optimizer} {name}"), how["changed"], 0.0, 0.0)
        return
    for changes in ("optimizer=nesterov", "optimizer=adamw,decay=0.1,clip=global", "optimizer=rmsprop,clip=value", "optimizer=nadam"):
        begin = start(changes)
        gradients = {key: np.ones_like(value) for key, value in begin.weights.items()}
        after = scenarios("apply", spec=begin.spec.id, weights=begin.weights, gradients=gradients)["gradients"]
        yield Finding(Place(scope=changes), float(np.max([abs(after[key] - value).max() for key, value in gradients.items()])), 0.0, 0.0)


def _implemented(scenarios: Scenarios) -> Iterator[tuple[str, dict[str, dict[str, Any]], float]]:
    """By precision: its name, what every optimizer's implementations did, and what rounding allows."""
    steps, shapes = 4, ((8, 4), (4,), (1,))
    for dtype in (np.float64, np.float32):
        rng = np.random.default_rng(5)
        weights = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
        gradients = [[rng.standard_normal(shape).astype(dtype) for shape in shapes] for _ in range(steps)]
        seen = scenarios("implementations", weights=weights, gradients=gradients)
        yield np.dtype(dtype).name, seen, ROUNDING_MULTIPLE * steps * float(np.finfo(dtype).eps) / 2


def variable_count(scenarios: Scenarios) -> Iterator[Finding]:
    """What an optimizer does to one variable does not depend on how many others there are."""
    rng = np.random.default_rng(6)
    weights, xs = rng.standard_normal((4, 3)).astype(np.float32), rng.standard_normal((4, 8, 4)).astype(np.float32)
    for name in ("momentum", "adam", "nadam"):
        given = {"spec": f"optimizer={name}", "weights": weights, "xs": xs}
        alone, among = (scenarios("heads", **given, count=count) for count in (1, 4))
        size = float(np.linalg.norm(alone))
        yield Finding(Place(scope=name), float(np.linalg.norm(among - alone)) / size, 0.0, ROUNDING_MULTIPLE * len(xs) * UNIT)


def loss_scaling(scenarios: Scenarios) -> Iterator[Finding]:
    """Scaling the loss changes nothing but range: the step is the unscaled one, clipping included."""
    for clip in ("none", "global"):
        begin = start(f"optimizer=sgd,clip={clip},clip_at=0.1")
        plain, rounding = scenarios.train(begin)["weights"], begin.rounding(scenarios.conventions)
        yield from same(f"clip={clip} dynamic scale", scenarios.train(begin, scale=8.0)["weights"], plain, rounding)
        if scenarios.conventions == "keras":
            factor = {"options": {"loss_scale_factor": 8.0}}
            yield from same(f"clip={clip} fixed factor", scenarios.train(begin, **factor)["weights"], plain, rounding)
            both = scenarios.train(begin, **factor, scale=8.0)["weights"]
            yield from same(f"clip={clip} dynamic scale round a fixed factor", both, plain, rounding)


def averaged_weights(scenarios: Scenarios) -> Iterator[Finding]:
    """An average of weights lies between the smallest and the largest weight that training visited."""
    begin = start("optimizer=adam,lr=0.02")
    seen = scenarios.train(begin, average=AVERAGE)
    for key, average in seen["average"].items():
        visited = np.stack([weights[key] for weights in seen["visited"]])
        beyond = np.maximum(visited.min(0) - average, average - visited.max(0))
        size = float(abs(visited).max())
        yield Finding(Place.of(key), float(np.maximum(beyond, 0.0).max()) / size, 0.0, ROUNDING_MULTIPLE * UNIT)
        yield Finding(
            Place.of(key, "follows"), float(np.array_equal(average, visited[0])), 0.0, 0.0, "the average never left the first weights"
        )
