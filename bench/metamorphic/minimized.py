"""A network's loss minimized by second-order methods, each step beside the reference's.

SciPy takes every method's steps from value, gradient and Hessian, so that what differs is the framework's own. All of it is in float64. The
reference goes the same way several times, each time summing in another order; the rms distance of these is what rounding may cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np

from bench.evidence.reference import ROUNDINGS
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.tolerance import ROUNDING_MULTIPLE
from bench.metamorphic.scenarios import Scenarios, Start, start
from models.arrays import Array
from models.minimizing import METHODS, joined, minimized, parted
from models.reference.network import Reference

NETWORK = "depth=3,width=3,features=4,classes=3,batch=12,act=tanh,precision=float64"
STEPS, RATE, MEMORY = 4, 0.3, 2
"""Steps of every method; LBFGS's learning rate, and how many steps it remembers."""
LBFGS = "LBFGS"
IMAGINARY = 1e-30
"""The complex step: what is added to a parameter to read a second derivative off the gradient's imaginary part."""
UNIT = float(np.finfo(np.float64).eps) / 2


def second_order(scenarios: Scenarios) -> Iterator[Finding]:
    """Conjugate gradients, quasi-Newton and Newton's methods go the reference's way by the framework's loss, gradient and Hessian.

    Distance of each point from the reference's, relative to how far that one is from the start.
    """
    for method in METHODS:
        yield from _same(method, scenarios("minimized", **_start().one(), method=method, steps=STEPS))


def lbfgs(scenarios: Scenarios) -> Iterator[Finding]:
    """PyTorch's LBFGS goes the way of its rule: two loops over the last steps, each as long as the learning rate (Nocedal 1980)."""
    yield from _same(LBFGS, scenarios("lbfgs", **_start().one(), lr=RATE, memory=MEMORY, steps=STEPS))


@cache
def _start() -> Start:
    begin = start(NETWORK, steps=1)
    weights = {name: np.asarray(w, np.float64) for name, w in begin.weights.items()}
    return Start(begin.spec, weights, np.asarray(begin.xs, np.float64), begin.labels)


def _same(method: str, seen: list[Array]) -> Iterator[Finding]:
    exact, others = _way(method, None), [_way(method, order) for order in range(ROUNDINGS)]
    for number, point in enumerate(exact):
        size = float(np.linalg.norm(point - joined(_start().weights.values())))
        rounding = float(np.sqrt(np.mean([np.linalg.norm(other[number] - point) ** 2 for other in others])))
        apart = float(np.linalg.norm(seen[number] - point)) if number < len(seen) else np.inf
        allowed = ROUNDING_MULTIPLE * max(rounding, UNIT * float(np.linalg.norm(point)))
        yield Finding(Place(step=number, scope=f"{method}:"), apart / size, 0.0, allowed / size)


@cache
def _way(method: str, order: int | None) -> list[Array]:
    """The points that the reference goes through, which are the same for every backend."""
    origin = joined(_start().weights.values())
    if method == LBFGS:
        return _lbfgs(origin, order)
    return minimized(method, lambda point: _gradient(point, order), _hessian, origin, STEPS)


def _gradient(point: Array, order: int | None = None) -> tuple[float, Array]:
    """Value and gradient of the reference's loss on the batch; the gradient is complex where the point is."""
    begin = _start()
    done = Reference(begin.spec, parted(point, begin.weights), point.dtype, order).run(begin.xs[0], begin.labels[0])
    return float(np.real(done.loss)), np.concatenate([done.gradients[name].ravel() for name in begin.weights])


def _hessian(point: Array) -> Array:
    """By complex steps, which lose no digit."""
    return np.stack([_gradient(each)[1].imag / IMAGINARY for each in point + 1j * IMAGINARY * np.eye(len(point))])


def _lbfgs(point: Array, order: int | None) -> list[Array]:
    """PyTorch's rule: the first step is at most the learning rate long in the sum of sizes, and a pair counts where yᵀs > 1e-10."""
    pairs, visited = list[tuple[Array, Array]](), list[Array]()
    before = step = np.zeros_like(point)
    for number in range(STEPS):
        gradient = _gradient(point, order)[1]
        change = gradient - before
        if number and change @ step > 1e-10:
            pairs = [*pairs, (change, step)][-MEMORY:]
        way, shares = -gradient, list[float]()
        for y, s in reversed(pairs):
            shares.append(float(s @ way / (y @ s)))
            way = way - shares[-1] * y
        if pairs:
            y, s = pairs[-1]
            way = way * (y @ s) / (y @ y)
        for (y, s), share in zip(pairs, reversed(shares), strict=True):
            way = way + (share - float(y @ way / (y @ s))) * s
        step = way * (RATE if number else RATE * min(1.0, 1.0 / float(np.abs(gradient).sum())))
        before, point = gradient, point + step
        visited.append(point)
    return visited
