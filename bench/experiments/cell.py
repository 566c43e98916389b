"""What an experiment trains: rows, which are networks with their settings, and cells, which are a row on one backend from one seed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from models.architectures.levels import coarsened
from models.arrays import PerStep
from models.backends.registry import info
from models.spec import Spec, SpecError

WARM_UP = 100
"""Steps over which the learning rate rises where a row warms up: no more than a tenth of all steps."""
LOOKS = 9
"""How often an epoch's gradients are looked at."""


class Sized(Protocol):
    """Anything with samples of so many features, out of so many classes."""

    @property
    def features(self) -> int:
        """Numbers of one sample."""

    @property
    def classes(self) -> int:
        """Classes, or numbers to be read out."""


@dataclass(frozen=True)
class Row:
    """One network with its settings.

    `label` and `depth` say where it stands in tables; `axis` is what `depth` counts. `data` names what it is trained on, where that is not
    what its experiment is trained on. `extra` are fields by the conventions of a backend, where two frameworks need other numbers to
    compute the same. `schedule` is `constant`, or `warm-up`: a rise over `WARM_UP` steps, then a linear fall to zero. `inputs` lie in
    [0, 1] (`unit`), have mean square 1 (`standard`) or are as a problem draws them (`drawn`). `refresh` is the number of batches over
    which running statistics are computed anew at the end. `mode` is how a step runs, empty for the usual way. Where a row is `weighed`, the
    memory of its last epoch is read, in a worker of its own environment. Frameworks in `without` lack a part of the network.

    `levels` share the epochs evenly, each with a schedule of its own. A level trains the network coarsened by this factor, from where the
    level before it came to. Raises SpecError for epochs that they cannot share.
    """

    label: str
    depth: int
    network: str
    epochs: int = 20
    seeds: int = 3
    schedule: str = "constant"
    inputs: str = "unit"
    refresh: int = 0
    extra: dict[str, str] = field(default_factory=dict, hash=False)
    axis: str = "depth"
    data: str = ""
    mode: str = ""
    weighed: bool = False
    levels: tuple[int, ...] = (1,)
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse epochs that levels cannot share."""
        if self.epochs % len(self.levels):
            raise SpecError(
                f"{self.label} is trained on {len(self.levels)} levels, which cannot share {self.epochs} epochs: use a multiple."
            )

    @property
    def epochs_a_level(self) -> int:
        """Epochs of each level."""
        return self.epochs // len(self.levels)

    def runs_on(self, backend: str) -> bool:
        """Whether a backend has all parts of the network."""
        return info(backend).conventions not in self.without

    def on(self, backend: str) -> str:
        """The network's id on a backend."""
        return ",".join(filter(None, (self.network, self.extra.get(info(backend).conventions, ""))))


@dataclass(frozen=True)
class Cell:
    """A row on one backend from one seed: what is trained at one go."""

    row: Row
    backend: str
    seed: int

    @property
    def setting(self) -> str:
        """All but the seed, as it stands in records."""
        row = self.row
        statistics = f", statistics over {row.refresh} batches" if row.refresh else ""
        inputs = f"{row.inputs} inputs{f' of {row.data}' if row.data else ''}"
        mode = f", {row.mode}" if row.mode else ""
        levels = f", coarsened by {', '.join(map(str, row.levels))} in turn" if len(row.levels) > 1 else ""
        return f"{row.on(self.backend)} · {row.epochs} epochs, {row.schedule} rate, {inputs}{statistics}{mode}{levels} · {self.backend}"

    @property
    def key(self) -> str:
        """Its name in the store and in records."""
        return f"{self.setting} · seed {self.seed}"

    @property
    def cost(self) -> float:
        """Roughly how long it takes beside other cells: layers times epochs, more with normalizations."""
        layers = sum(self.row.depth / factor for factor in self.row.levels)
        return self.row.epochs_a_level * layers * (1.4 if "norm=" in self.row.network else 1.0)

    def spec(self, data: Sized, factor: int = 1) -> Spec:
        """The network for data of that size, or a coarser form of it. Raises SpecError."""
        spec = Spec.parse(self.row.on(self.backend), features=data.features, classes=data.classes)
        return spec if factor == 1 else replace(spec, arch=coarsened(spec.arch, factor))


def cells(rows: Iterable[Row], backends: Iterable[str]) -> list[Cell]:
    """Every cell that can be trained, first seeds first, so that what is finished early says something of every row."""
    rows, backends = list(rows), list(backends)
    most = max((row.seeds for row in rows), default=0)
    asked = [(row, backend) for row in rows for backend in backends if row.runs_on(backend)]
    return [Cell(row, backend, seed) for seed in range(most) for row, backend in asked if seed < row.seeds]


def waves(wanted: Iterable[Cell]) -> Iterator[list[Cell]]:
    """Cells of one seed and depth at a time, in their order: what is left out of a wave depends on those before it."""
    return (list(wave) for _, wave in itertools.groupby(wanted, key=lambda cell: (cell.seed, cell.row.depth)))


def rates(schedule: str, steps: int, epochs: int, number: int) -> PerStep:
    """Factors of the learning rate in the steps of epoch `number`, counted from 1."""
    if schedule == "constant":
        return np.ones(steps)
    total = steps * epochs
    rise = max(1, min(WARM_UP, total // 10))
    step = np.arange((number - 1) * steps, number * steps, dtype=np.float64)
    return np.minimum((step + 1) / rise, (total - step) / (total - rise + 1))
