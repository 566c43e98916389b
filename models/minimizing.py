"""Minimizing a function of all of a network's parameters by SciPy's methods, from its value, gradient and Hessian."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from scipy import optimize

from models.arrays import Array, Arrays

METHODS = ("CG", "BFGS", "L-BFGS-B", "Newton-CG", "trust-exact")
"""Conjugate gradients, quasi-Newton methods without and with a short memory, and Newton's method twice: by conjugate gradients, and within
a trusted region by the exact Hessian."""
BY_HESSIAN = ("Newton-CG", "trust-exact")


def joined(values: Iterable[Array]) -> Array:
    """All numbers of some arrays, one after the other, in float64."""
    return np.concatenate([np.asarray(value, np.float64).ravel() for value in values])


def parted(point: Array, like: Arrays) -> Arrays:
    """A point (parameters) as arrays of the names and shapes of others."""
    ends = np.cumsum([np.size(value) for value in like.values()])[:-1]
    return {name: part.reshape(np.shape(value)) for (name, value), part in zip(like.items(), np.split(point, ends), strict=True)}


def minimized(
    method: str, value_and_gradient: Callable[[Array], tuple[float, Array]], hessian: Callable[[Array], Array], start: Array, steps: int
) -> list[Array]:
    """The points that a method of SciPy goes through from `start` (parameters), in at most so many steps."""
    visited: list[Array] = []
    optimize.minimize(
        value_and_gradient,
        start,
        jac=True,
        hess=hessian if method in BY_HESSIAN else None,
        method=method,
        callback=lambda x: visited.append(x.copy()),
        options={"maxiter": steps},
    )
    return visited
