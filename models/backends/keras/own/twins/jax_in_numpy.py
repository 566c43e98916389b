"""JAX's commonest operations in NumPy: XLA takes longer to compile each of them for float64 than a small model takes to run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.arrays import Array


def _elementwise(function: Callable[..., Array]) -> Callable[..., Array]:
    return lambda *args, **_: np.asarray(function(*args))


def _broadcast(x: Array, shape: tuple[int, ...], broadcast_dimensions: tuple[int, ...], **_: object) -> Array:
    sizes = [1] * len(shape)
    for place, axis in enumerate(broadcast_dimensions):
        sizes[axis] = x.shape[place]
    return np.broadcast_to(x.reshape(sizes), shape)


def _logistic(x: Array) -> Array:
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def _reshape(x: Array, new_sizes: tuple[int, ...], dimensions: tuple[int, ...] | None = None, **_: object) -> Array:
    """`dimensions` are the order in which axes are read, as gradients of grouped convolutions have it."""
    return (x if dimensions is None else x.transpose(dimensions)).reshape(new_sizes)


def _select(which: Array, *cases: Array) -> Array:
    return np.select([which == n for n in range(len(cases))], cases) if which.dtype != bool else np.where(which, cases[1], cases[0])


ELEMENTWISE: dict[str, Callable[..., Array]] = {
        "add": np.add, "add_any": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "neg": np.negative, "max": np.maximum,
        "min": np.minimum, "exp": np.exp, "log": np.log, "log1p": np.log1p, "expm1": np.expm1, "tanh": np.tanh, "sqrt": np.sqrt,
        "rsqrt": lambda x: 1 / np.sqrt(x), "abs": np.abs, "sign": np.sign, "square": np.square, "pow": np.power, "gt": np.greater,
        "lt": np.less, "ge": np.greater_equal, "le": np.less_equal, "eq": np.equal, "ne": np.not_equal, "logistic": _logistic,
        "select_n": _select, "stop_gradient": lambda x: x, "copy": lambda x: x, "sin": np.sin, "cos": np.cos, "floor": np.floor,
        "ceil": np.ceil, "is_finite": np.isfinite, "and": np.logical_and, "or": np.logical_or, "not": np.logical_not,
}  # fmt: skip
IN_NUMPY: dict[str, Callable[..., Array]] = {name: _elementwise(function) for name, function in ELEMENTWISE.items()} | {
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "transpose": lambda x, permutation: x.transpose(permutation),
    "squeeze": lambda x, dimensions: np.squeeze(x, tuple(dimensions)),
    "integer_pow": lambda x, y: x**y,
    "convert_element_type": lambda x, new_dtype, **_: x.astype(new_dtype),
    "reduce_sum": lambda x, axes, **_: np.asarray(x.sum(tuple(axes))),
    "reduce_max": lambda x, axes, **_: np.asarray(x.max(tuple(axes))),
    "reduce_min": lambda x, axes, **_: np.asarray(x.min(tuple(axes))),
}
"""By operation its result in float64, of the operation's own arguments. Integers are left to JAX, whose own wrap around."""
