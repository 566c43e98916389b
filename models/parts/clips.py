"""Gradient clipping: the rule each framework documents, and how each is asked for it.

PyTorch clips `.grad` before the optimizer step and divides by (norm + 1e-6); Keras clips inside `optimizer.apply` and
divides by the norm. Sources: torch.nn.utils.clip_grad_norm_, keras.optimizers.Optimizer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.arrays import Array, Arrays
from models.parts import Namespace, Native

SHRUNK = 1e-3
"""Share of an entry that clipping takes away where it acts; Keras's multiplies and divides, and rounds, where it does not."""


LANES = 4
"""How many sums of squares a processor keeps beside each other at the least: registers of 32 bytes hold four numbers of float64."""


@dataclass(frozen=True)
class Clip:
    """`rule(gradients, threshold, conventions)` is what the optimizer must see; `keras` the optimizer argument."""

    rule: Callable[[Arrays, float, str], Arrays]
    torch: Callable[[Namespace, list[Native], float], None]
    keras: Callable[[float], dict[str, float]]


def _norm(*arrays: Array) -> float:
    return float(np.sqrt(sum(np.square(a.astype(np.float64)).sum() for a in arrays)))


def rounding_of_norms(clip: str, gradients: Arrays) -> dict[str, float]:
    """By gradient what adding squares in float32 moves the norm by that it is divided by, as a share of it; 0 where none is taken.

    Squares are added one after the other in each of `LANES`. Of terms that are alike, as L1 penalties make them, every addition rounds
    the same way, so that no other order of terms tells how far the sum is off.
    """
    if clip == "global":
        return dict.fromkeys(gradients, _rounding(list(gradients.values())))
    return {key: _rounding([g]) if clip == "variable" else 0.0 for key, g in gradients.items()}


def _rounding(arrays: list[Array]) -> float:
    norm = _norm(*arrays)
    if not 0 < norm < np.inf:
        return 0.0
    total, scale = np.float32(0), 2.0 ** np.floor(np.log2(norm))  # float32 alone would have no squares of numbers under 1e-22
    for array in arrays:
        squares = np.square((np.ravel(array) / scale).astype(np.float32))
        lanes = np.append(squares, np.zeros(-squares.size % LANES, np.float32)).reshape(-1, LANES)
        total += np.cumsum(lanes, axis=0)[-1].sum()
    return abs(float(np.sqrt(np.float64(total))) * scale / norm - 1)


def _shrink(norm: float, threshold: float, conventions: str) -> float:
    """The factor of a norm clip; PyTorch's ends a little below the threshold, Keras's on it."""
    if conventions == "torch":
        return min(1.0, threshold / (norm + 1e-6))
    return threshold / max(norm, threshold)


def _by_variable(gradients: Arrays, threshold: float, conventions: str) -> Arrays:
    return {key: g * np.asarray(_shrink(_norm(g), threshold, conventions), g.dtype) for key, g in gradients.items()}


def _by_global(gradients: Arrays, threshold: float, conventions: str) -> Arrays:
    factor = _shrink(_norm(*gradients.values()), threshold, conventions)
    return {key: g * np.asarray(factor, g.dtype) for key, g in gradients.items()}


def _by_value(gradients: Arrays, threshold: float, conventions: str) -> Arrays:
    return {key: np.clip(g, -threshold, threshold) for key, g in gradients.items()}


def _torch_each(utils: Namespace, parameters: list[Native], threshold: float) -> None:
    for parameter in parameters:
        utils.clip_grad_norm_([parameter], threshold)


CLIPS: dict[str, Clip] = {
    "none": Clip(lambda gradients, threshold, conventions: gradients, lambda utils, parameters, c: None, lambda c: {}),
    "value": Clip(_by_value, lambda utils, parameters, c: utils.clip_grad_value_(parameters, c), lambda c: {"clipvalue": c}),
    "variable": Clip(_by_variable, _torch_each, lambda c: {"clipnorm": c}),
    "global": Clip(_by_global, lambda utils, parameters, c: utils.clip_grad_norm_(parameters, c), lambda c: {"global_clipnorm": c}),
}
