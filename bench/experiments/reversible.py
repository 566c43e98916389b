"""Memory of a training step against depth: reversible layers that keep their activations, and that compute them again from the output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from bench.experiments.cell import Row, cells
from bench.experiments.experiment import BACKENDS, NAMES, Experiment, Seen
from bench.experiments.pictures import Figure, against_depth
from bench.report.text_table import markdown
from models.architectures.reversible import RECOMPUTED

if TYPE_CHECKING:
    from bench.experiments.record import Result

MODES = {"kept": "", "computed again": RECOMPUTED}
DEPTHS = 12, 22, 42, 82
"""10, 20, 40 and 80 layers between the first and the read-out."""
SETTINGS = "step=0.1,init=glorot_uniform,optimizer=sgd,lr=0.1"
"""Without slots of an optimizer, so that what grows with depth is activations and, far less, gradients."""


def _rows(depths: tuple[int, ...], sizes: str, kinds: tuple[str, ...] = ("reversible", "hamiltonian")) -> tuple[Row, ...]:
    return tuple(
        Row(
            f"{dynamics}, {label}", depth, f"ode,dynamics={dynamics},depth={depth},{sizes},{SETTINGS}",
            epochs=3, seeds=1, inputs="standard", data="digits", mode=mode, weighed=True,
        )
        for depth in depths
        for dynamics in kinds
        for label, mode in MODES.items()
    )  # fmt: skip


def _memory(results: list[Result]) -> float | None:
    """The mean over seeds, None where nothing was weighed."""
    found = [result.memory_mb for result in results if result.memory_mb is not None]
    return float(np.mean(found)) if found else None


def slope(points: list[tuple[float, float]]) -> float:
    """MB that a layer more takes, from the shallowest network to the deepest one."""
    (first, least), *_, (last, most) = sorted(points)
    return (most - least) / (last - first)


def _tables(seen: Seen) -> Iterator[str]:
    depths = sorted({row.depth for row in seen.rows})
    table = [["MB in a step", "", *map(str, depths), "MB a layer", "ms a step"]]
    for label in dict.fromkeys(row.label for row in seen.rows):
        for backend in seen.backends:
            rows = [row for row in seen.rows if row.label == label]
            found = {row.depth: (_memory(results), results) for row in rows if (results := seen.of(row, backend))}
            points = [(float(depth), memory) for depth, (memory, _) in found.items() if memory is not None]
            if not found:
                continue
            shown = [f"{memory:.1f}" if depth in found and (memory := found[depth][0]) is not None else "–" for depth in depths]
            times = " / ".join(f"{found[depth][1][0].ms_a_step:.0f}" if depth in found else "–" for depth in depths)
            table.append([label, NAMES[backend], *shown, f"{round(slope(points), 2) + 0.0:.2f}" if len(points) > 1 else "–", times])
    if len(table) > 1:
        yield from (*markdown(table), "")
    yield from seen.untrained()


def _figures(seen: Seen) -> dict[str, Figure]:
    series = {
        (label, NAMES[backend]): [
            (float(row.depth), memory) for row in seen.rows if row.label == label and (memory := _memory(seen.of(row, backend))) is not None
        ]
        for label in dict.fromkeys(row.label for row in seen.rows)
        for backend in seen.backends
    }
    return against_depth(series, "reversible", "MB in a step")


ROWS = _rows(DEPTHS, "width=256,batch=1024")
REVERSIBLE = Experiment(
    "reversible",
    "How does the memory of a step grow with depth where activations are kept, and where reversible layers compute them again?",
    f"{len(cells(ROWS, BACKENDS))} cells, about 3 core-minutes",
    ROWS,
    _rows((6, 18), "width=128,batch=512", kinds=("reversible",)),
    _tables,
    _figures,
)
