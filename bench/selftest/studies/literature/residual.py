"""Residual networks at the edge of chaos: with tanh gradients grow like e to the root of depth, with ReLU exponentially.

Source: Yang & Schoenholz 2017, "Mean Field Residual Networks: On the Edge of Chaos". For blocks x ↦ x + Wφ(x), g = fan-in · Var W:

    q_{l+1} = q_l + g·Eφ²(√q_l Z),      ‖∂L/∂x_l‖² = (1 + g·Eφ′²(√q_l Z))·‖∂L/∂x_{l+1}‖².

tanh² tends to 1, so that q_l → g·l. Of sech⁴(√q Z) only Z near 0 counts: E sech⁴ → ∫sech⁴/√(2πq) = (4/3)/√(2πq). Hence the squared
gradient grows over l blocks by exp(A√l) up to powers of l, A = 2·(4/3)·√(g/2π), the paper's (4/3)√(2/π)·σ. ReLU has Eφ² = q/2 and
Eφ′² = ½, and both grow by 1 + g/2 a block.

Here: white noise, width 128, 100 blocks, g = 2 (He), beside a plain tanh network of the same start, χ = 1.106. What differs: the
paper's blocks are x + φ(Wx) and x + Vφ(Wx), with biases; the latter without biases has this recursion for Var W = 1/fan-in. Widths of
the paper are larger, and it fits exponents to the recursion; here they are fitted to frameworks' gradients as well. At l = 100 powers
of l still raise the fitted exponent above ½.
"""

from __future__ import annotations

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
from bench.theory.moments import moments
from bench.theory.plot import COLOURS, figure, save
from models.arrays import Array
from models.observation import WatchedPass
from models.reference.network import Pass
from models.spec import Spec
from models.worker.process import Worker

WIDTH, BATCH, BLOCKS, G = 128, 16, 100, 2.0
SEEDS, DRAWS = 8, 24
"""Networks in each framework, and those of the same width in the NumPy reference."""
NETWORKS = {"tanh residual": "act=tanh,skip=one,skip_order=pre", "ReLU residual": "skip=one,skip_order=pre", "tanh plain": "act=tanh"}
Curve = dict[str, Any]
"""`backend`, `network`, and by l = 1 … the logs of `signal`, q_{l+1}, and of `gradient`, ‖∂L/∂x_1‖²/‖∂L/∂x_{l+1}‖²."""


def spec_of(network: str) -> Spec:
    """100 layers between the first and the read-out."""
    sizes = f"depth={BLOCKS + 2},width={WIDTH},features={WIDTH},batch={BATCH},loss=hinge,lr=1e-9,init=he_normal"
    return Spec.parse(f"{sizes},{NETWORKS[network]}")


def measure(backends: tuple[str, ...] = ("torch", "keras"), networks: tuple[str, ...] = tuple(NETWORKS)) -> list[Curve]:
    """Growth of signals and gradients by depth, the mean log over seeds."""

    def look(worker: Worker, network: str) -> Array:
        spec = spec_of(network)
        return np.mean([growth(spec, in_framework(worker, spec, drawn(spec, seed))) for seed in range(SEEDS)], axis=0)

    curves = []
    for backend, network, grown in in_frameworks(backends, networks, look):
        curves.append(curve(backend, network, grown))
        found, law = exponent(curves[-1]["gradient"]), exponent(predicted(network)[1])
        print(f"{backend} {network}: log gradient grows like l^{found:.3f}, predicted l^{law:.3f}", flush=True)
    return curves


def curve(backend: str, network: str, grown: Array) -> Curve:
    """A row of the record."""
    signal, gradient = ([round(float(each), 4) for each in row] for row in grown)
    return {"backend": backend, "network": network, "signal": signal, "gradient": gradient}


