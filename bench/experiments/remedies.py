"""Every remedy by itself, on the plain net that does not train at depth 40 and 100, beside what theory said before it was trained."""

from __future__ import annotations

from collections.abc import Iterator

from bench.experiments import predictions
from bench.experiments.cell import Row, cells
from bench.experiments.depth import OUTSIDE, PLAIN
from bench.experiments.experiment import BACKENDS, NAMES, Experiment, Seen, mean
from bench.experiments.pictures import Figure, predicted_and_seen
from bench.report.text_table import markdown
from models.architectures.dynamical import ODE
from models.parts.activations import ACTIVATIONS, TAILORED
from models.parts.initializers import INITIALIZERS
from models.parts.norms import NORMS
from models.parts.optimizers import OPTIMIZERS

TRAINS = 0.9
"""Accuracy from which a net counts as one that trains; chance is 0.1."""
SIZES = {"width": "128", "batch": "128"}
BASE = {"init": "glorot_uniform", "optimizer": "rmsprop", "lr": "0.001"}
"""The plain net of the experiment `depth`."""
NORM = {"eps": "0.001", "momentum": "0.99"}
PRE = {"skip": "two", "skip_order": "pre"}
OLD = ("linear", "relu"), ("torch_default", "keras_default", "glorot_uniform"), ("rmsprop",)
"""Activations, initializers and optimizers that are no change, or that change nothing by themselves."""

CHANGES: dict[str, dict[str, str]] = {
    PLAIN: {},
    **{f"{name} activation": {"act": name} for name in ACTIVATIONS if name not in OLD[0]},
    "concatenated ReLU": {"mirror": "independent", "width": "64"},
    "concatenated ReLU that looks linear, orthogonal": {"mirror": "looks_linear", "width": "64", "init": "orthogonal"},
    **{f"{name} initialization": {"init": name} for name in INITIALIZERS if name not in OLD[1]},
    **{f"{name} normalization": {"norm": name, **(NORM if name == "batch" else {})} for name in NORMS},
    "skips over two": {"skip": "two"},
    "skips, sums divided by √2": {"skip": "two", "branch": "root2"},
    "skips, branches divided by √blocks": {"skip": "two", "branch": "depth"},
    "pre-activation skips": PRE,
    "pre-activation skips, branches divided by √blocks": {**PRE, "branch": "depth"},
    "pre-activation skips, branches that start at zero": {**PRE, "branch": "zero"},
    "skips, branches times a learned number that starts at zero": {"skip": "two", "branch": "rezero"},
    "pre-activation skips, branches times a learned number that starts at zero": {**PRE, "branch": "rezero"},
    "pre-activation skips, Fixup": {**PRE, "branch": "fixup", "init": "he_normal"},
    "pre-activation skips, variance of weights divided by the block's number": {**PRE, "variance_decay": "1"},
    "widths that fall to a quarter": {"last_width": "32"},
    "weights of 1.5 times the size": {"gain": "1.5"},
    "pre-activation bottlenecks of a quarter": {**PRE, "bottleneck": "4"},
    "each gradient clipped to norm 1": {"clip": "variable", "clip_at": "1"},
    "all gradients clipped to norm 1": {"clip": "global", "clip_at": "1"},
    "gradients clipped to 0.5": {"clip": "value", "clip_at": "0.5"},
    "learning rate 1e-4": {"lr": "0.0001"},
    "batch norm and learning rate 3e-3": {"norm": "batch", **NORM, "lr": "0.003"},
    "batch of 32": {"batch": "32"},
    "fewer layers: 10": {"depth": "10"},
    "L1 penalty 1e-5": {"l1": "0.00001"},
    "L2 penalty 1e-4": {"l2": "0.0001"},
    "squared loss": {"loss": "mse"},
    "squared loss of targets scaled by 10": {"loss": "mse", "target_scale": "10"},
    **{f"{name} optimizer": {"optimizer": name, "lr": "0"} for name in OPTIMIZERS if name not in OLD[2]},
    **{f"{name} dynamics": {"family": "ode", "dynamics": name, "act": "relu"} for name in ODE.CHOICES["dynamics"]},
    "He and learning rate 1e-4": {"init": "he_normal", "lr": "0.0001"},
    "orthogonal tanh and learning rate 1e-4": {"act": "tanh", "init": "orthogonal", "lr": "0.0001"},
}
"""Fields that a remedy changes, or the whole family of networks; an optimizer comes with its own usual learning rate."""


