"""Pictures of experiments, drawn from records alone."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from bench.experiments.experiment import interval
from bench.experiments.record import Result
from bench.theory.diagnosis import NOTABLE
from bench.theory.plot import figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure
else:
    Figure = Any

Points = Sequence[tuple[float, list[float]]]
LINES, MARKERS = ("-", "--", ":", "-."), "osx^d"
TITLE = 26
"""Characters of a panel's title in a line."""


class Style(TypedDict):
    """How a line is drawn, in the words of Matplotlib."""

    ls: str
    marker: str
    color: str
    ms: float
    lw: float


def _style(place: int) -> Style:
    return {"ls": LINES[place % len(LINES)], "marker": MARKERS[place % len(MARKERS)], "color": f"C{place}", "ms": 4, "lw": 1.2}


def lines(series: Mapping[tuple[str, str], Points], title: str, x: str, y: str, least: float = 0.0) -> dict[str, Figure]:
    """Accuracy from `least` on against a number, a panel a family, a line a framework: means over seeds with their 95 % intervals."""
    present = {key: points for key, points in series.items() if points}
    families = list(dict.fromkeys(family for family, _ in present))
    names = list(dict.fromkeys(name for _, name in present))
    if not present:
        return {}
    drawn, (axes,) = figure(len(families), 3.2, 2.8)
    for (family, who), points in present.items():
        means = np.array([np.mean(values) for _, values in points])
        ends = np.array([interval(values) for _, values in points]).T
        reach = np.maximum([means - ends[0], ends[1] - means], 0)
        panel = axes[families.index(family)]
        panel.errorbar([where for where, _ in points], means, reach, capsize=2, label=who, **_style(names.index(who)))
        panel.set(xlabel=x, ylim=(least, 1 + 0.02 * (1 - least)))
        panel.set_title("\n".join(textwrap.wrap(family, TITLE)), fontsize=10)
        panel.grid(alpha=0.3)
    axes[0].set_ylabel(y)
    axes[0].legend(fontsize=8, frameon=False)
    return {title: drawn}


def against_depth(series: Mapping[tuple[str, str], Sequence[tuple[float, float]]], title: str, y: str) -> dict[str, Figure]:
    """A number against depth from zero on, a panel a framework, a line a family."""
    present = {key: points for key, points in series.items() if points}
    names = list(dict.fromkeys(name for _, name in present))
    families = list(dict.fromkeys(family for family, _ in present))
    if not present:
        return {}
    drawn, (axes,) = figure(len(names), 4.0, 3.0)
    for (family, who), points in present.items():
        panel = axes[names.index(who)]
        panel.plot(*zip(*points, strict=True), label=family, **_style(families.index(family)))
        panel.set(xlabel="depth", title=who)
        panel.grid(alpha=0.3)
    for panel in axes:
        panel.set_ylim(bottom=0)
    axes[0].set_ylabel(y)
    axes[0].legend(fontsize=8, frameon=False)
    return {title: drawn}


def gradients_over_training(results: Mapping[tuple[str, str], Result], title: str) -> Figure:
    """log₁₀ of weight-gradient norms by layer, a panel a network, a line an epoch, of one seed."""
    drawn, (axes,) = figure(len(results), 3.0, 2.8)
    for panel, ((family, who), result) in zip(axes, results.items(), strict=True):
        for number, (epoch, norms) in enumerate(result.norms.items()):
            shade = str(0.75 * (1 - number / max(1, len(result.norms) - 1)))
            values = [np.nan if each is None else each for each in norms]
            panel.plot(result.layers, values, color=shade, lw=1.1, label="first look" if epoch == "0" else f"epoch {epoch}")
        panel.set_title(f"{family}\n{who}, {title}", fontsize=9)
        panel.set_xlabel("layer")
        panel.grid(alpha=0.3)
    axes[0].set_ylabel("log₁₀ weight-gradient norm")
    drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=8, frameon=False)
    return drawn


def predicted_and_seen(points: Mapping[str, Sequence[tuple[float, float]]], x: str, y: str) -> Figure:
    """Accuracy against what theory predicted of the gradient, a point a remedy and framework."""
    drawn, ((panel,),) = figure(1, 5.0, 3.2)
    for (who, found), marker in zip(points.items(), MARKERS, strict=False):
        if found:
            panel.plot(*zip(*found, strict=True), marker, ms=4, alpha=0.7, label=who)
    panel.axvspan(-NOTABLE, NOTABLE, color="0.92", label="predicted to train")
    panel.set(xlabel=x, ylabel=y, ylim=(0, 1.02))
    panel.set_xscale("symlog", linthresh=1)
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8, frameon=False)
    return drawn
