"""Recipes that train nets of 100 layers to 97.5 % within 20 epochs, and one of 1,000 layers to 97 %."""

from __future__ import annotations

from collections.abc import Iterator

from bench.experiments.cell import Row, cells
from bench.experiments.experiment import BACKENDS, NAMES, Experiment, Seen, mean
from bench.experiments.pictures import Figure, lines
from bench.report.text_table import markdown

GOALS = {100: 0.975, 1000: 0.97}
PRE = "skip=two,skip_order=pre"
RECIPES: dict[str, str] = {
    "layer norm, branches divided by √blocks": f"norm=layer,{PRE},branch=depth,init=he_normal,lr=0.001",
    "RMS norm, branches divided by √blocks": f"norm=rms,{PRE},branch=depth,init=he_normal,lr=0.001",
    "batch norm, branches divided by √blocks": f"norm=batch,{PRE},branch=depth,init=he_normal,lr=0.001",
    "no norm, branches that start at zero": f"{PRE},branch=zero,init=he_normal,lr=0.0003",
    "no norm, branches divided by √blocks": f"{PRE},branch=depth,init=he_normal,lr=0.0003",
    "group norm, branches divided by √blocks": f"norm=group,{PRE},branch=depth,init=he_normal,lr=0.001",
    "no norm, branches times a learned number that starts at zero": f"{PRE},branch=rezero,init=he_normal,lr=0.0003",
    "tanh, orthogonal, no norm, no skips": "act=tanh,init=orthogonal,lr=0.0001",
}
"""All with Adam, standardised inputs, pre-activation skips over two layers where there are skips."""
EPOCHS = {100: 4, 1000: 3}
"""Fewer than the twenty of the question: a warm-up and a fall to zero in four get there."""
DEEP: dict[str, str] = {
    "no norm, branches that start at zero": f"{PRE},branch=zero,init=he_normal,lr=0.0001",
    "layer norm, branches divided by √blocks": f"norm=layer,{PRE},branch=depth,init=he_normal,lr=0.0002",
}


def _rows(depth: int, recipes: dict[str, str], sizes: str, epochs: int, seeds: int) -> tuple[Row, ...]:
    return tuple(
        Row(label, depth, f"depth={depth},{sizes},optimizer=adam,{recipe}", epochs, seeds, schedule="warm-up", inputs="standard")
        for label, recipe in recipes.items()
    )


def _tables(seen: Seen) -> Iterator[str]:
    table = [["recipe", "depth", "epochs", *(NAMES[each] for each in seen.backends), "goal", "reached", "first ÷ last", "ms a step"]]
    for row in seen.rows:
        found = {backend: seen.of(row, backend) for backend in seen.backends}
        results = [result for each in found.values() for result in each]
        if not results:
            continue
        goal, both = GOALS.get(row.depth), [sum(r.best for r in each) / len(each) for each in found.values() if each]
        reached = "–" if goal is None else "yes" if min(both) >= goal else "no"
        reached += "" if len(both) == len(found) or goal is None else ", in one framework"
        change = [each for result in results if (each := result.decades()) is not None]
        ratio = f"10^{sum(change) / len(change):+.1f}" if change else "–"
        times = " / ".join(f"{each[0].ms_a_step:.1f}" if each else "–" for each in found.values())
        accuracies = [mean([result.best for result in each]) for each in found.values()]
        table.append([row.label, str(row.depth), str(row.epochs), *accuracies, f"{goal}" if goal else "–", reached, ratio, times])
    if len(table) > 1:
        yield from (*markdown(table), "")
    yield from seen.untrained()


def _figures(seen: Seen) -> dict[str, Figure]:
    series = {
        (row.label, NAMES[backend]): [(epoch, [result.accuracy[epoch - 1] for result in results]) for epoch in range(1, row.epochs + 1)]
        for row in seen.rows
        if row.depth == min(row.depth for row in seen.rows)
        for backend in seen.backends
        if (results := [each for each in seen.of(row, backend) if len(each.accuracy) == row.epochs])
    }
    return lines(series, "recipes", "epoch", "accuracy", least=0.9)


SIZES = "width=128,batch=128"
ROWS = (*_rows(100, RECIPES, SIZES, EPOCHS[100], 3), *_rows(1000, DEEP, SIZES, EPOCHS[1000], 1))
DEEP_RECIPES = Experiment(
    "recipes",
    "Which recipes train 100 layers to 97.5 % within 20 epochs, and 1,000 layers to 97 %, in both frameworks?",
    f"{len(cells(ROWS, BACKENDS))} cells, about 4 core-hours",
    ROWS,
    _rows(12, dict(list(RECIPES.items())[:2]), "width=32,batch=32", 2, 1),
    _tables,
    _figures,
)
