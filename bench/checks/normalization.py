"""Running statistics of batch normalization."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.judge import Finding
from bench.tolerance import ROUNDING_MULTIPLE
from models.parts.norms import running_variance


def normalization_state(run: Any) -> Iterator[Finding]:
    """Running mean and variance after each step follow the framework's documented average.

    r ← m·r + (1 − m)·s from 0 and 1, with s the float64 batch statistic (PyTorch: unbiased variance; Keras: biased).
    Relative error of the whole vector; allowed is the same average of the float32 statistics, and storing it.
    """
    run.refuse_unwatched()
    exact = _averages(run, [true for true, _ in run.steps])
    rounded = _averages(run, [near[0] for _, near in run.steps])
    for number, step in enumerate(run.seen.lessons):
        if set(step.running) != set(exact[number]):
            raise AssertionError(f"running statistics of layers {sorted(set(step.running) ^ set(exact[number]))} are missing or unknown")
        for layer in sorted(step.running):
            for name, seen, true, near in zip(
                ("mean", "variance"), step.running[layer], exact[number][layer], rounded[number][layer], strict=True
            ):
                size = float(np.linalg.norm(true))
                allowed = ROUNDING_MULTIPLE * (float(np.linalg.norm(near - true)) * run.resolution + run.unit * size)
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
