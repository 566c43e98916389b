"""Running statistics of batch normalization."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.evidence.evidence import Evidence
from bench.evidence.reference import rms_error
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.tolerance import ROUNDING_MULTIPLE
from models.architectures import graph
from models.arrays import Array
from models.nodes import Normalize
from models.parts.norms import running_variance
from models.reference.network import Pass


def normalization_state(evidence: Evidence) -> Iterator[Finding]:
    """Running mean and variance after each step follow the framework's documented average.

    r ← m·r + (1 − m)·s from 0 and 1, with s the float64 batch statistic (PyTorch: unbiased variance; Keras: biased). Relative error of the
    whole vector. Allowed is the same average of what the reference's rounded statistics of each step are off, since an average is off by
    no more than the average of its terms' errors, and storing it. Rounded averages themselves would let errors of several steps cancel.
    """
    evidence.refuse_unwatched()
    old, new = evidence.spec.arch.momentum, 1 - evidence.spec.arch.momentum
    state: dict[str, list[Array]] = {}
    off: dict[str, list[float]] = {}
    for number, (step, (true, near)) in enumerate(zip(evidence.seen.forced_steps, evidence.steps, strict=True)):
        if set(step.running) != set(true.statistics):
            raise AssertionError(f"running statistics of {sorted(set(step.running) ^ set(true.statistics))} are missing or unknown")
        for node in graph(evidence.spec).of(Normalize):
            right, *rounded = (_statistics(evidence, each, node.name) for each in (true, *near))
            held = state.get(node.name, [np.zeros(node.width), np.ones(node.width)])
            before = off.get(node.name, [0.0, 0.0])
            state[node.name] = [old * r + new * s for r, s in zip(held, right, strict=True)]
            errors = [rms_error(s, passes) for s, passes in zip(right, zip(*rounded, strict=True), strict=True)]
            off[node.name] = [old * b + new * e for b, e in zip(before, errors, strict=True)]
            for name, seen, due, error in zip(("mean", "variance"), step.running[node.name], state[node.name], off[node.name], strict=True):
                size = float(np.linalg.norm(due)) or 1.0  # the mean behind weights of zero
                yield Finding(
                    Place(f"running {name}", node.name, step=number),
                    float(np.linalg.norm(seen - due)) / size,
                    0.0,
                    ROUNDING_MULTIPLE * (error * evidence.resolution + evidence.unit * size) / size,
                    f"{np.linalg.norm(seen) / size:.4g} times as large as the rule's",
                )


def _statistics(evidence: Evidence, done: Pass, node: str) -> tuple[Array, Array]:
    """A batch's mean and variance in a layer, as the framework's average takes them in."""
    mean, var = done.statistics[node]
    samples = evidence.spec.batch * graph(evidence.spec)[node].positions
    return mean, running_variance(var.astype(np.float64), samples, evidence.conventions)
