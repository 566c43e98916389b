"""The numbers of a training that are recorded and compared: accuracy, loss and gradient norms."""

from __future__ import annotations

import numpy as np

from models.observation import History

LAST_STEPS = 20
"""The reported loss is the mean over this many last steps, since a single batch's loss is mostly the batch's."""


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
