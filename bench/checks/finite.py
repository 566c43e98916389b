"""NaN and Inf."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from msgspec.structs import replace

from bench.checks.signals import by_place
from bench.evidence import divergence
from bench.evidence.divergence import steps_within_range
from bench.evidence.evidence import Evidence
from bench.judging.finding import Finding
from bench.judging.place import Place
from models.architectures import graph
from models.arrays import Array


@steps_within_range
def finite(evidence: Evidence) -> Iterator[Finding]:
    """Loss, signals, gradients and weights are finite in every layer, time step and training step.

    Counts the entries that are not, place by place in the order of computation, so that the first place is the cause. A training
    that diverges in the reference as well is not the framework's doing.
    """
    nodes = [node.name for node in graph(evidence.spec).watched]
    for title, watched in (("own weights", evidence.native), ("drawn weights", evidence.shared)):
        yield _count(Place("loss", scope=title), watched.loss)
        for place, values in by_place({name: watched.pre_activations[name] for name in nodes}).items():
            yield _count(replace(place, quantity="signal", scope=title), values)
        for place, values in reversed(by_place({name: watched.pre_activation_gradients[name] for name in nodes}).items()):
            yield _count(replace(place, quantity="gradient of the signal", scope=title), values)
    for number, step in enumerate(evidence.seen.forced_steps):
        yield _count(Place("loss", step=number), step.loss)
        for kind, arrays in (("gradient of", step.gradients), ("new", step.weights)):
            for key, array in arrays.items():
                yield _count(Place.of(key, step=number, array=kind), array)
    diverged = divergence.of_themselves(evidence)
    for history in evidence.seen.trainings:
        if history.seed not in diverged:
            yield from _first(f"training seed {history.seed}", history.losses, history.gradient_norms)
    divergence.refuse(diverged)


def _count(place: Place, values: Array | float) -> Finding:
    return Finding(place, float(np.size(values) - np.isfinite(values).sum()), 0.0, 0.0, "entries are NaN or infinite")


def _first(title: str, losses: Array, norms: Array) -> Iterator[Finding]:
    """The first step of a training at which the loss or a layer's gradient norm was not finite."""
    bad = [(Place("loss", step=int(step), scope=title)) for step in np.flatnonzero(~np.isfinite(losses))[:1]]
    if norms.size:
        steps, layers = np.nonzero(~np.isfinite(norms))
        bad += [Place("gradient norm", str(layers[i] + 1), step=int(steps[i]), scope=title) for i in np.argsort(steps, kind="stable")[:1]]
    if not bad:
        yield Finding(Place(scope=title), 0.0, 0.0, 0.0)
    for place in bad:
        yield Finding(place, 1.0, 0.0, 0.0, "the first value that is NaN or infinite")
