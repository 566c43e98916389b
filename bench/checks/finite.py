"""NaN and Inf."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.evidence import divergence
from bench.judging.finding import Finding
from models.architectures import graph
from models.graph import describe


def finite(evidence: Any) -> Iterator[Finding]:
    """Loss, signals, gradients and weights are finite in every layer and step.

    Counts the entries that are not, place by place in the order of computation, so that the first place is the cause. A training
    that diverges in the reference as well is not the framework's doing.
    """
    for title, watched in (("own weights", evidence.seen.native), ("drawn weights", evidence.seen.shared)):
        yield _count(f"{title} loss", watched.loss)
        dense = graph(evidence.spec).dense
        for node in dense:
            yield _count(f"{title} {describe(node.name)} signal", watched.pre_activations[node.name])
        for node in reversed(dense):
            yield _count(f"{title} {describe(node.name)} gradient of the signal", watched.pre_activation_gradients[node.name])
    for number, step in enumerate(evidence.seen.forced_steps):
        yield _count(f"step {number} loss", step.loss)
        for kind, arrays in (("gradient of", step.gradients), ("new", step.weights)):
            for key, array in arrays.items():
                yield _count(f"step {number} {kind} {describe(key)}", array)
    diverged = divergence.of_themselves(evidence)
    for history in evidence.seen.trainings:
        if history.seed not in diverged:
            yield from _first(f"training seed {history.seed}", history.losses, history.gradient_norms)
    divergence.refuse(diverged)


def _count(where: str, values: Any) -> Finding:
    return Finding(where, float(np.size(values) - np.isfinite(values).sum()), 0.0, 0.0, "entries are NaN or infinite")


def _first(title: str, losses: Any, norms: Any) -> Iterator[Finding]:
    """The first step of a training at which the loss or a layer's gradient norm was not finite."""
    bad = [("loss", step) for step in np.flatnonzero(~np.isfinite(losses))[:1]]
    if norms.size:
        steps, layers = np.nonzero(~np.isfinite(norms))
        bad += [(f"layer {layers[i] + 1:>2} gradient norm", steps[i]) for i in np.argsort(steps, kind="stable")[:1]]
    if not bad:
        yield Finding(title, 0.0, 0.0, 0.0)
    for what, step in bad:
        yield Finding(f"{title} step {step} {what}", 1.0, 0.0, 0.0, "the first value that is NaN or infinite")