def tailored(depth: int) -> dict[str, dict[str, str]]:
    """The activation that suits a plain net of this depth, under orthogonal weights of a size that keeps signals as they are."""
    name = f"tailored_{depth}"
    gain = (2 / (1 + TAILORED[name] ** 2)) ** 0.5
    return {"tailored leaky ReLU, orthogonal": {"act": name, "init": "orthogonal", "gain": f"{gain:.4f}"}}


def rows(depth: int, sizes: dict[str, str], changes: dict[str, dict[str, str]], epochs: int = 2) -> tuple[Row, ...]:
    """Every remedy at one depth, one seed each."""
    made = []
    for label, change in changes.items():
        fields = {"depth": str(depth), **sizes, **BASE, **change}
        family = [fields.pop("family")] if "family" in fields else []
        network = ",".join([*family, *(f"{name}={value}" for name, value in fields.items() if (name, value) != ("lr", "0"))])
        optimizer = OPTIMIZERS[fields["optimizer"]]
        without = tuple(name for name in BACKENDS if getattr(optimizer, name) is None)
        extra = OUTSIDE if fields["optimizer"] == "rmsprop" else {}
        made.append(Row(label, depth, network, epochs, seeds=1, extra=extra, without=without))
    return tuple(made)


def _tables(seen: Seen) -> Iterator[str]:
    foretold = predictions.read()
    for depth in sorted({row.depth for row in seen.rows}):
        backends = seen.backends
        table = [[f"depth {depth}", "predicted gain", "diagnosis", *(NAMES[each] for each in backends), "first ÷ last", "ms a step"]]
        for row in (row for row in seen.rows if row.depth == depth):
            found = {backend: seen.of(row, backend) for backend in backends}
            if not any(found.values()):
                continue
            results = [result for each in found.values() for result in each]
            predicted = foretold.get(row.network)
            said = [f"10^{predicted.decades:+.1f}", predicted.words[0]] if predicted else ["–", "–"]
            change = [each for result in results if (each := result.decades()) is not None]
            ratio = f"10^{sum(change) / len(change):+.1f}" if change else "–"
            times = " / ".join(f"{each[0].ms_a_step:.1f}" if each else "–" for each in found.values())
            best = [mean([result.best for result in each]) if row.runs_on(backend) else "lacks it" for backend, each in found.items()]
            table.append([row.label, *said, *best, ratio, times])
        if len(table) > 1:
            yield from (*markdown(table), "")
    yield from shares(seen, foretold)
    yield from seen.untrained()


def shares(seen: Seen, foretold: dict[str, predictions.Predicted]) -> Iterator[str]:
    """How often theory was right about which nets reach `TRAINS`, by its gain alone and by its whole diagnosis."""
    cases = [
        (foretold[row.network], max(result.best for result in results) >= TRAINS)
        for row in seen.rows
        if row.network in foretold
        for backend in seen.backends
        if (results := seen.of(row, backend))
    ]
    for name, says in (("gain", "by_gain"), ("diagnosis", "by_diagnosis")):
        right = sum(getattr(predicted, says) == trains for predicted, trains in cases)
        if cases:
            yield f"Predicted by {name}: {right} of {len(cases)} right ({right / len(cases):.0%}); {sum(t for _, t in cases)} train."


def _figures(seen: Seen) -> dict[str, Figure]:
    foretold = predictions.read()
    points = {
        NAMES[backend]: [
            (foretold[row.network].decades, max(result.best for result in results))
            for row in seen.rows
            if row.network in foretold and (results := seen.of(row, backend))
        ]
        for backend in seen.backends
    }
    if not any(points.values()):
        return {}
    return {"remedies": predicted_and_seen(points, "predicted decades, last to first gradient", "highest accuracy")}


DEEP = {label: change for label, change in CHANGES.items() if "depth" not in change}
ROWS = (*rows(40, SIZES, CHANGES | tailored(40)), *rows(100, SIZES, DEEP | tailored(100)))
REMEDIES = Experiment(
    "remedies",
    "Which single change lets a plain net of 40 or 100 layers train, and did theory say so before?",
    f"{len(cells(ROWS, BACKENDS))} cells, about 7 core-hours",
    ROWS,
    rows(12, {"width": "32", "batch": "32"}, {label: CHANGES[label] for label in (PLAIN, "layer normalization", "pre-activation skips")}),
    _tables,
    _figures,
)
