"""Gradients at different inputs lose their correlation with depth: fast in plain networks, slowly in residual ones.

Source: Balduzzi, Frean, Leary, Lewis, Ma & McWilliams 2017, "The Shattered Gradients Problem". Here: 48 independent Gaussian inputs,
width 256, 40 hidden layers, v the same for all inputs (one class of a hinge with open margins), R = mean cosine of ∂(v·f)/∂z_l.
What differs: the paper's 2^−L for plain networks supposes that a quarter of the units are active for both inputs in every layer,
which batch normalization with constant statistics brings about; without normalization signals grow alike with depth, and R falls like
Π(1 − arccos(c_l)/π). The frameworks' backward pass goes through the batch statistics, which makes R = −1/(B − 1) at once.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bench.judging.tolerance import BAND_Z
from bench.progress import track
from bench.selftest.studies.literature.pairs import residual_pair
from bench.theory.correlation import joint_moments, plain_pair
from bench.theory.diagnosis import class_correlation
from bench.theory.plot import COLOURS, figure, save
from models.arrays import Signals
from models.observation import ForcedStep, Job, Observation
from models.reference.draws import draw_weights
from models.reference.network import Reference
from models.spec import Spec
from models.worker.process import Worker

WIDTH, BATCH, DEPTH, SEEDS = 256, 48, 42, 3
NETWORKS = {"plain": "", "residual": "skip=one,skip_order=pre", "batch norm": "norm=batch"}
DRAWS, FIRST_DRAW = 16, 500
"""Networks of the same width in the NumPy reference, which say how far finite width takes R from its limit, and their first seed."""
Curve = dict[str, Any]


def measure(backends: tuple[str, ...] = ("torch", "keras")) -> list[Curve]:
    """R by layer for every network, the mean over seeds."""
    curves = []
    for backend in backends:
        worker = Worker(backend)
        try:
            for name in track(list(NETWORKS), f"networks of {backend}"):
                means = np.mean([_correlations(worker, name, seed) for seed in range(SEEDS)], axis=0)
                curves.append({"backend": backend, "network": name, "R": [round(float(r), 4) for r in means]})
                print(
                    f"{backend} {name}: R at layers {DEPTH - 2}, {DEPTH - 12}, 2: {means[-1]:.3f}, {means[-11]:.3f}, {means[0]:.3f}",
                    flush=True,
                )
        finally:
            worker.close()
    return curves


def _spec(name: str) -> Spec:
    return Spec.parse(
        ",".join(filter(None, [f"depth={DEPTH},width={WIDTH},features={WIDTH},batch={BATCH},loss=hinge,lr=1e-9", NETWORKS[name]]))
    )


def _step(spec: Spec, seed: int) -> ForcedStep:
    weights = draw_weights(spec, seed)
    weights[f"dense{DEPTH}.weight"] *= np.float32(2.0**-24)
    x = np.random.default_rng([seed, 11]).standard_normal((BATCH, WIDTH)).astype(np.float32)
    return ForcedStep(weights, x, np.zeros(BATCH, int))


def _correlations(worker: Worker, name: str, seed: int) -> list[float]:
    spec = _spec(name)
    job = Job(worker.backend, spec, forced_steps=[forced_step := _step(spec, seed)])
    shared = worker.call("observe", Observation, job=job).shared
    assert shared, "a job with forced steps watches a pass"
    return _by_layer(shared.pre_activation_gradients, forced_step.labels)


def _by_layer(pre_activation_gradients: Signals, labels: Any) -> list[float]:
    return [class_correlation(pre_activation_gradients[f"dense{layer}"], labels) for layer in range(2, DEPTH - 1)]


@cache
def finite_width(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of R by layer over networks of this width in NumPy."""
    spec, curves = _spec(name), []
    for seed in range(FIRST_DRAW, FIRST_DRAW + DRAWS):
        forced_step = _step(spec, seed)
        curves.append(
            _by_layer(
                Reference(spec, forced_step.weights).run(forced_step.x, forced_step.labels).pre_activation_gradients, forced_step.labels
            )
        )
    return np.mean(curves, axis=0), np.std(curves, axis=0, ddof=1)


def predicted(name: str) -> list[float]:
    """R of layers 2 … depth − 2 at infinite width."""
    layers = range(2, DEPTH - 1)
    if name == "batch norm":
        return [-1 / (BATCH - 1)] * len(layers)
    pair = plain_pair("relu", [(2.0, 0.0)] * DEPTH, 1.0, 0.0)
    if name == "plain":
        return [pair.gradients[layer - 1] for layer in layers]
    # ∂L/∂z_l of a block's only layer is that of the stream behind it, depth − 1 − l blocks before the last activation.
    blocks, v, p = DEPTH - 2, 2.0, 0.0
    shares = residual_pair("relu", 2.0, blocks, v, 0.0)
    for _ in range(blocks):
        v, p = 2 * v, p + 2 * joint_moments("relu", v, p / v).product
    last = joint_moments("relu", v, p / v).slopes / 0.5
    return [last * shares[blocks - layer] for layer in layers]


def outliers(curves: list[Curve]) -> list[tuple[str, str, int]]:
    """Where the mean over `SEEDS` is not a draw from the networks of its width: (backend, network, layer)."""
    found = []
    for curve in curves:
        mean, sd = finite_width(curve["network"])
        off = np.abs(np.asarray(curve["R"]) - mean) / (sd * (1 / SEEDS + 1 / DRAWS) ** 0.5)
        found += [(curve["backend"], curve["network"], layer) for layer, z in enumerate(off, 2) if not z <= BAND_Z]
    return found


def plot(curves: list[Curve], path: Path) -> None:
    """R over the number of layers that the gradient has come down."""
    drawn, axes = figure(len(NETWORKS), 3.6, 3.4)
    down = [DEPTH - layer for layer in range(2, DEPTH - 1)]
    for at, name in zip(axes[0], NETWORKS, strict=True):
        mean, sd = finite_width(name)
        at.fill_between(down, mean - 2 * sd, mean + 2 * sd, color="0.88", label=f"width {WIDTH}, ± 2 sd")
        at.plot(down, predicted(name), color="0.4", label="infinite width")
        for curve in curves:
            if curve["network"] == name:
                at.plot(
                    down,
                    curve["R"],
                    "o" if curve["backend"] == "torch" else "x",
                    color=COLOURS[curve["backend"]],
                    ms=3,
                    mfc="none",
                    label=curve["backend"],
                )
        at.set(xlabel="layers from the output", ylabel="R", title=name, ylim=(-0.1, 1))
        at.legend(frameon=False)
    save(path, drawn)
