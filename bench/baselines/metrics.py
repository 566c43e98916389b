"""The numbers of a training that are recorded and compared: accuracy, losses, gradient norms and the share of clipped steps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.arrays import Labels, Logits
from models.observation import History

LAST_STEPS = 20
"""The loss at the end is the mean over this many last steps, since a single batch's loss is mostly the batch's."""
EARLY = 0.25
"""Share of the steps that `early` metrics are of: later on, rounding has grown and moves gradients by more than a fault may."""

FRESH = "fresh seeds"
"""The scope of a mean over seeds that were not recorded."""


@dataclass(frozen=True)
class Kind:
    """How a metric spreads.

    `over_seeds` and `over_executions` name the scales (`bench.judging.finding.SCALES`) on which that is even. `floor` is the least
    half-width of an interval between seeds, `execution_floor` between executions of one seed, `material` the change that a run should not
    miss: absolute on a linear scale, a share on others. `better` is 1 where more is better, −1 where less is, and 0 where neither.
    """

    over_seeds: str
    over_executions: str
    floor: float
    execution_floor: float
    material: float
    better: int = 0


ACCURACY = Kind("logit", "linear", 0.005, 0.005, 0.01, 1)
LOSS = Kind("log", "log", 0.10, 0.02, 0.05, -1)
GRADIENT = Kind("log", "log", 0.05, 0.01, 0.03)
KINDS = {
    "accuracy": ACCURACY,
    "averaged accuracy": ACCURACY,
    "test loss": LOSS,
    "averaged test loss": LOSS,
    "loss": LOSS,
    "mean loss": LOSS,
    "gradient": GRADIENT,
    "early gradient": GRADIENT,
    "clipped": Kind("linear", "linear", 0.05, 0.02, 0.05),
}
"""By the metric's name, of which `layer N` is left out. `averaged` metrics are of the moving average of weights."""
NAME = re.compile(rf"({'|'.join(name for name in KINDS if not name.endswith('gradient'))}|(early )?gradient layer [1-9][0-9]*)")


def kind_of(metric: str) -> Kind:
    """The row of a metric, such as `gradient layer 8`."""
    return KINDS[metric.partition(" layer ")[0]]


def scale_at(metric: str, scope: str) -> str:
    """The name of the scale on which a finding of a training is judged, by the metric and the scope of its place."""
    return kind_of(metric).over_seeds if scope == FRESH else kind_of(metric).over_executions


def is_share(metric: str) -> bool:
    """Whether a metric lies between 0 and 1, both included; all others are positive."""
    return kind_of(metric).over_executions == "linear"


def metrics(histories: Sequence[History], labels: Labels, depth: int) -> dict[str, list[float]]:
    """Per history: accuracy and mean cross-entropy on held-out `labels`, losses, gradient norms of three layers, clipped steps.

    A norm's geometric mean is over the steps at which it is not exactly zero, as it is in the first step of a branch whose last layer
    starts at zero. A gradient that is zero throughout has none, which no interval admits.
    """
    found: dict[str, list[float]] = {
        "accuracy": [h.accuracy for h in histories],
        "test loss": [_test_loss(h.logits, labels) for h in histories],
    }
    averaged = [h.averaged for h in histories]
    found["averaged accuracy"] = [np.nan if each is None else each.accuracy for each in averaged]
    found["averaged test loss"] = [np.nan if each is None else _test_loss(each.logits, labels) for each in averaged]
    found["loss"] = [float(np.mean(h.losses[-LAST_STEPS:])) for h in histories]
    found["mean loss"] = [float(np.mean(h.losses)) for h in histories]
    for layer in sorted({1, (depth + 1) // 2, depth}):
        norms = [h.gradient_norms[:, layer - 1] for h in histories]
        found[f"gradient layer {layer}"] = [_geometric_mean(each) for each in norms]
        found[f"early gradient layer {layer}"] = [_geometric_mean(each[: round(EARLY * len(each))]) for each in norms]
    if any(np.isfinite(h.clipped) for h in histories):
        found["clipped"] = [h.clipped for h in histories]
    return found


def _geometric_mean(norms: np.ndarray) -> float:
    present = norms[norms != 0]
    return float(np.exp(np.log(present).mean())) if len(present) else np.nan


def _test_loss(logits: Logits | None, labels: Labels) -> float:
    """The mean cross-entropy of logits, whatever loss the network is trained on."""
    if logits is None:
        return np.nan
    z = np.asarray(logits, np.float64)
    shifted = z - z.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), np.asarray(labels)]))
