"""Images read through time: digits and MNIST pixel by pixel, and MNIST row by row."""

from __future__ import annotations

from collections.abc import Iterator

from bench.experiments.cell import Row
from bench.experiments.experiment import NAMES, Experiment, Seen, mean, published
from bench.experiments.memory import CLIPPED
from bench.experiments.pictures import Figure, lines
from bench.report.text_table import markdown

SETTINGS = "width=64,batch=32,init=glorot_uniform,optimizer=adam,lr=0.001"
CELLS: dict[str, str] = {
    "tanh, orthogonal, clipped": f"cell=tanh,{CLIPPED}",
    "ReLU, identity, clipped": f"cell=relu,recurrent=identity,{CLIPPED}",
    "LSTM, forget bias 1": "cell=lstm",
    "LSTM, chrono": "cell=lstm,forget=chrono",
    "GRU": "cell=gru",
}
READ = {28: ("mnist", "rows of MNIST"), 64: ("digits", "pixels of digits"), 784: ("mnist", "pixels of MNIST")}
"""Time steps of a sample, and what they are of."""
LONGEST = max(READ)
PUBLISHED = {label: f"{each['value']:.3f}, {each['of']}" for label, each in published("pixels")["accuracy"].items()}
"""Test accuracies of the longest sequence, after trainings hundreds of times as long."""


def _row(label: str, length: int, settings: str, epochs: int, seeds: int) -> Row:
    data = READ[length][0]
    return Row(label, length, f"rnn,length={length},{settings},{CELLS[label]}", epochs, seeds, axis="steps", data=data)


def _rows(length: int, epochs: int, seeds: int = 3) -> tuple[Row, ...]:
    settings = SETTINGS if length == 64 else SETTINGS.replace("batch=32", "batch=128")
    return tuple(_row(label, length, settings, epochs, seeds) for label in CELLS)


def _tables(seen: Seen) -> Iterator[str]:
    table = [["cell", "time steps", "epochs", "published", *(NAMES[each] for each in seen.backends), "first ÷ last pixel", "ms a step"]]
    for row in sorted(seen.rows, key=lambda row: row.depth):
        found = {backend: seen.of(row, backend) for backend in seen.backends}
        results = [result for each in found.values() for result in each]
        if not results:
            continue
        change = [each for result in results if (each := result.decades_in_time()) is not None]
        ratio = f"10^{sum(change) / len(change):+.1f}" if change else "–"
        times = " / ".join(f"{each[0].ms_a_step:.0f}" if each else "–" for each in found.values())
        accuracies = [mean([result.last for result in each]) for each in found.values()]
        what, before = f"{row.depth} {READ[row.depth][1]}", PUBLISHED.get(row.label, "–") if row.depth == LONGEST else "–"
        table.append([row.label, what, str(row.epochs), before, *accuracies, ratio, times])
    if len(table) > 1:
        yield from (*markdown(table), "")
    yield from seen.untrained()


def _figures(seen: Seen) -> dict[str, Figure]:
    series = {}
    for label in CELLS:
        for backend in seen.backends:
            rows = sorted((row for row in seen.rows if row.label == label), key=lambda row: row.depth)
            points = [(row.depth, [result.last for result in seen.of(row, backend)]) for row in rows]
            series[label, NAMES[backend]] = [point for point in points if point[1]]
    several = len({length for points in series.values() for length, _ in points}) > 1
    return lines(series, "pixels", "time steps", "accuracy after the last epoch") if several else {}


ROWS = (*_rows(64, 20), *_rows(28, 3), *_rows(784, 3, seeds=1))
PIXELS = Experiment(
    "pixels",
    "Which cell reads an image pixel by pixel, over 64 steps of digits and 784 of MNIST, or MNIST row by row?",
    f"{2 * sum(row.seeds for row in ROWS)} cells, about 2 core-hours; minutes for digits",
    ROWS,
    tuple(_row(label, 64, SETTINGS.replace("width=64", "width=16"), 1, 1) for label in ("tanh, orthogonal, clipped", "GRU")),
    _tables,
    _figures,
)
