"""How steep and how nonlinear what follows a layer is: gradient scale and nonlinearity coefficients by layer.

Sources: Philipp, Song & Carbonell 2017, "Gradients explode - Deep Networks are shallow - ResNet explained"; Philipp & Carbonell 2018,
"The Nonlinearity Coefficient - Predicting Generalization in Deep Neural Networks". With J the Jacobian of x_L by x_k (n × n),

    GSC_k = (‖J‖²/n)·‖x_k‖²/‖x_L‖²,      NLC_k² = E tr(J Cov(x_k) Jᵀ)/tr Cov(x_L).

Both are free of the weights' scale, and 1 for linear networks of any depth. ‖J‖² is n·‖∂L/∂x_k‖²/‖∂L/∂x_L‖² for gradients of random
direction, so that at infinite width, with q_k the mean square and p_k the covariance of two inputs,

    GSC_k = Πχ·q_k/q_L,      NLC_k² = Πχ·(q_k − p_k)/(q_L − p_L),      products over k … L − 1.

Here: white noise, width 128, L = 31 layers of variance 2/fan-in, sums over the batch. What differs: the papers look from the input or
from any layer to the output, here to the last hidden layer (of residual networks the stream), for the read-out is but one more
product. They have data where noise is here. Batch normalization couples samples: its gradients are those of the whole batch, with
the rate of its size. Definitions are quoted from memory; the second paper's figures take averages over architectures, not compared.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bench.selftest.studies.literature.passes import (
    FIRST_DRAW,
    deltas,
    drawn,
    in_framework,
    in_frameworks,
    in_reference,
    streams,
    surprising,
)
from bench.theory.correlation import joint_moments
from bench.theory.meanfield import growths
from bench.theory.moments import moments
from bench.theory.plot import COLOURS, figure, save
from models.arrays import Array
from models.observation import ForcedStep, WatchedPass
from models.reference.network import Pass
from models.spec import Spec
from models.worker.process import Worker

WIDTH, BATCH, LAYERS, S2 = 128, 32, 31, 2.0
SEEDS, DRAWS = 8, 24
"""Networks in each framework, and those of the same width in the NumPy reference."""
NETWORKS = {
    "ReLU": "", "tanh": "act=tanh", "batch norm": "norm=batch", "residual": "skip=one,skip_order=pre",
    "batch norm, residual": "norm=batch,skip=one,skip_order=pre",
}  # fmt: skip
NAMES = ("GSC", "NLC")
Curve = dict[str, Any]
"""`backend`, `network`, and by layer 1 … L the natural logs of its `GSC` and `NLC`."""


def spec_of(network: str) -> Spec:
    """As many logits as units, so that every sample has a gradient of its own direction."""
    sizes = f"depth={LAYERS + 1},width={WIDTH},features={WIDTH},classes={WIDTH},batch={BATCH},init=he_normal,lr=1e-9"
    return Spec.parse(",".join(filter(None, [sizes, NETWORKS[network]])))


def step(network: str, seed: int, gain: float = 1.0) -> ForcedStep:
    """Weights and white noise; sample i has label i, and all logits are nearly 0."""
    return dataclasses.replace(drawn(spec_of(network), seed, gain), labels=np.arange(BATCH))


def measure(backends: tuple[str, ...] = ("torch", "keras"), networks: tuple[str, ...] = tuple(NETWORKS)) -> list[Curve]:
    """Log coefficients by layer, the mean over seeds."""

    def look(worker: Worker, network: str) -> Array:
        spec = spec_of(network)
        return np.mean([coefficients(spec, in_framework(worker, spec, step(network, seed))) for seed in range(SEEDS)], axis=0)

    curves = []
    for backend, network, logs in in_frameworks(backends, networks, look):
        curves.append(curve(backend, network, logs))
        first = [f"{name} {np.exp(curves[-1][name][0]):.3g}" for name in NAMES]
        law = [f"{each:.3g}" for each in np.exp(predicted(network)[:, 0])]
        print(f"{backend} {network}: {', '.join(first)}, predicted {', '.join(law)}", flush=True)
    return curves


def curve(backend: str, network: str, logs: Array) -> Curve:
    """A row of the record."""
    rounded = {name: [round(float(each), 4) for each in row] for name, row in zip(NAMES, logs, strict=True)}
    return {"backend": backend, "network": network, **rounded}


def coefficients(spec: Spec, seen: WatchedPass | Pass) -> Array:
    """Logs of GSC and NLC of layers 1 … L (2 × L)."""
    x, d = streams(spec, seen), deltas(spec, seen)
    spread = [each - each.mean(0) for each in x]
    end = np.sum(d[-1] ** 2)
    gsc = [np.sum(g**2) * np.sum(s**2) / (end * np.sum(x[-1] ** 2)) for g, s in zip(d, x, strict=True)]
    # δᵀ Cov δ of every sample; a mean over outputs of (Jᵀv)ᵀ Cov (Jᵀv) is tr(J Cov Jᵀ)/n.
    nlc2 = [np.sum((g @ s.T) ** 2) * WIDTH / (end * np.sum(spread[-1] ** 2)) for g, s in zip(d, spread, strict=True)]
    return np.array([np.log(gsc), np.log(nlc2) / 2])


@cache
def finite_width(network: str) -> Array:
    """The same of networks of this width in NumPy (networks × 2 × L)."""
    spec = spec_of(network)
    return np.array([coefficients(spec, in_reference(spec, step(network, seed))) for seed in range(FIRST_DRAW, FIRST_DRAW + DRAWS)])


def predicted(network: str) -> Array:
    """The same at infinite width."""
    spec = spec_of(network)
    keep, act, q, p = float(spec.arch.span > 0), spec.arch.act, [S2], [0.0]
    for _ in range(LAYERS - 1):
        variance, c = (1.0, 0.0) if spec.arch.norm == "batch" else (q[-1], p[-1] / q[-1])
        q.append(keep * q[-1] + S2 * moments(act, variance).square)
        p.append(keep * p[-1] + S2 * joint_moments(act, variance, c).product)
    chi = np.log(growths(spec, np.array([[1.0], [-1.0]])))[: LAYERS - 1]
    back = np.append(np.cumsum(chi[::-1])[::-1], 0.0)
    square, spread = np.log(q), np.log(np.subtract(q, p))
    return np.array([back + square - square[-1], (back + spread - spread[-1]) / 2])


def outliers(curves: list[Curve]) -> list[tuple[str, str, str, int]]:
    """Where the mean over `SEEDS` is not a draw from the networks of its width: (backend, network, coefficient, layer)."""
    found = []
    for each in curves:
        for at, name in enumerate(NAMES):
            off = surprising(np.asarray(each[name]), SEEDS, finite_width(each["network"])[:, at])
            found += [(each["backend"], each["network"], name, int(place) + 1) for place in np.flatnonzero(off)]
    return found


def plot(curves: list[Curve], path: Path) -> None:
    """Both coefficients over the layers to the last one, a panel a network."""
    figure_, axes = figure(len(NETWORKS), 2.9, 3.6)
    down = LAYERS - np.arange(1, LAYERS + 1)
    for at, network in zip(axes[0], NETWORKS, strict=True):
        law, draws = predicted(network) / np.log(10), finite_width(network) / np.log(10)
        mean, sd = draws.mean(0), draws.std(0, ddof=1)
        for row, (name, colour) in enumerate(zip(NAMES, ("0.85", "moccasin"), strict=True)):
            at.fill_between(down, mean[row] - 2 * sd[row], mean[row] + 2 * sd[row], color=colour, label=f"{name}, width {WIDTH}, ± 2 sd")
            at.plot(down, law[row], color="0.4", ls=("-", "--")[row], label=f"{name}, infinite width")
            for each in (each for each in curves if each["network"] == network):
                backend = each["backend"]
                mark = {"torch": "os", "keras": "x+"}[backend][row]
                how = {"color": COLOURS[backend], "marker": mark, "ms": 4, "mfc": "none", "lw": 0, "label": f"{name}, {backend}"}
                at.plot(down[::3], np.asarray(each[name])[::3] / np.log(10), **how)
        at.set(xlabel="layers to the last", title=network)
    axes[0][0].set_ylabel("log₁₀ coefficient")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure_.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=8)
    save(path, figure_)
