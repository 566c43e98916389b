"""Pictures of experiments, drawn from records alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.experiments.experiment import interval
from bench.experiments.record import Result
from bench.theory.plot import figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure
else:
    Figure = Any

Points = Sequence[tuple[float, list[float]]]
LINES = {"2018": ":", "PyTorch": "-", "Keras": "--"}
MARKERS = {"2018": "x", "PyTorch": "o", "Keras": "s"}


def lines(series: Mapping[tuple[str, str], Points], x: str, y: str) -> Figure:
    """Accuracy against a number, a panel a family, a line a framework: means over seeds with their 95 % intervals."""
    families = list(dict.fromkeys(family for family, _ in series))
    drawn, (axes,) = figure(len(families), 3.2, 2.8)
    for panel, family in zip(axes, families, strict=True):
        for (_, who), points in ((key, each) for key, each in series.items() if key[0] == family):
            if points:
                places, means = [place for place, _ in points], np.array([np.mean(values) for _, values in points])
                ends = np.array([interval(values) for _, values in points]).T
                reach = np.abs(np.array([np.minimum(ends[0] - means, 0), np.maximum(ends[1] - means, 0)]))
                style: dict[str, Any] = {"ls": LINES.get(who, "-."), "marker": MARKERS.get(who, "d"), "label": who, "ms": 4, "lw": 1.2}
                panel.errorbar(places, means, reach, capsize=2, **style)
        panel.set(title=family, xlabel=x, ylim=(0, 1.02))
        panel.grid(alpha=0.3)
    axes[0].set_ylabel(y)
    axes[0].legend(fontsize=8, frameon=False)
    return drawn


def gradients_over_training(results: Mapping[tuple[str, str], Result], title: str) -> Figure:
    """log₁₀ of weight-gradient norms by layer, a panel a network, a line an epoch, of one seed."""
    drawn, (axes,) = figure(len(results), 3.0, 2.8)
    for panel, ((family, who), result) in zip(axes, results.items(), strict=True):
        for number, (epoch, norms) in enumerate(result.norms.items()):
            shade = str(0.75 * (1 - number / max(1, len(result.norms) - 1)))
            values = [np.nan if each is None else each for each in norms]
            panel.plot(result.layers, values, color=shade, lw=1.1, label="begin" if epoch == "0" else f"epoch {epoch}")
        panel.set_title(f"{family}\n{who}, {title}", fontsize=9)
        panel.set_xlabel("layer")
        panel.grid(alpha=0.3)
    axes[0].set_ylabel("log₁₀ weight-gradient norm")
    axes[0].legend(fontsize=7, frameon=False)
    return drawn
