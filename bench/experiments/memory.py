"""The adding problem and the copying memory problem: which cell, start and remedy carries how far through time within 2,000 steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from bench.experiments.cell import Row
from bench.experiments.experiment import BACKENDS, NAMES, Experiment, Seen, mean, published
from bench.experiments.lags import through_time
from bench.experiments.pictures import Figure, lines
from bench.experiments.record import Result, Results
from bench.report.text_table import markdown
from fixtures.data.memory_problems import problem

LAGS = 50, 100, 200, 500, 1000
LEARNED = 0.9
"""A network has learned something if its test loss fell under this share of that without memory, after any epoch."""
CLIPPED = "clip=global,clip_at=1"
SETTINGS = "width=64,batch=32,init=glorot_uniform,optimizer=adam,lr=0.003"
CELLS: dict[str, str] = {
    "tanh, PyTorch's start": "cell=tanh,recurrent=torch_default",
    "tanh, orthogonal": "cell=tanh",
    "tanh, orthogonal, clipped": f"cell=tanh,{CLIPPED}",
    "tanh, kept orthogonal": "cell=tanh,parametrization=orthogonal",
    "tanh, orthogonal, two layers": "layers=2,cell=tanh",
    "tanh, orthogonal, two layers, layer norm": "layers=2,cell=tanh,between=layer",
    "ReLU, identity, clipped": f"cell=relu,recurrent=identity,{CLIPPED}",
    "LSTM, forget bias 0": "cell=lstm,forget=0",
    "LSTM, forget bias 1": "cell=lstm",
    "LSTM, chrono": "cell=lstm,forget=chrono",
    "LSTM, forget bias 1, clipped": f"cell=lstm,{CLIPPED}",
    "GRU": "cell=gru",
}
"""What a row changes: cell, start of recurrent weights, remedy. `ReLU, identity` is the IRNN of Le et al. 2015.

*Kept orthogonal* is orthogonal throughout the training, and not at its start alone.
"""
PUBLISHED = published("adding")
LOSSES = {"adding": "mse", "copying": "cross_entropy"}
SHOWN = "tanh, PyTorch's start", "tanh, orthogonal", "ReLU, identity, clipped", "LSTM, forget bias 1", "LSTM, chrono", "GRU"
"""Cells whose gradients through time are drawn."""


def _row(kind: str, lag: int, label: str, settings: str, epochs: int, seeds: int) -> Row:
    name = f"{kind}-{lag}"
    network = f"rnn,length={problem(name).length},loss={LOSSES[kind]},{settings},{CELLS[label]}"
    return Row(label, lag, network, epochs, seeds, inputs="drawn", axis="lag", data=name)


def _rows(kind: str, lags: tuple[int, ...], epochs: int = 20, seeds: int = 3) -> tuple[Row, ...]:
    return tuple(_row(kind, lag, label, SETTINGS, epochs, seeds) for lag in lags for label in CELLS)


def _quick(kind: str) -> tuple[Row, ...]:
    settings = SETTINGS.replace("width=64", "width=16")
    return tuple(_row(kind, 20, label, settings, 1, 1) for label in ("tanh, orthogonal", "LSTM, forget bias 1"))


def _over_memoryless(row: Row, results: list[Result]) -> str:
    """The last test loss over that of a network without memory, the mean of seeds; `∞` where the training left the range of numbers."""
    losses = [each.test_loss[-1] if each.test_loss else None for each in results if each.test_loss or each.stopped]
    if not losses:
        return "–"
    known = [each for each in losses if each is not None]
    return f"{np.mean(known) / problem(row.data).memoryless:.3f} ×{len(known)}" if len(known) == len(losses) else "∞"


def failed_at(row: Row, results: Results) -> str:
    """`failed at 50` where both frameworks trained the row at a shorter lag and no seed of either learned; nothing elsewhere.

    What was not learned over one lag within so many epochs is not tried over a longer one.
    """
    kind = row.data.partition("-")[0]
    for lag in (lag for lag in LAGS if lag < row.depth):
        shorter = _row(kind, lag, row.label, SETTINGS, row.epochs, row.seeds)
        found = [Seen((shorter,), results).of(shorter, backend) for backend in BACKENDS]
        if all(found) and not any(_learned(shorter, result) for seeds in found for result in seeds):
            return f"failed at {lag}"
    return ""


def _learned(row: Row, result: Result) -> bool:
    return any(each is not None and each < LEARNED * problem(row.data).memoryless for each in result.test_loss)


def _tables(seen: Seen) -> Iterator[str]:
    lags = sorted({row.depth for row in seen.rows})
    left_out = {row: why for row in seen.rows if (why := failed_at(row, {**seen.elsewhere, **seen.results}))}
    views: list[tuple[str, Callable[[Row, list[Result]], str]]] = [
        ("Test loss over that of no memory", _over_memoryless),
        ("Share solved", lambda row, results: mean([each.last for each in results])),
    ]
    for title, view in views:
        table = [[title, "", *map(str, lags)]]
        for label in CELLS:
            for backend in seen.backends:
                found = {row: view(row, seen.of(row, backend)) for row in seen.rows if row.label == label}
                shown = {row.depth: left_out.get(row, each) if each == "–" else each for row, each in found.items()}
                if any(each != "–" for each in shown.values()):
                    table.append([label, NAMES[backend], *(shown.get(lag, "–") for lag in lags)])
        if len(table) > 1:
            yield from (*markdown(table), "")
    if seen.rows and seen.rows[0].data.startswith("adding"):
        before = {int(lag): f"{count:,}" for lag, count in PUBLISHED["sequences"].items()}
        row = ["Sequences until an LSTM had solved it, 1997", *(before.get(lag, "–") for lag in lags)]
        yield from (*markdown([["", *map(str, lags)], row]), "")
    yield from seen.untrained(left_out)


def _figures(seen: Seen, kind: str) -> dict[str, Figure]:
    series = {}
    for label in SHOWN:
        for backend in seen.backends:
            rows = [row for row in seen.rows if row.label == label]
            points = [(row.depth, [result.last for result in seen.of(row, backend)]) for row in sorted(rows, key=lambda row: row.depth)]
            series[label, NAMES[backend]] = [point for point in points if point[1]]
    several = len({lag for points in series.values() for lag, _ in points}) > 1
    drawn = lines(series, kind, "lag", "share solved") if several else {}
    shown = [row for row in seen.rows if row.label in SHOWN and any(seen.of(row, backend) for backend in seen.backends)]
    shortest = min((row.depth for row in shown), default=0)  # where no row is left out
    return drawn | through_time(f"{kind}-through-time", [row for row in shown if row.depth == shortest], seen)


def _experiment(kind: str, question: str) -> Experiment:
    rows = _rows(kind, LAGS)
    cost = f"at most {2 * sum(row.seeds for row in rows)} cells, 10 to 20 core-hours; half of one at lag 50 from one seed"
    return Experiment(kind, question, cost, rows, _quick(kind), _tables, lambda seen: _figures(seen, kind), failed_at)


ADDING = _experiment("adding", "Over which lag does a cell learn to add two marked numbers, and what does its gradient do on the way back?")
COPYING = _experiment("copying", "Over which lag does a cell learn to repeat ten symbols?")
