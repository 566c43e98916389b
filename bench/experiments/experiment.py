"""What an experiment is: a question, rows, and what its results are shown as."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from bench.experiments.cell import Cell, Row, cells
from bench.experiments.record import Result, Results
from bench.judging.finding import SCALES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOGIT = SCALES["logit"]
CONFIDENCE = 0.95
BACKENDS = "torch", "keras"
NAMES = {"torch": "PyTorch", "keras": "Keras", "keras-jax": "Keras on JAX", "keras-torch": "Keras on PyTorch", "numpy": "NumPy"}


def published(name: str) -> Any:
    """What was published of an experiment's subject, with its source: a structure of its own for each (`published.json`)."""
    return json.loads((Path(__file__).parent / "published.json").read_text(encoding="utf-8"))[name]


@dataclass(frozen=True)
class Seen:
    """What is known of the rows of an experiment: results of whatever cells have been trained.

    `elsewhere` has results of other rows, recorded or trained before, by which rows may be left out.
    """

    rows: Sequence[Row]
    results: Results
    elsewhere: Results = field(default_factory=dict)

    def of(self, row: Row, backend: str) -> list[Result]:
        """The results of a row on a backend, by seed."""
        beginning = f"{Cell(row, backend, 0).setting} · seed "
        found = {int(key.removeprefix(beginning)): result for key, result in self.results.items() if key.startswith(beginning)}
        return [found[seed] for seed in sorted(found)]

    @property
    def backends(self) -> list[str]:
        """Those of which there is any result, PyTorch and Keras always."""
        others = [name for name in NAMES if name not in BACKENDS and any(self.of(row, name) for row in self.rows)]
        return [*BACKENDS, *others]

    def missing(self, rows: Sequence[Row] | None = None) -> int:
        """How many cells of these rows, or of all, have not been trained on PyTorch and Keras."""
        asked = [(row, backend) for row in (self.rows if rows is None else rows) for backend in BACKENDS if row.runs_on(backend)]
        return sum(max(0, row.seeds - len(self.of(row, backend))) for row, backend in asked)

    def untrained(self, left_out: Collection[Row] = ()) -> Iterator[str]:
        """The line behind a table that says how many are missing, where any are, and one for rows that are left out."""
        if missing := self.missing([row for row in self.rows if row not in left_out]):
            yield f"{missing} cells of {len(cells(self.rows, BACKENDS))} have not been trained yet."
        if unasked := self.missing(list(left_out)):
            yield f"{unasked} cells are not trained, because no seed learned at a shorter lag."


LeftOut = Callable[[Row, Results], str]
"""Why a row is not trained, given all results that there are, in words that fit into a table; nothing where it is to be trained."""


@dataclass(frozen=True)
class Experiment:
    """One experiment: what it answers, what it takes, what it trains in earnest and for `--quick`.

    `tables` gives Markdown; `figure` draws what the pictures show, one figure a name. With `left_out`, a row may be left out by what
    rows before it gave.
    """

    name: str
    question: str
    cost: str
    rows: tuple[Row, ...]
    quick: tuple[Row, ...]
    tables: Callable[[Seen], Iterator[str]]
    figures: Callable[[Seen], dict[str, Figure]]
    left_out: LeftOut | None = None


def mean(values: Sequence[float]) -> str:
    """`0.978 ± 0.002 ×3`: the mean of accuracies over seeds with half of its 95 % interval, where there are several; `–` for none."""
    if not values:
        return "–"
    low, high = interval(values)
    half = f" ± {(high - low) / 2:.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{half} ×{len(values)}"


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Student's 95 % interval of the mean accuracy, on the logit scale, so that it stays within 0 and 1; one value has none but itself."""
    x = LOGIT.forward(np.asarray(values, np.float64))
    if len(x) < 2:
        return float(values[0]), float(values[0])
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(x) - 1) * x.std(ddof=1) / len(x) ** 0.5)
    low, high = (float(np.clip(LOGIT.backward(x.mean() + sign * half), 0, 1)) for sign in (-1, 1))
    return low, high
