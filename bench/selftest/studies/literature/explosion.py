"""Batch normalization makes gradients explode at a rate that only activation and batch size decide.

Source: Yang, Pennington, Rao, Sohl-Dickstein & Schoenholz 2019, "A Mean Field Theory of Batch Normalization": squared gradients grow by
π/(π − 1) = 1.467 per ReLU layer for large batches, and faster for small ones. Here: white noise, width 256, 24 layers of the frameworks'
own layers and initialization; the rate is the geometric mean over the inner 16 layers. What differs: the paper measures single
networks of width 1,024 or more; finite width moves the rate by up to 3 %.
"""

from __future__ import annotations

import itertools
import math
from functools import cache
from pathlib import Path

import numpy as np

from bench.judging.tolerance import BAND_Z
from bench.progress import track
from bench.theory.ensemble import sample
from bench.theory.moments import batch_norm_growth, moments
from bench.theory.plot import COLOURS, figure, save
from models.observation import ForcedStep, Job, Observation
from models.reference.draws import draw_weights
from models.spec import Spec
from models.worker.process import Worker

BATCHES, ACTIVATIONS = (8, 16, 32, 64, 128), ("relu", "tanh")
WIDTH, DEPTH, FIRST, LAST, SEEDS = 256, 24, 4, 20, 2
DRAWS = 12
"""Random networks of the same width in NumPy, whose mean and spread of the rate finite width explains (`bench.theory.ensemble`)."""
Row = dict[str, float | str]


def measure(backends: tuple[str, ...] = ("torch", "keras"), batches: tuple[int, ...] = BATCHES) -> list[Row]:
    """Growth of the squared gradient norm per layer, by backend, activation and batch."""
    rows: list[Row] = []
    for backend in backends:
        worker = Worker(backend)
        try:
            for act, batch in track(list(itertools.product(ACTIVATIONS, batches)), f"networks of {backend}"):
                rates = [_rate(worker, act, batch, seed) for seed in range(SEEDS)]
                mean, sd = finite_width(act, batch)
                growth = round(math.exp(float(np.mean(rates))), 4)
                law = {"law": round(math.exp(mean), 4), "sd": round(sd, 5)}
                rows.append({"backend": backend, "act": act, "batch": batch, "growth": growth, **law})
                print(f"{backend} {act} batch {batch}: {rows[-1]['growth']}, predicted {batch_norm_growth(act, batch):.4f}", flush=True)
        finally:
            worker.close()
    return rows


def _spec(act: str, batch: int) -> Spec:
    return Spec.of(depth=DEPTH, width=WIDTH, features=WIDTH, batch=batch, act=act, norm="batch", lr=1e-9)


def _inputs(batch: int, seed: int) -> np.ndarray:
    return np.random.default_rng([seed, batch, 7]).standard_normal((batch, WIDTH)).astype(np.float32)


def _rate(worker: Worker, act: str, batch: int, seed: int) -> float:
    spec = _spec(act, batch)
    forced_step = ForcedStep(draw_weights(spec, seed), _inputs(batch, seed), np.arange(batch) % spec.classes)
    native = worker.call("observe", Observation, job=Job(worker.backend, spec, seed=seed, forced_steps=[forced_step])).native
    assert native, "a job with forced steps watches a pass"
    deltas = (native.pre_activation_gradients[f"dense{layer}"] for layer in (FIRST, LAST))
    first, last = (float(np.log(np.square(delta.astype(np.float64)).sum())) for delta in deltas)
    return (first - last) / (LAST - FIRST)


@cache
def finite_width(act: str, batch: int) -> tuple[float, float]:
    """Mean and standard deviation of the log rate over networks of this width."""
    delta = sample(_spec(act, batch), _inputs(batch, 99).astype(np.float64), DRAWS).delta
    rates = (delta[f"dense{FIRST}"] - delta[f"dense{LAST}"]) / (LAST - FIRST)
    return float(rates.mean()), float(rates.std(ddof=1))


def outliers(rows: list[Row]) -> list[Row]:
    """Rates that are not a draw from the networks of their width."""
    allowed = BAND_Z * (1 / SEEDS + 1 / DRAWS) ** 0.5
    return [row for row in rows if not abs(math.log(float(row["growth"]) / float(row["law"]))) <= allowed * float(row["sd"])]


def plot(rows: list[Row], path: Path) -> None:
    """Rates over batch size, with the predicted curve and its limit."""
    drawn, axes = figure(len(ACTIVATIONS), 4.2)
    for at, act in zip(axes[0], ACTIVATIONS, strict=True):
        sizes = sorted({int(row["batch"]) for row in rows})
        at.plot(sizes, [batch_norm_growth(act, size) for size in sizes], color="0.4", label="predicted")
        m = moments(act, 1.0)
        at.axhline(m.slope / m.variance, color="0.7", ls=":", label="large batches")
        for backend, mark in (("torch", "o"), ("keras", "x")):
            mine = [row for row in rows if row["act"] == act and row["backend"] == backend]
            at.plot(
                [row["batch"] for row in mine], [row["growth"] for row in mine], mark, color=COLOURS[backend], mfc="none", label=backend
            )
        at.set(xscale="log", xlabel="batch", ylabel="growth of ‖∂L/∂z‖² per layer", title=act)
        at.set_xticks(sizes, [str(size) for size in sizes])
        at.minorticks_off()
        at.legend(frameon=False)
    save(path, drawn)
