"""How deep a tanh network can be and still train: depth × weight variance on MNIST, with the line 6 ξ_c.

Source: Schoenholz, Gilmer, Ganguli & Sohl-Dickstein 2017, "Deep Information Propagation", figure 5, in the variant of the public
reproduction ghliu/mean-field-fcdnn: MNIST scaled to [−½, ½], width 300, bias variance 0.05, weight variance s2/fan-out, log-softmax
with negative log-likelihood, batch 256, SGD with rate 1e-3 and no momentum, 200 steps. What differs: the paper's figure has more
steps and other rates; from the reproduction, width and batch are 128, for a tenth of the time, with the rate 2.5e-3, since the change of f
per step goes with rate × width; accuracy is that on 2,000 test images; the grid
is coarser; one seed (`SEEDS`), PyTorch alone. With s2/fan-out the
last layer (128 → 10) is 13 times larger than theory's s2/fan-in, which lets 200 such small steps suffice.
"""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bench.progress import track
from bench.selftest.studies.literature.pairs import critical
from bench.theory.correlation import depth_scales
from bench.theory.plot import figure, save
from fixtures.data.datasets import load
from models.architectures import graph
from models.observation import Job, Observation, Training
from models.reference.draws import BIAS_SD
from models.spec import Spec
from models.worker.process import Worker

VARIANCES = (1.0, 1.2, 1.4, 1.6, 1.76, 2.0, 2.5, 3.0, 4.0)
DEPTHS = (8, 16, 24, 32, 40, 52, 64, 80)
SEEDS = (0,)
BATCH, STEPS, WIDTH, RATE, TESTED = 128, 200, 128, 2.5e-3, 2000
ALMOST, SURELY_NOT = 3.0, 10.0
"""In units of ξ_c: up to the first every network must train, from the second on none may. In between the budget decides as well."""
REACH = 52
"""Deepest network that these steps train at the critical s2 = 1.76, where ξ_c is infinite (recorded: 0.58 at 52, 0.497 at 64): where
3 ξ_c is more than that, the budget of steps decides and not ξ_c, and nothing is demanded."""
TRAINED, UNTRAINED = 0.5, 0.35
"""Test accuracies that count as trained and as not; ten classes."""
Cell = dict[str, Any]
"""`s2`, `depth`, and by seed the `accuracies`."""


def measure(
    folder: Path | None,
    threads: int = 1,
    variances: tuple[float, ...] = VARIANCES,
    depths: tuple[int, ...] = DEPTHS,
    seeds: tuple[int, ...] = SEEDS,
) -> list[Cell]:
    """Test accuracy after `STEPS` steps for every s2, depth and seed. Raises DataError without MNIST in `folder`."""
    data = load("mnist", folder=folder)
    low, high = data.x_train.min(), data.x_train.max()
    x, test = (((each - low) / (high - low) - 0.5).astype(np.float32) for each in (data.x_train, data.x_test[:TESTED]))
    orders = {seed: np.random.default_rng(seed).permutation(len(x))[: STEPS * BATCH].reshape(STEPS, BATCH) for seed in seeds}
    worker, cells = Worker("torch", threads=threads), []
    try:
        for s2, depth in track(list(itertools.product(variances, depths)), "networks"):
            spec = Spec.of(
                depth=depth, width=WIDTH, batch=BATCH, features=x.shape[1], act="tanh", bias="normal", optimizer="sgd", lr=RATE,
                init="lecun_normal",
            )  # fmt: skip
            free = [Training(seed, draw(spec, s2, seed), x, data.y_train, order, np.ones(STEPS)) for seed, order in orders.items()]
            job = Job("torch", spec, trainings=free, x_test=test, labels_test=data.y_test[:TESTED])
            done = worker.call("observe", Observation, job=job).trainings
            cells.append({"s2": s2, "depth": depth, "accuracies": [round(each.accuracy, 4) for each in done]})
            print(f"s2={s2:g} depth={depth} accuracy {accuracy(cells[-1]):.3f}", flush=True)
    finally:
        worker.close()
    return cells


def accuracy(cell: Cell) -> float:
    """Mean over seeds."""
    return float(np.mean(cell["accuracies"]))


def draw(spec: Spec, s2: float, seed: int) -> dict[str, Any]:
    """Gaussian weights of variance s2/fan-out and biases of variance 0.05."""
    rng, weights = np.random.default_rng([seed, spec.arch.depth, round(100 * s2)]), {}
    for node in graph(spec).dense:
        shape = (node.fan_out, node.fan_in)
        weights[node.weight] = (rng.standard_normal(shape) * (s2 / shape[0]) ** 0.5).astype(np.float32)
        weights[node.bias] = (rng.standard_normal(shape[0]) * BIAS_SD).astype(np.float32)
    return weights


@cache
def scale(s2: float) -> float:
    """ξ_c in layers; large near the critical s2 = 1.761, where it diverges."""
    return depth_scales("tanh", s2, BIAS_SD**2).xi_c


def outliers(cells: list[Cell]) -> list[Cell]:
    """Cells that contradict the theory: untrained although depth ≤ 3 ξ_c, or trained although depth ≥ 10 ξ_c."""
    return [
        cell
        for cell in cells
        if (cell["depth"] <= ALMOST * scale(cell["s2"]) and ALMOST * scale(cell["s2"]) <= REACH and accuracy(cell) < TRAINED)
        or (cell["depth"] >= SURELY_NOT * scale(cell["s2"]) and accuracy(cell) > UNTRAINED)
    ]


def plot(cells: list[Cell], path: Path) -> None:
    """Accuracy as colour and number, a row a depth and a column an s2, with 6 ξ_c as a line.

    Rows and columns are equally wide, so that every number has its place; the line is drawn between them.
    """
    drawn, ((axes,),) = figure(1, 7.2, 4.6)
    variances, depths = (sorted({cell[name] for cell in cells}) for name in ("s2", "depth"))
    grid = np.full((len(depths), len(variances)), np.nan)
    for cell in cells:
        grid[depths.index(cell["depth"]), variances.index(cell["s2"])] = accuracy(cell)
    image = axes.imshow(grid, vmin=0.1, vmax=0.9, cmap="viridis", origin="lower", aspect="auto")
    for (row, column), value in np.ndenumerate(grid):
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color="w" if value < 0.6 else "k", fontsize=8)
    edge = critical("tanh", BIAS_SD**2)
    for side in (np.linspace(min(variances), edge - 0.02, 80), np.linspace(edge + 0.02, max(variances), 80)):
        columns = np.interp(side, variances, range(len(variances)))
        rows = np.interp([6 * scale(float(s2)) for s2 in side], depths, range(len(depths)), left=np.nan, right=np.nan)
        axes.plot(columns, rows, color="tab:red", lw=2.5, label="depth = 6 ξ_c" if side[0] < edge else None)
    axes.set_xticks(range(len(variances)), [f"{s2:g}" for s2 in variances])
    axes.set_yticks(range(len(depths)), [str(depth) for depth in depths])
    axes.set(xlabel="weight variance s2 = fan · Var W", ylabel="depth", title=f"tanh, width {WIDTH}: MNIST accuracy after {STEPS} steps")
    drawn.legend(loc="outside lower right", frameon=False)
    drawn.colorbar(image, ax=axes, label="accuracy")
    save(path, drawn)
