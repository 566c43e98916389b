"""How recurrent weights begin: orthogonal, the identity, or normal numbers, each scaled to a spectral radius.

The largest |eigenvalue| of every gate's matrix is the radius: a linear recurrence multiplies what it hands on by that much a step.
Sources: Saxe et al. 2014 (orthogonal), Le et al. 2015 (identity), Jaeger 2001 (scaled to a radius).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.arrays import Array, Weight
from models.parts import Namespace, Native


@dataclass(frozen=True)
class Recurrence:
    """How one gate's recurrent weight begins.

    `draw(rng, units)` gives it at radius 1. `torch(init, weight)` fills a gate's weight (units × units) at radius 1 in place;
    `keras(initializers, radius, units)` makes an initializer of the layer's whole kernel (units × gates · units). None leaves the layer's
    own default. `scaled` says that a radius applies, `isometric` that every singular value is the radius as well.
    """

    draw: Callable[[np.random.Generator, int], Weight]
    torch: Callable[[Namespace, Native], object] | None
    keras: Callable[[Namespace, float, int], Native] | None
    scaled: bool = True
    isometric: bool = False


def spectral_radius(weight: Array) -> float:
    """The largest absolute eigenvalue."""
    return float(np.abs(np.linalg.eigvals(np.asarray(weight, np.float64))).max())


def _orthogonal(rng: np.random.Generator, units: int) -> Weight:
    """Uniform over orthogonal matrices (Mezzadri 2007)."""
    q, r = np.linalg.qr(rng.standard_normal((units, units)))
    return q * np.sign(np.diag(r))


def _normal(rng: np.random.Generator, units: int) -> Weight:
    weight = rng.standard_normal((units, units))
    return weight / spectral_radius(weight)


def _fill_normal(init: Namespace, weight: Any) -> None:
    init.normal_(weight)
    weight /= spectral_radius(weight.detach().cpu().numpy())


def _normal_kernel(initializers: Namespace, radius: float, units: int) -> Callable[..., Array]:
    """As a function, which Keras takes for an initializer."""

    def initializer(shape: tuple[int, ...], dtype: str | None = None) -> Array:
        drawn = np.asarray(initializers.RandomNormal(stddev=1.0)(shape, dtype="float32"), np.float64)
        return np.concatenate([radius * gate / spectral_radius(gate) for gate in np.split(drawn, shape[1] // units, axis=1)], axis=1)

    return initializer


RECURRENCES: dict[str, Recurrence] = {
    "orthogonal": Recurrence(
        _orthogonal,
        torch=lambda init, weight: init.orthogonal_(weight),
        keras=lambda initializers, radius, units: initializers.Orthogonal(gain=radius),
        isometric=True,
    ),
    "identity": Recurrence(
        lambda rng, units: np.eye(units),
        torch=lambda init, weight: init.eye_(weight),
        keras=lambda initializers, radius, units: initializers.Identity(gain=radius),
        isometric=True,
    ),
    "normal": Recurrence(_normal, torch=_fill_normal, keras=_normal_kernel),
    "torch_default": Recurrence(
        lambda rng, units: rng.uniform(-(units**-0.5), units**-0.5, (units, units)),
        torch=None,
        keras=lambda initializers, radius, units: initializers.RandomUniform(-(units**-0.5), units**-0.5),
        scaled=False,
    ),
    "keras_default": Recurrence(
        _orthogonal, torch=lambda init, weight: init.orthogonal_(weight), keras=None, scaled=False, isometric=True,
    ),
}  # fmt: skip
