"""Accuracy against depth on MNIST: plain, with batch normalization, and with skips as well, as published in 2018."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bench.experiments.cell import Row
from bench.experiments.experiment import NAMES, Experiment, Seen, mean, published
from bench.experiments.pictures import Figure, gradients_over_training, lines
from bench.experiments.record import Result
from bench.report.text_table import markdown

PUBLISHED = published("depth")
SETTINGS = "width=128,batch=128,init=glorot_uniform,optimizer=rmsprop,lr=0.001"
NORM = "norm=batch,eps=0.001,momentum=0.99"
OUTSIDE = {"torch": "", "keras": "optimizer_eps=1e-14"}
"""RMSprop as in 2018, √v + 1e-7. PyTorch still computes that. Keras now computes √(v + ε), which ε = 1e-14 brings nearest."""
INSIDE = {"torch": "optimizer_eps=0.000316228", "keras": ""}
"""RMSprop as Keras 3 has it by default, √(v + 1e-7); √v + 3.16e-4 is the nearest that PyTorch offers."""
PLAIN, NORMALIZED, SKIPPED = FAMILIES = "plain", "batch norm", "batch norm + skip"
MOVED = "plain, ε under the root"
LARGE = "batch norm + skip, batch of 512"
"""The study took larger batches for its deepest net."""
CLIFFS = (PLAIN, 25), (NORMALIZED, 30), (NORMALIZED, 35), (SKIPPED, 40)
"""Where the published accuracy falls; these are trained from more seeds."""
ORDER = (10, 20, 30, 40, 25, 15, 35)
"""Depths in the order in which they are trained: a few first, which show most."""


def network_of(family: str, depth: int, settings: str) -> str:
    """The network of a family, without what the data says."""
    parts: list[str] = {
        PLAIN: [],
        MOVED: [],
        NORMALIZED: [NORM],
        SKIPPED: [NORM, "skip=two"],
        LARGE: [NORM, "skip=two"],
    }[family]
    return ",".join([f"depth={depth}", settings, *parts])


def _depth(family: str, depth: int) -> int:
    """Skips join layers in pairs, which takes an even depth: the next one."""
    return depth + depth % 2 if family == SKIPPED else depth


def _rows(depths: tuple[int, ...], settings: str, deepest: int, epochs: int = 20, seeds: int = 3, at_cliffs: int = 5) -> tuple[Row, ...]:
    made = []
    for depth in depths:
        for family in FAMILIES:
            count = at_cliffs if (family, depth) in CLIFFS else seeds
            made.append(Row(family, depth, network_of(family, _depth(family, depth), settings), epochs, count, extra=OUTSIDE))
        if depth == deepest:
            larger = settings.replace("batch=128", "batch=512").replace("batch=32", "batch=128")
            made.append(Row(MOVED, depth, network_of(MOVED, depth, settings), epochs, seeds, extra=INSIDE))
            made.append(Row(LARGE, depth, network_of(LARGE, depth, larger), epochs, seeds, extra=OUTSIDE))
    return tuple(made)


def _as_published(seen: Seen) -> bool:
    """Whether these rows are trained for as many epochs as the study's."""
    return all(row.epochs == PUBLISHED["epochs"] for row in seen.rows)


def _tables(seen: Seen) -> Iterator[str]:
    depths = sorted({row.depth for row in seen.rows})
    views: list[tuple[str, Callable[[Result], float | None]]] = [
        ("Highest accuracy after any epoch", lambda result: result.best),
        ("Accuracy after the last epoch", lambda result: result.last),
        ("The same by batches' own statistics", lambda result: result.batch_accuracy[-1] if result.batch_accuracy else None),
    ]
    for title, view in views:
        table = [[title, "", *map(str, depths)]]
        for family in (*FAMILIES, LARGE, MOVED):
            if title.startswith("Highest") and family in PUBLISHED["accuracy"] and _as_published(seen):
                points = dict(zip(PUBLISHED["depths"], PUBLISHED["accuracy"][family], strict=True))
                table.append([family, "2018", *(f"{points[depth]:.2f}" if depth in points else "–" for depth in depths)])
            for backend in seen.backends:
                cells = []
                for depth in depths:
                    rows = [row for row in seen.rows if (row.label, row.depth) == (family, depth)]
                    values = [view(result) for row in rows for result in seen.of(row, backend)]
                    cells.append(mean([value for value in values if value is not None]))
                if any(cell != "–" for cell in cells):
                    table.append([family, NAMES[backend], *cells])
        if len(table) > 1:
            yield from (*markdown(table), "")
    yield from seen.untrained()


def _figures(seen: Seen) -> dict[str, Figure]:
    series = {}
    for family in FAMILIES:
        if _as_published(seen):
            points = zip(PUBLISHED["depths"], PUBLISHED["accuracy"][family], strict=True)
            series[family, "2018"] = [(depth, [value]) for depth, value in points]
        for backend in seen.backends:
            rows = sorted((row for row in seen.rows if row.label == family), key=lambda row: row.depth)
            found = [(row.depth, [result.best for result in seen.of(row, backend)]) for row in rows]
            series[family, NAMES[backend]] = [point for point in found if point[1]]
    drawn = lines(series, "depth", "depth", "highest accuracy")
    deepest = max((row.depth for row in seen.rows if any(seen.of(row, backend) for backend in seen.backends)), default=0)
    chosen = {
        (row.label, NAMES[backend]): results[0]
        for row in seen.rows
        if row.depth == deepest and row.label in FAMILIES
        for backend in seen.backends
        if (results := seen.of(row, backend))
    }
    if chosen:
        drawn["depth-gradients"] = gradients_over_training(chosen, f"depth {deepest}")
    return drawn


ROWS = _rows(ORDER, SETTINGS, deepest=40)
DEPTH = Experiment(
    "depth",
    "Up to which depth does a net train plain, with batch norm, with skips, and does that agree with 2018 and between frameworks?",
    f"{2 * sum(row.seeds for row in ROWS)} cells, about 7 core-hours",
    ROWS,
    _rows((4, 6), SETTINGS.replace("128", "32"), deepest=6, epochs=2, seeds=1),
    _tables,
    _figures,
)