def growth(spec: Spec, seen: WatchedPass | Pass) -> Array:
    """Logs of signals and of the growth of squared gradients after l = 1 … blocks (2 × blocks)."""
    signal = np.log([np.mean(x * x) for x in streams(spec, seen)])
    gradient = np.log([np.sum(d * d) for d in deltas(spec, seen)])
    return np.array([signal[1:], gradient[0] - gradient[1:]])


@cache
def finite_width(network: str) -> Array:
    """The same of networks of this width in NumPy (networks × 2 × blocks)."""
    spec = spec_of(network)
    return np.array([growth(spec, in_reference(spec, drawn(spec, seed))) for seed in range(FIRST_DRAW, FIRST_DRAW + DRAWS)])


def predicted(network: str) -> Array:
    """The same at infinite width."""
    spec = spec_of(network)
    keep, q, factors = float(spec.arch.span > 0), [G], []
    for _ in range(BLOCKS):
        m = moments(spec.arch.act, q[-1])
        factors.append(keep + G * m.slope)
        q.append(keep * q[-1] + G * m.square)
    return np.array([np.log(q[1:]), np.cumsum(np.log(factors))])


def exponent(log_growth: Any) -> float:
    """α of log growth = a + A·l^α, from its values at l = 25, 50 and 100."""
    quarter, half, whole = (float(log_growth[BLOCKS // part - 1]) for part in (4, 2, 1))
    return float(np.log2((whole - half) / (half - quarter)))


def outliers(curves: list[Curve]) -> list[tuple[str, str, str, int]]:
    """Where the mean over `SEEDS` is not a draw from the networks of its width: (backend, network, what, blocks)."""
    found = []
    for each in curves:
        for at, what in enumerate(("signal", "gradient")):
            off = surprising(np.asarray(each[what]), SEEDS, finite_width(each["network"])[:, at])
            found += [(each["backend"], each["network"], what, int(place) + 1) for place in np.flatnonzero(off)]
    return found


def plot(curves: list[Curve], path: Path) -> None:
    """Signals of all networks over blocks, then the growth of each one's gradients with its exponent."""
    figure_, axes = figure(1 + len(NETWORKS), 3.3, 3.6)
    first, *rest = axes[0]
    blocks, shown = np.arange(1, BLOCKS + 1), np.unique(np.geomspace(1, BLOCKS, 14).round().astype(int))
    for network, at in zip(NETWORKS, rest, strict=True):
        (signal, law), draws = predicted(network), finite_width(network)[:, 1] / np.log(10)
        mean, sd = draws.mean(0), draws.std(0, ddof=1)
        at.fill_between(blocks, mean - 2 * sd, mean + 2 * sd, color="0.88", label=f"width {WIDTH}, ± 2 sd")
        at.plot(blocks, law / np.log(10), color="0.4", label=f"infinite width, α = {exponent(law):.2f}")
        first.plot(blocks, np.exp(signal), color="0.4")
        first.annotate(network, (6, np.exp(signal[5])), xytext=(4, -12), textcoords="offset points", fontsize=8)
        for each in (each for each in curves if each["network"] == network):
            backend = each["backend"]
            mark = {"color": COLOURS[backend], "marker": "o" if backend == "torch" else "x", "ms": 4, "mfc": "none", "lw": 0}
            first.plot(shown, np.exp(np.asarray(each["signal"])[shown - 1]), **mark)
            label = f"{backend}, α = {exponent(each['gradient']):.2f}"
            at.plot(blocks[4::5], np.asarray(each["gradient"])[4::5] / np.log(10), **mark, label=label)
        at.set(xlabel="blocks l" if "residual" in network else "layers l", title=f"{network}, log ratio ∝ $l^α$")
        at.legend(frameon=False, fontsize=8, loc="upper left")
    rest[0].set_ylabel("log₁₀ ‖∂L/∂x₁‖² / ‖∂L/∂x_l‖²")
    first.set(xscale="log", yscale="log", ylim=(0.3, 1e4), xlabel="blocks l", ylabel="mean square of x_l", title="signals")
    save(path, figure_)
