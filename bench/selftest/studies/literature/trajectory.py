"""The image of a circle of inputs grows or shrinks with depth: its length is multiplied by √χ a layer.

Sources: Poole, Lahiri, Raghu, Sohl-Dickstein & Ganguli 2016, "Exponential expressivity in deep neural networks through transient
chaos": the Euclidean length of a great circle's image grows by √χ₁ a layer at the fixed point q*. Raghu, Poole, Kleinberg, Ganguli &
Sohl-Dickstein 2017, "On the Expressive Power of Deep Neural Networks": the length of a trajectory grows exponentially with depth,
measured and bounded from below. A tangent ∂z_l/∂θ is multiplied by Wφ′(z_l): its mean square grows by χ_l = s2·Eφ′²(√q_l Z), where
s2 = fan-in · Var W.

Here: x(θ) = √n·(u cos θ + v sin θ) with orthonormal u and v, so that every input has mean square 1; width 128, 16 hidden layers, no
biases. What differs: Poole et al. start at q*, and here χ_l is that of every layer's own q_l; their widths are larger, and they have
biases. ReLU has no q* but at s2 = 2. Raghu et al. bound the length of any trajectory, and these bounds are not compared.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bench.selftest.studies.literature.passes import FIRST_DRAW, drawn, in_framework, in_frameworks, streams, surprising
from bench.theory.moments import moments
from bench.theory.plot import COLOURS, figure, save
from models.arrays import Array
from models.observation import ForcedStep, WatchedPass
from models.reference.network import Pass, Reference
from models.spec import Spec
from models.worker.process import Worker

WIDTH, LAYERS = 128, 16
SEEDS, DRAWS = 4, 12
"""Networks in each framework, and those of the same width in the NumPy reference."""
POINTS = 768
"""Points on the circle. Half as many must shorten no image by more than `COARSE`; the polygon then lacks about a third of that."""
COARSE = 0.02
STARTS = {
    "ReLU, He": ("relu", 2.0), "ReLU, LeCun": ("relu", 1.0),
    "tanh, LeCun": ("tanh", 1.0), "tanh, He": ("tanh", 2.0), "tanh, s2 = 4": ("tanh", 4.0),
}  # fmt: skip
"""Activation and s2."""
Curve = dict[str, Any]
"""`backend`, `start`, by layer the `length` as log of that of z_l over the circle's, and the last one's on half the points, `halved`."""


def spec_of(start: str) -> Spec:
    """Its layers but the read-out are looked at."""
    sizes = f"depth={LAYERS + 1},width={WIDTH},features={WIDTH},batch={POINTS},loss=hinge,lr=1e-9"
    return Spec.parse(f"{sizes},act={STARTS[start][0]},init=lecun_normal")


def step(start: str, seed: int, gain: float = 1.0) -> ForcedStep:
    """Weights of the start, `gain` times as large, on points of a random great circle."""
    one = drawn(spec_of(start), seed, gain * STARTS[start][1] ** 0.5)
    plane = np.linalg.qr(np.random.default_rng([seed, 12]).standard_normal((WIDTH, 2)))[0]
    theta = 2 * np.pi * np.arange(POINTS) / POINTS
    x = WIDTH**0.5 * np.stack([np.cos(theta), np.sin(theta)], 1) @ plane.T
    return dataclasses.replace(one, x=x.astype(np.float32))


def lengths(spec: Spec, seen: WatchedPass | Pass, every: int = 1) -> Array:
    """Log of the length of every layer's image over the circle's, as the closed polygon through each `every`-th point."""
    sides = [np.linalg.norm(z[::every] - np.roll(z[::every], 1, axis=0), axis=1) for z in streams(spec, seen)]
    return np.log([side.sum() for side in sides]) - np.log(2 * np.pi * WIDTH**0.5)


def measure(backends: tuple[str, ...] = ("torch", "keras"), starts: tuple[str, ...] = tuple(STARTS)) -> list[Curve]:
    """Log length by layer, the mean over seeds."""

    def look(worker: Worker, start: str) -> list[tuple[Array, float]]:
        spec = spec_of(start)
        return [both(spec, in_framework(worker, spec, step(start, seed))) for seed in range(SEEDS)]

    curves = []
    for backend, start, seen in in_frameworks(backends, starts, look):
        curves.append(curve(backend, start, seen))
        found, law = rate(curves[-1]["length"]), rate(predicted(start))
        print(f"{backend} {start}: × {found:.4f} a layer, predicted {law:.4f}", flush=True)
    return curves


def both(spec: Spec, seen: WatchedPass | Pass) -> tuple[Array, float]:
    """Log length by layer, and the last one's on half of the points."""
    return lengths(spec, seen), float(lengths(spec, seen, 2)[-1])


