"""Why deep batch-normalized nets fail in evaluation mode while training goes on: their running statistics lag behind."""

from __future__ import annotations

from collections.abc import Iterator

from bench.experiments.cell import Row
from bench.experiments.depth import NORMALIZED, OUTSIDE, SETTINGS, network_of
from bench.experiments.experiment import NAMES, Experiment, Seen, mean
from bench.experiments.pictures import Figure, lines
from bench.report.text_table import markdown

BATCHES = 100
"""Batches over which running statistics are computed anew."""


def _rows(depths: tuple[int, ...], settings: str, seeds: int) -> tuple[Row, ...]:
    return tuple(
        Row(NORMALIZED, depth, network_of(NORMALIZED, depth, settings), epochs=2, seeds=seeds, refresh=BATCHES, extra=OUTSIDE)
        for depth in depths
    )


def _tables(seen: Seen) -> Iterator[str]:
    head = ["depth", "", "running statistics", "computed anew", "batches' own", "distance of the last layer", "computed anew"]
    table = [head]
    for row in sorted(seen.rows, key=lambda row: row.depth):
        for backend in seen.backends:
            found = [result.statistics for result in seen.of(row, backend) if result.statistics]
            if found:
                accuracies = ([each.before for each in found], [each.after for each in found], [each.by_batch for each in found])
                distances = ([each.distance_before[-1] for each in found], [each.distance_after[-1] for each in found])
                means = [_mean([value for value in values if value is not None]) for values in distances]
                table.append([str(row.depth), NAMES[backend], *map(mean, accuracies), *means])
    if len(table) > 1:
        yield from (*markdown(table), "")
    yield from seen.untrained()


def _mean(values: list[float]) -> str:
    return f"{sum(values) / len(values):.2f}" if values else "–"


def _figures(seen: Seen) -> dict[str, Figure]:
    series = {}
    for backend in seen.backends:
        for who, pick in (("running", "before"), ("computed anew", "after"), ("batches' own", "by_batch")):
            rows = sorted(seen.rows, key=lambda row: row.depth)
            found = [(row.depth, [getattr(each.statistics, pick) for each in seen.of(row, backend) if each.statistics]) for row in rows]
            series[NAMES[backend], who] = [point for point in found if point[1]]
    return lines(series, "statistics", "depth", "accuracy after 2 epochs")


STATISTICS = Experiment(
    "statistics",
    "Why does a deep batch-normalized net fail in evaluation mode while it trains: are running statistics to blame?",
    "24 cells, about 25 core-minutes",
    _rows((10, 20, 30, 40), SETTINGS, seeds=3),
    _rows((4, 6), SETTINGS.replace("128", "32"), seeds=1),
    _tables,
    _figures,
)
