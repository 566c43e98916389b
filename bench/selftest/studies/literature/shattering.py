"""Gradients at different inputs lose their correlation with depth: fast in plain networks, slowly in residual ones.

Source: Balduzzi, Frean, Leary, Lewis, Ma & McWilliams 2017, "The Shattered Gradients Problem". Here: 48 independent Gaussian inputs,
width 256, 10 to 50 layers between the first and the read-out, v the same for all inputs (one class of a hinge with open margins),
R = mean cosine of ∂(v·f)/∂z_l; by layer in networks of 40, and at the second layer over the number of layers.
What differs: the paper's 2^−L for plain networks supposes that a quarter of the units are active for both inputs in every layer,
which batch normalization with constant statistics brings about; without normalization signals grow alike with depth, and R falls like
Π(1 − arccos(c_l)/π). The frameworks' backward pass goes through the batch statistics, which makes R = −1/(B − 1) at once.
"""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bench.progress import track
from bench.selftest.studies.literature.pairs import residual_pair
from bench.selftest.studies.literature.passes import FIRST_DRAW, deltas, drawn, in_framework, in_reference, surprising
from bench.theory.correlation import joint_moments, plain_pair
from bench.theory.diagnosis import class_correlation
from bench.theory.plot import COLOURS, figure, save
from models.arrays import Array
from models.observation import WatchedPass
from models.reference.network import Pass
from models.spec import Spec
from models.worker.process import Worker

WIDTH, BATCH, SEEDS = 256, 48, 3
DEPTHS, SHOWN = (12, 22, 32, 42, 52), 42
"""Weight layers of the networks, and of those whose R is drawn layer by layer."""
NETWORKS = {"plain": "", "residual": "skip=one,skip_order=pre", "batch norm": "norm=batch"}
DRAWS = 16
"""Networks of the same width in the NumPy reference, which say how far finite width takes R from its limit."""
Curve = dict[str, Any]
"""`backend`, `network`, `depth`, and `R` of layers 2 … depth − 2."""


def measure(backends: tuple[str, ...] = ("torch", "keras"), depths: tuple[int, ...] = DEPTHS) -> list[Curve]:
    """R by layer for every network and depth, the mean over seeds."""
    curves = []
    for backend in backends:
        worker = Worker(backend)
        try:
            for name, depth in track(list(itertools.product(NETWORKS, depths)), f"networks of {backend}"):
                spec = _spec(name, depth)
                means = np.mean([_by_layer(spec, in_framework(worker, spec, drawn(spec, seed))) for seed in range(SEEDS)], axis=0)
                curves.append({"backend": backend, "network": name, "depth": depth, "R": [round(float(r), 4) for r in means]})
                print(f"{backend} {name}, {depth} layers: R at layers {depth - 2}, 2: {means[-1]:.3f}, {means[0]:.3f}", flush=True)
        finally:
            worker.close()
    return curves


def _spec(name: str, depth: int) -> Spec:
    sizes = f"depth={depth},width={WIDTH},features={WIDTH},batch={BATCH},loss=hinge,lr=1e-9"
    return Spec.parse(",".join(filter(None, [sizes, NETWORKS[name]])))


def _by_layer(spec: Spec, seen: WatchedPass | Pass) -> Array:
    labels = np.zeros(spec.batch, int)
    return np.array([class_correlation(d, labels) for d in deltas(spec, seen)[1:-1]])


@cache
def finite_width(name: str, depth: int) -> Array:
    """R by layer in networks of this width in NumPy (networks × layers)."""
    spec = _spec(name, depth)
    return np.array([_by_layer(spec, in_reference(spec, drawn(spec, seed))) for seed in range(FIRST_DRAW, FIRST_DRAW + DRAWS)])


def predicted(name: str, depth: int) -> list[float]:
    """R of layers 2 … depth − 2 at infinite width."""
    layers = range(2, depth - 1)
    if name == "batch norm":
        return [-1 / (BATCH - 1)] * len(layers)
    pair = plain_pair("relu", [(2.0, 0.0)] * depth, 1.0, 0.0)
    if name == "plain":
        return [pair.gradients[layer - 1] for layer in layers]
    # ∂L/∂z_l of a block's only layer is that of the stream behind it, depth − 1 − l blocks before the last activation.
    blocks, v, p = depth - 2, 2.0, 0.0
    shares = residual_pair("relu", 2.0, blocks, v, 0.0)
    for _ in range(blocks):
        v, p = 2 * v, p + 2 * joint_moments("relu", v, p / v).product
    last = joint_moments("relu", v, p / v).slopes / 0.5
    return [last * shares[blocks - layer] for layer in layers]


def outliers(curves: list[Curve]) -> list[tuple[str, str, int, int]]:
    """Where the mean over `SEEDS` is not a draw from the networks of its width: (backend, network, depth, layer)."""
    found = []
    for curve in curves:
        off = surprising(np.asarray(curve["R"]), SEEDS, finite_width(curve["network"], curve["depth"]))
        found += [(curve["backend"], curve["network"], curve["depth"], int(place) + 2) for place in np.flatnonzero(off)]
    return found


def plot(curves: list[Curve], path: Path) -> None:
    """R over the layers that the gradient has come down in networks of one depth, and over depth where it has come down to layer 2."""
    figure_, axes = figure(len(NETWORKS) + 1, 3.4, 3.4)
    *each_network, over_depth = axes[0]
    down = [SHOWN - layer for layer in range(2, SHOWN - 1)]
    for at, (name, line) in zip(each_network, zip(NETWORKS, ("-", "--", ":"), strict=True), strict=True):
        draws = finite_width(name, SHOWN)
        mean, sd = draws.mean(0), draws.std(0, ddof=1)
        at.fill_between(down, mean - 2 * sd, mean + 2 * sd, color="0.88", label=f"width {WIDTH}, ± 2 sd")
        at.plot(down, predicted(name, SHOWN), color="0.4", label="infinite width")
        laws = [predicted(name, depth)[0] for depth in DEPTHS]
        firsts = np.array([finite_width(name, depth)[:, 0] for depth in DEPTHS])
        mean, sd = firsts.mean(1), firsts.std(1, ddof=1)
        layers = [depth - 2 for depth in DEPTHS]
        over_depth.fill_between(layers, mean - 2 * sd, mean + 2 * sd, color="0.93", alpha=0.6)
        over_depth.plot(layers, laws, color="0.4", ls=line, label=name)
        for backend, mark in (("torch", "o"), ("keras", "x")):
            how = {"color": COLOURS[backend], "marker": mark, "ms": 3, "mfc": "none", "lw": 0}
            mine = {curve["depth"]: curve["R"] for curve in curves if (curve["backend"], curve["network"]) == (backend, name)}
            at.plot(down, mine[SHOWN], **how, label=backend)
            over_depth.plot([depth - 2 for depth in mine], [r[0] for r in mine.values()], **how)
        at.set(xlabel="layers from the output", ylabel="R", title=f"{name}, {SHOWN - 2} layers", ylim=(-0.1, 1))
        at.legend(frameon=False)
    over_depth.set(xlabel="layers", ylabel="R at layer 2", title="over depth", xticks=[depth - 2 for depth in DEPTHS])
    over_depth.legend(frameon=False)
    save(path, figure_)
