"""Where samples come from: a data set that stays the same, or a problem of memory whose training samples are new in every epoch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from bench.experiments.cell import Cell, Row
from fixtures.data.datasets import NAMES, Data, load
from fixtures.data.memory_problems import MemoryProblem, problem
from models.arrays import Array
from models.worker.process import Worker

Source = Data | MemoryProblem
Sources = dict[str, Source]
"""By the name of the data; rows that name none have the empty one."""
EPOCH, TESTED = 100, 500
"""Steps of an epoch, and test samples, of a problem of memory."""


def sources(rows: Iterable[Row], usual: str, folder: Path | None) -> Sources:
    """The data of all rows, each loaded once; `usual` is that of rows that name none. Raises DataError."""
    return {name: _source(name or usual, folder) for name in dict.fromkeys(row.data for row in rows)}


def _source(name: str, folder: Path | None) -> Source:
    return load(name, folder=folder) if name in NAMES else problem(name)


def hold(worker: Worker, source: Source, cell: Cell) -> None:
    """Give a worker the samples of a cell's first epoch and those to test on."""
    if isinstance(source, MemoryProblem):
        (x_train, y_train), (x_test, y_test) = drawn(source, cell, 1), source.test(TESTED)
    else:
        x_train, x_test = (inputs_of(x, source, cell.row.inputs).astype(np.float32) for x in (source.x_train, source.x_test))
        y_train, y_test = source.y_train, source.y_test
    worker.call("hold", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)


def renew(worker: Worker, source: Source, cell: Cell, number: int) -> None:
    """Give a worker the samples of epoch `number`, where these are not the same as before."""
    if isinstance(source, MemoryProblem) and number > 1:
        x_train, y_train = drawn(source, cell, number)
        worker.call("renew", x_train=x_train, y_train=y_train)


def drawn(source: MemoryProblem, cell: Cell, number: int) -> tuple[Array, Array]:
    """Samples of one epoch, the same on every backend."""
    return source.samples(EPOCH * cell.spec(source).batch, cell.seed, number)


def steps_of(source: Source, cell: Cell) -> int:
    """How many steps one epoch has."""
    return EPOCH if isinstance(source, MemoryProblem) else len(source.x_train) // cell.spec(source).batch


def inputs_of(x: Array, data: Data, inputs: str) -> Array:
    """Samples as a row wants them: as they are, which is standardised, or with the training set's range moved to [0, 1]."""
    low, high = (data.x_train.min(), data.x_train.max()) if inputs == "unit" else (0.0, 1.0)
    return (x - low) / (high - low)