def curve(backend: str, start: str, seen: list[tuple[Array, float]]) -> Curve:
    """A row of the record: means over networks."""
    length, halved = (np.mean(each, axis=0) for each in zip(*seen, strict=True))
    return {"backend": backend, "start": start, "length": [round(float(each), 4) for each in length], "halved": round(float(halved), 4)}


def in_numpy(start: str, seed: int, gain: float = 1.0) -> tuple[Array, float]:
    """What `both` says of a network in NumPy; float32 is enough."""
    spec, at = spec_of(start), step(start, seed, gain)
    return both(spec, Reference(spec, at.weights, np.float32).forward(at.x))


@cache
def finite_width(start: str) -> Array:
    """Log lengths in networks of this width in NumPy (networks × layers)."""
    return np.array([in_numpy(start, seed)[0] for seed in range(FIRST_DRAW, FIRST_DRAW + DRAWS)])


def predicted(start: str) -> Array:
    """Log length by layer at infinite width: ½·log(s2·Πχ)."""
    act, s2 = STARTS[start]
    q, factors = s2, [s2]
    for _ in range(LAYERS - 1):
        m = moments(act, q)
        factors.append(s2 * m.slope)
        q = s2 * m.square
    return np.cumsum(np.log(factors)) / 2


def rate(length: Any) -> float:
    """Factor a layer over the second half of the layers."""
    half = LAYERS // 2
    return float(np.exp((length[-1] - length[half - 1]) / (LAYERS - half)))


def outliers(curves: list[Curve]) -> list[tuple[str, str, int]]:
    """Where the mean over `SEEDS` is not a draw from the networks of its width, or the polygon is coarse: (backend, start, layer)."""
    found = []
    for each in curves:
        off = surprising(np.asarray(each["length"]), SEEDS, finite_width(each["start"]))
        off[-1] |= not each["length"][-1] - each["halved"] <= COARSE
        found += [(each["backend"], each["start"], int(layer) + 1) for layer in np.flatnonzero(off)]
    return found


def plot(curves: list[Curve], path: Path) -> None:
    """Length over layers for every start: predicted, at this width, and in both frameworks."""
    figure_, ((at,),) = figure(1, 7.2, 4.6)
    layers, beside = np.arange(1, LAYERS + 1), np.inf
    for place, start in enumerate(sorted(STARTS, key=lambda start: -predicted(start)[-1])):
        law, draws = np.exp(predicted(start)), finite_width(start)
        mean, sd = draws.mean(0), draws.std(0, ddof=1)
        named = {"label": f"width {WIDTH}, ± 2 sd"}, {"label": "infinite width"}
        at.fill_between(layers, np.exp(mean - 2 * sd), np.exp(mean + 2 * sd), color="0.85", **({} if place else named[0]))
        at.plot(layers, law, color="0.4", **({} if place else named[1]))
        mine = [each for each in curves if each["start"] == start]
        for each in mine:
            backend = each["backend"]
            mark = {"color": COLOURS[backend], "marker": "o" if backend == "torch" else "x", "ms": 4, "mfc": "none", "lw": 0}
            at.plot(layers, np.exp(each["length"]), **mark, **({} if place else {"label": backend}))
        rates = " ".join(f"{rate(each['length']):.3f}" for each in mine[:1])
        beside = min(law[-1], beside / 2.4)
        says = f"{start}\n× {rates} a layer, predicted {rate(predicted(start)):.3f}"
        at.annotate(says, (layers[-1] + 0.5, beside), va="center", fontsize=8)
    at.set(yscale="log", xlabel="layer l", ylabel="length of the circle's image / length of the circle", xlim=(0.5, 24))
    at.set_xticks(range(0, LAYERS + 1, 5))
    at.legend(frameon=False, loc="lower left")
    save(path, figure_)
