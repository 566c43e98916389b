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
from models.arrays import Statistics
from models.nodes import Normalize
from models.parts.norms import running_variance
from models.reference.network import Pass


def normalization_state(evidence: Evidence) -> Iterator[Finding]:
    """Running mean and variance after each step follow the framework's documented average.

    r ← m·r + (1 − m)·s from 0 and 1, with s the float64 batch statistic (PyTorch: unbiased variance; Keras: biased).
    Relative error of the whole vector; allowed is what the same average of the reference's rounded statistics is off, and storing it.
    """
    evidence.refuse_unwatched()
    exact = _averages(evidence, [true for true, _ in evidence.steps])
    rounded = [_averages(evidence, list(passes)) for passes in zip(*(near for _, near in evidence.steps), strict=True)]
    for number, step in enumerate(evidence.seen.forced_steps):
        if set(step.running) != set(exact[number]):
            raise AssertionError(f"running statistics of {sorted(set(step.running) ^ set(exact[number]))} are missing or unknown")
        for node in graph(evidence.spec).of(Normalize):
            near = zip(*(each[number][node.name] for each in rounded), strict=True)
            pair, right = step.running[node.name], exact[number][node.name]
            for name, seen, true, passes in zip(("mean", "variance"), pair, right, near, strict=True):
                size = float(np.linalg.norm(true)) or 1.0  # the mean behind weights of zero
                allowed = ROUNDING_MULTIPLE * (rms_error(true, list(passes)) * evidence.resolution + evidence.unit * size)
                yield Finding(
                    Place(f"running {name}", node.name, step=number),
                    float(np.linalg.norm(seen - true)) / size,
                    0.0,
                    allowed / size,
                    f"{np.linalg.norm(seen) / size:.4g} times as large as the rule's",
                )


def _averages(evidence: Evidence, passes: list[Pass]) -> list[Statistics]:
    old, new = evidence.spec.arch.momentum, 1 - evidence.spec.arch.momentum
    state = {node: (np.zeros(len(mean)), np.ones(len(mean))) for node, (mean, _) in passes[0].statistics.items()}
    history = []
    for each in passes:
        for node, (mean, var) in each.statistics.items():
            samples = evidence.spec.batch * graph(evidence.spec)[node].positions
            var = running_variance(var.astype(np.float64), samples, evidence.conventions)
            state[node] = (old * state[node][0] + new * mean, old * state[node][1] + new * var)
        history.append(dict(state))
    return history
