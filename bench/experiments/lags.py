"""The gradient's norm against time lag: what frameworks computed, over what theory says of networks at initialization."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from bench.experiments.cell import Cell, Row
from bench.experiments.experiment import NAMES, Seen
from bench.experiments.pictures import LINES, MARKERS, Figure
from bench.experiments.record import Result
from bench.theory.plot import figure
from bench.theory.recurrent import FIRST_SEED, mean_field
from fixtures.data.memory_problems import MemoryProblem, problem
from models.arrays import PerStep
from models.backends.numpy.memory import GivenTargets
from models.reference.draws import draw_weights

NETWORKS, SAMPLES = 8, 16
"""Networks of an ensemble, and samples on which each is run."""
LEGEND = 6
"""Entries of a legend that fit in one line under six panels."""
EVERY = 5
"""One marker stands for so many time steps that were recorded."""


@lru_cache(maxsize=64)
def ensemble(row: Row) -> tuple[PerStep, PerStep]:
    """Mean and standard deviation over drawn float64 networks of log₁₀ ‖∂L/∂x_t‖/‖∂L/∂x_T‖, for every time step t of T."""
    source = problem(row.data)
    spec, (x, targets) = Cell(row, "torch", 0).spec(source).in_float64, source.test(SAMPLES)
    seen = []
    for seed in range(NETWORKS):
        done = GivenTargets(spec, draw_weights(spec, FIRST_SEED + seed)).run(x, targets)
        norms = np.linalg.norm(done.pre_activation_gradients["steps"], axis=(0, 2))
        seen.append(np.log10(norms / norms[-1]))
    return np.mean(seen, axis=0), np.std(seen, axis=0, ddof=1)


def rate(row: Row, source: MemoryProblem) -> PerStep | None:
    """The same by mean-field theory for infinite width; None where it says nothing, as where every output is read.

    A step back multiplies the squared norm by χ, so that the logarithm is half of the sum of log₁₀ χ over the steps between.
    """
    spec, (x, _) = Cell(row, "torch", 0).spec(source), source.test(SAMPLES)
    chi = mean_field(spec, x) if spec.loss == "mse" else None
    return None if chi is None else np.append(np.cumsum(0.5 * np.log10(chi[::-1]))[::-1], 0.0)


def through_time(title: str, rows: Sequence[Row], seen: Seen) -> dict[str, Figure]:
    """Norms over that of the last time step, a panel a row, of the first seed; empty where nothing was trained."""
    first = {row: {backend: results[0] for backend in seen.backends if (results := seen.of(row, backend))} for row in rows}
    found = {row: results for row, results in first.items() if any(each.in_time for each in results.values())}
    if not found:
        return {}
    drawn, (axes,) = figure(len(found), 2.5, 2.7)
    for panel, (row, each) in zip(axes, found.items(), strict=True):
        source = problem(row.data)
        back = source.length - np.arange(1, source.length + 1)
        middle, spread = ensemble(row)
        panel.fill_between(back, middle - 2 * spread, middle + 2 * spread, color="0.85", label=f"{NETWORKS} drawn networks")
        if (line := rate(row, source)) is not None:
            panel.plot(back, line, color="k", lw=0.9, ls=":", label="mean field")
        for place, (backend, result) in enumerate(each.items()):
            _draw(panel, place, NAMES[backend], result, source.length)
        panel.set_title(f"{row.label}\nlag {row.depth}", fontsize=9)
        panel.set_xlabel("steps back from the last", fontsize=9)
        panel.grid(alpha=0.3)
    axes[0].set_ylabel("log₁₀ ‖∂L/∂x‖ over last step's", fontsize=9)
    columns = min(LEGEND, len(found) + 1)
    drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=columns, fontsize=8, frameon=False)
    return {title: drawn}


def _draw(panel: Any, place: int, who: str, result: Result, length: int) -> None:
    """Before training as markers, after it as a line; `panel` is matplotlib's."""
    back = length - np.array(result.times)
    for number, norms in enumerate(result.in_time.values()):
        values = np.array([np.nan if each is None else each for each in norms])
        style: dict[str, Any] = {"ls": LINES[place % len(LINES)], "lw": 1.1, "label": f"{who}, after training"}
        if number == 0:
            style = {"ls": "", "marker": MARKERS[place % len(MARKERS)], "ms": 4, "mfc": "none", "label": f"{who}, at the start"}
            style["markevery"] = (place * (EVERY // 2), EVERY)
        panel.plot(back, values - values[-1], color=f"C{place}", **style)
