"""Running statistics of batch normalization."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.judge import Finding
from bench.run import rms_error
from bench.tolerance import ROUNDING_MULTIPLE
from models.parts.norms import running_variance


def normalization_state(run: Any) -> Iterator[Finding]:
    """Running mean and variance after each step follow the framework's documented average.

    r ← m·r + (1 − m)·s from 0 and 1, with s the float64 batch statistic (PyTorch: unbiased variance; Keras: biased).
    Relative error of the whole vector; allowed is what the same average of the reference's rounded statistics is off, and storing it.
    """
    run.refuse_unwatched()
    exact = _averages(run, [true for true, _ in run.steps])
    rounded = [_averages(run, list(passes)) for passes in zip(*(near for _, near in run.steps), strict=True)]
    for number, step in enumerate(run.seen.lessons):
        if set(step.running) != set(exact[number]):
            raise AssertionError(f"running statistics of layers {sorted(set(step.running) ^ set(exact[number]))} are missing or unknown")
        for layer in sorted(step.running):
            near = zip(*(each[number][layer] for each in rounded), strict=True)
            for name, seen, true, passes in zip(("mean", "variance"), step.running[layer], exact[number][layer], near, strict=True):
                size = float(np.linalg.norm(true))
                allowed = ROUNDING_MULTIPLE * (rms_error(true, list(passes)) * run.resolution + run.unit * size)
                yield Finding(
                    f"step {number} layer {layer:>2} running {name}",
                    float(np.linalg.norm(seen - true)) / size,
                    0.0,
                    allowed / size,
                    f"{np.linalg.norm(seen) / size:.4g} times as large as the rule's",
                )


def _averages(run: Any, passes: list[Any]) -> list[dict[int, tuple[Any, Any]]]:
    old, new = run.spec.momentum, 1 - run.spec.momentum
    state = {layer: (np.zeros(len(mean)), np.ones(len(mean))) for layer, (mean, _) in passes[0].statistics.items()}
    history = []
    for each in passes:
        for layer, (mean, var) in each.statistics.items():
            var = running_variance(var.astype(np.float64), run.spec.batch, run.dialect)
            state[layer] = (old * state[layer][0] + new * mean, old * state[layer][1] + new * var)
        history.append(dict(state))
    return history
