"""Training over several seeds, against the samples recorded before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.baselines import samples as baselines
from bench.baselines.interval import interval, scale_of
from bench.evidence import divergence
from bench.judging.finding import SCALES, Finding
from bench.judging.place import Place
from bench.judging.verdict import NoBaseline
from models.observation import History

LAST_STEPS = 20
"""The reported loss is the mean over this many last steps, since a single batch's loss is mostly the batch's."""


def training(evidence: Any) -> Iterator[Finding]:
    """Accuracy, loss and gradient norms over training lie in the interval that recorded seeds predict.

    The mean over this run's seeds of each metric, on the metric's own scale (`bench.baselines.interval`); a metric that one side
    lacks fails.
    """
    divergence.refuse(divergence.of_themselves(evidence))
    seen = metrics(evidence.seen.trainings, evidence.spec.depth)
    network = f"{evidence.data}/{evidence.network}"
    if evidence.baseline is None or evidence.baseline.content is None:
        raise NoBaseline("no recording for this backend and device")
    recorded = baselines.of_network(evidence.baseline.content, network)
    if not recorded:
        raise NoBaseline(f"{network} was never recorded")
    if set(recorded) != set(seen):
        raise AssertionError(f"metrics {sorted(set(recorded) ^ set(seen))} are recorded or seen, but not both")
    for metric, values in seen.items():
        low, high = interval(metric, recorded[metric], len(values), baselines.widened(evidence.baseline))
        scale = SCALES[scale_of(metric)]
        with np.errstate(divide="ignore", invalid="ignore"):  # a loss of zero or NaN falls outside any interval by itself
            value = float(scale.backward(scale.forward(np.asarray(values)).mean()))
        then = recorded[metric]
        note = f"seeds gave {', '.join(f'{v:.4g}' for v in values)}; recorded {np.mean(then):.4g} ± {np.std(then, ddof=1):.2g}"
        yield Finding(Place(metric), value, low, high, note, scale_of(metric))


def metrics(histories: list[History], depth: int) -> dict[str, list[float]]:
    """Per seed: test accuracy, loss at the end, and each of three layers' gradient norm.

    The norm's geometric mean is over the steps at which it is not exactly zero, as it is in the first step of a branch
    whose last layer starts at zero; a gradient that is zero throughout has none, which no interval admits.
    """
    seen = {
        "accuracy": [h.accuracy for h in histories],
        "loss": [float(np.mean(h.losses[-LAST_STEPS:])) for h in histories],
    }
    for layer in sorted({1, (depth + 1) // 2, depth}):
        norms = [h.gradient_norms[:, layer - 1] for h in histories]
        seen[f"gradient layer {layer}"] = [float(np.exp(np.log(n[n != 0]).mean())) if n.any() else np.nan for n in norms]
    return seen
