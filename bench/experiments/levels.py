"""Coarse to fine: a deep network that begins as a shallow one with long steps, beside one that is trained at its full depth throughout."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.experiments.cell import Row, cells
from bench.experiments.experiment import BACKENDS, NAMES, Experiment, Seen, mean
from bench.experiments.pictures import Figure, lines
from bench.experiments.record import Result
from bench.report.text_table import markdown

COARSE_TO_FINE = 4, 2, 1
SETTINGS = "init=glorot_uniform,optimizer=adam,lr=0.001"
TIME = 4.0
"""What the steps of every network here sum to."""


def _rows(steps: int, sizes: str, epochs: int, seeds: int) -> tuple[Row, ...]:
    """Each for as many epochs: by levels, with the schedules of levels alone, with one schedule, and at the depth of the first level."""

    def row(label: str, steps: int, levels: tuple[int, ...] = (1,)) -> Row:
        network = f"ode,depth={steps + 2},{sizes},step={TIME / steps:g},{SETTINGS}"
        return Row(label, steps + 2, network, epochs, seeds, schedule="warm-up", inputs="standard", levels=levels)

    first, *_ = COARSE_TO_FINE
    parts, shallow = len(COARSE_TO_FINE), steps // first
    return (
        row(f"{', '.join(str(steps // factor) for factor in COARSE_TO_FINE)} steps in turn", steps, COARSE_TO_FINE),
        row(f"{steps} steps, the rate in {parts} cycles", steps, (1,) * parts),
        row(f"{steps} steps", steps),
        row(f"{shallow} steps", shallow),
    )


def seconds(row: Row, result: Result) -> float | None:
    """Processor seconds of training, where the first epoch of each level takes as long as the median of its others.

    In the first one Keras traces its step, unless the worker has trained the network before. None where a level has no other.
    """
    each = row.epochs_a_level
    parts = [result.seconds[begin : begin + each] for begin in range(0, len(result.seconds), each)]
    return sum(float(np.median(part[1:])) * len(part) for part in parts) if min(map(len, parts), default=0) > 1 else None


def _tables(seen: Seen) -> Iterator[str]:
    ends = sorted({row.epochs_a_level * (number + 1) for row in seen.rows for number in range(len(row.levels))})
    table = [["accuracy", "", *(f"epoch {end}" for end in ends), "processor s", "of full depth"]]
    full = [row for row in seen.rows if len(row.levels) == 1][:1]
    whole = {backend: _cost(seen, row, backend) for row in full for backend in seen.backends}
    for row in seen.rows:
        for backend in seen.backends:
            results = seen.of(row, backend)
            if not results:
                continue
            accuracies = [mean([each.accuracy[end - 1] for each in results if len(each.accuracy) >= end]) for end in ends]
            spent, usual = _cost(seen, row, backend), whole.get(backend)
            share = f"{spent / usual:.0%}" if spent and usual else "–"
            table.append([row.label, NAMES[backend], *accuracies, f"{spent:.1f}" if spent else "–", share])
    if len(table) > 1:
        yield from (*markdown(table), "")
    yield from seen.untrained()


def _cost(seen: Seen, row: Row, backend: str) -> float | None:
    """The mean over seeds of what training takes; None where that is not known."""
    found = [spent for result in seen.of(row, backend) if (spent := seconds(row, result)) is not None]
    return float(np.mean(found)) if found else None


def _figures(seen: Seen) -> dict[str, Figure]:
    series = {}
    for row in seen.rows:
        for backend in seen.backends:
            if results := [each for each in seen.of(row, backend) if len(each.accuracy) == row.epochs]:
                series[row.label, NAMES[backend]] = [(epoch + 1, [each.accuracy[epoch] for each in results]) for epoch in range(row.epochs)]
    least = min((value for points in series.values() for _, values in points for value in values), default=0.0)
    return lines(series, "levels", "epoch", "accuracy", least=np.floor(10 * least) / 10)


ROWS = _rows(40, "width=64,batch=128", epochs=9, seeds=3)
LEVELS = Experiment(
    "levels",
    "Does a deep network that is trained coarse to fine, its steps halved and its weights copied, cost less and reach as much?",
    f"{len(cells(ROWS, BACKENDS))} cells, about 20 core-minutes",
    ROWS,
    _rows(8, "width=32,batch=32", epochs=3, seeds=1),
    _tables,
    _figures,
)
