"""Initializers: the distribution a name promises, how NumPy draws it, and each framework's own.

`fan` says which fan sets the variance; weights are (fan-out, fan-in), as in PyTorch. Sources: Glorot & Bengio 2010,
He et al. 2015, LeCun et al. 1998, Saxe et al. 2014.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.arrays import PerUnit, Weight
from models.parts import Namespace, Native

TRUNCATED_SD = 0.8796256610342398
"""Standard deviation of a unit normal cut at ±2, by which Keras divides so that the variance is the promised one."""


@dataclass(frozen=True)
class Initializer:
    """Var(W_ij) = gain / fan (or `gain` itself for fan `none`); shape is normal, uniform or orthogonal.

    `torch` fills a weight in place given `torch.nn.init`; `keras` makes an initializer given `keras.initializers`
    and a seed; `None` leaves the layer's default untouched. `random_bias` is PyTorch's U(±1/√fan-in) bias;
    `keras_truncates` says that Keras documents this normal as truncated at two standard deviations.
    """

    shape: str
    fan: str
    gain: float
    torch: Callable[[Namespace, Native], Native] | None = None
    keras: Callable[[Namespace, int | None], Native] | None = None
    random_bias: bool = False
    keras_truncates: bool = False

    def variance(self, fan_in: int, fan_out: int) -> float:
        """Variance of one weight of a layer with these fans; for orthogonal weights that of a Haar-distributed one."""
        fan = {"in": fan_in, "out": fan_out, "avg": (fan_in + fan_out) / 2, "max": max(fan_in, fan_out), "none": 1}[self.fan]
        return self.gain / fan

    def draw(self, rng: np.random.Generator, fan_in: int, fan_out: int, taps: int = 1) -> Weight:
        """A weight matrix (fan-out, fan-in · taps) in float64; a kernel of several taps multiplies both fans."""
        sd, fan_in = self.variance(fan_in * taps, fan_out * taps) ** 0.5, fan_in * taps
        if self.shape == "uniform":
            return rng.uniform(-sd * 3**0.5, sd * 3**0.5, (fan_out, fan_in))
        normal = rng.standard_normal((fan_out, fan_in))
        if self.shape == "normal":
            return sd * normal
        tall = normal if fan_out >= fan_in else normal.T
        q, r = np.linalg.qr(tall)
        q = q * np.sign(np.diag(r))  # makes the distribution uniform over orthogonal matrices (Mezzadri 2007)
        return self.gain**0.5 * (q if fan_out >= fan_in else q.T)

    def draw_bias(self, rng: np.random.Generator, fan_in: int, fan_out: int) -> PerUnit:
        """The bias that comes with it: zeros, or PyTorch's uniform default."""
        bound = fan_in**-0.5 if self.random_bias else 0.0
        return rng.uniform(-bound, bound, fan_out)


INITIALIZERS: dict[str, Initializer] = {
    "small_normal": Initializer(
        "normal", "none", 0.01**2,
        torch=lambda init, w: init.normal_(w, std=0.01),
        keras=lambda init, seed: init.RandomNormal(stddev=0.01, seed=seed),
    ),
    "glorot_uniform": Initializer(
        "uniform", "avg", 1.0,
        torch=lambda init, w: init.xavier_uniform_(w),
        keras=lambda init, seed: init.GlorotUniform(seed=seed),
    ),
    "glorot_normal": Initializer(
        "normal", "avg", 1.0,
        torch=lambda init, w: init.xavier_normal_(w),
        keras=lambda init, seed: init.GlorotNormal(seed=seed),
        keras_truncates=True,
    ),
    "he_uniform": Initializer(
        "uniform", "in", 2.0,
        torch=lambda init, w: init.kaiming_uniform_(w, nonlinearity="relu"),
        keras=lambda init, seed: init.HeUniform(seed=seed),
    ),
    "he_normal": Initializer(
        "normal", "in", 2.0,
        torch=lambda init, w: init.kaiming_normal_(w, nonlinearity="relu"),
        keras=lambda init, seed: init.HeNormal(seed=seed),
        keras_truncates=True,
    ),
    "lecun_normal": Initializer(
        "normal", "in", 1.0,
        torch=lambda init, w: init.kaiming_normal_(w, nonlinearity="linear"),
        keras=lambda init, seed: init.LecunNormal(seed=seed),
        keras_truncates=True,
    ),
    "orthogonal": Initializer(
        "orthogonal", "max", 1.0,
        torch=lambda init, w: init.orthogonal_(w),
        keras=lambda init, seed: init.Orthogonal(seed=seed),
    ),
    "torch_default": Initializer(
        "uniform", "in", 1 / 3, random_bias=True,
        keras=lambda init, seed: init.VarianceScaling(1 / 3, "fan_in", "uniform", seed=seed),
    ),
    "keras_default": Initializer(
        "uniform", "avg", 1.0,
        torch=lambda init, w: init.xavier_uniform_(w),
    ),
}  # fmt: skip
