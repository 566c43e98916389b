"""Activations: the function, its derivative, and each framework's own layer.

A derivative at a kink is the one the frameworks document (0 for ReLU at 0); batches are kept away from kinks anyway.
Sources of the later ones: Howard et al. 2019 (hard sigmoid, hard swish), Misra 2020 (Mish), Dugas et al. 2001 (softplus).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit

from models.arrays import Array
from models.parts import Namespace, Native
from models.parts.activation_formulas import (
    CUBIC,
    d_elu_of_value,
    d_mish,
    elu,
    gelu,
    gelu_tanh,
    in_float32,
    leaky,
    softplus,
    tailored_slope,
)

LEAKY_SLOPE = 0.01
TAILORED = {f"tailored_{depth}": in_float32(tailored_slope(depth)) for depth in (40, 100)}
"""Slopes below zero of leaky ReLUs that suit plain networks of so many weight layers, as every library holds them."""
RRELU_LOWER, RRELU_UPPER = 1 / 8, 1 / 3
RRELU_MEAN = (RRELU_LOWER + RRELU_UPPER) / 2
FAR = 1e3
"""Where an activation that saturates has done so to the last digit."""
Had = dict[str, Callable[..., Array] | float]
"""Functions of an activation, or the largest slope, by their field."""
SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def _had(f: Callable[[Array], Array], df: Callable[[Array], Array]) -> Had:
    return {"f": f, "df": df}


def _single(size: Array) -> Array:
    """No terms: a multiple of x, or a constant slope."""
    return np.zeros_like(size)


def _bounded(most: float) -> Callable[[Array], Array]:
    """Terms of a function that reaches no further than `most`."""
    return lambda size: np.minimum(size, most)


@dataclass(frozen=True)
class Activation:
    """φ and φ′ on arrays of any shape; φ′ jumps at the `kinks`; `sup` is max |φ′|.

    `df_of_value` is φ′ as a function of φ, where frameworks take it so: what φ was rounded to matters then, and where every operation
    is one of the framework's own, so does how its result is rounded (the second argument).
    `terms` bounds the terms that φ′ is a sum of at |x|, each of which a float rounds, and `value_terms` those of φ. `at_kinks` holds the
    slope a backend takes at a kink, where it is not φ′ as written here; `settled` says that all of them take φ′ there. `core` says that
    it joins the core matrix, not the full one alone. `had` is what a library computes instead, where that is a known failure of it.
    """

    f: Callable[[Array], Array]
    df: Callable[[Array], Array]
    torch: Callable[[Namespace], Native]
    keras: Callable[[Namespace], Native]
    kinks: tuple[float, ...] = ()
    sup: float = 1.0
    random: bool = False
    terms: Callable[[Array], Array] = lambda size: 1 + size
    value_terms: Callable[[Array], Array] = lambda size: size
    at_kinks: dict[str, dict[float, float]] = field(default_factory=dict)
    df_of_value: Callable[[Array, Callable[[Array], Array]], Array] | None = None
    settled: bool = False
    core: bool = True
    had: dict[str, Had] = field(default_factory=dict)

    def by(self, library: str | None) -> Activation:
        """The same as a library has it, faults included; as it is where the library has it so, or there is none."""
        return dataclasses.replace(self, **self.had.get(library or "", {}))  # type: ignore[arg-type]

    def slope_at(self, point: float, backend: str, known: bool) -> tuple[float, float]:
        """Least and largest slope allowed at zero or a kink: one number where the backend's is known, else both sides'."""
        around = np.array([np.nextafter(point, -np.inf), point, np.nextafter(point, np.inf)])
        before, here, behind = (float(each) for each in self.df(around))
        taken = self.at_kinks.get(backend, {}).get(point, here)
        return (taken, taken) if known else (min(before, behind), max(before, behind))

    @property
    def saturates(self) -> bool:
        """Whether φ is flat far on either side."""
        return not np.any(self.df(np.array([-FAR, FAR])))

    def bends(self, x: Array) -> Array:
        """How far inputs (batch × units) lie from every kink (batch × units · kinks); zero where φ′ jumps.

        Infinite at the kink of a `settled` row: sums of zeros alone, as behind a ReLU that is off and a branch of zero, no rounding moves.
        """
        found = x if self.kinks == (0.0,) else np.concatenate([x - x.dtype.type(kink) for kink in self.kinks], axis=1)
        return np.where(found == 0, x.dtype.type(np.inf), found) if self.settled else found


def _keras_randomized_leaky(keras: Native) -> Native:
    """Keras has no randomized leaky ReLU, so this is how its users write one: slopes from its own random numbers.

    `spread` 0 puts every slope at the mean of the range, so that one compiled step serves parity and training.
    Source: Xu et al. 2015, "Empirical Evaluation of Rectified Activations"; the mean slope is used in evaluation.
    """

    class RandomizedLeakyReLU(keras.layers.Layer):
        def __init__(self, **kwargs: Native) -> None:
            super().__init__(**kwargs)
            self.seed_generator = keras.random.SeedGenerator()
            self.spread = self.add_weight(shape=(), initializer="ones", trainable=False, name="spread")

        def call(self, x: Native, training: bool = False) -> Native:
            slope = RRELU_MEAN
            if training:
                uniform = keras.random.uniform(keras.ops.shape(x), dtype=self.compute_dtype, seed=self.seed_generator)
                slope = RRELU_MEAN + self.spread * (RRELU_UPPER - RRELU_LOWER) * (uniform - 0.5)
            return keras.ops.where(x > 0, x, slope * x)

        def compute_output_shape(self, shape: Native) -> Native:
            return shape  # said, since Keras infers it by a sparse input behind a product with a number (keras.ops.multiply)

    return RandomizedLeakyReLU()


def _leaky_relu(slope: float, core: bool = True) -> Activation:
    return Activation(
        *leaky(slope),
        torch=lambda nn: nn.LeakyReLU(slope),
        keras=lambda keras: keras.layers.LeakyReLU(negative_slope=slope),
        kinks=(0.0,),
        at_kinks={"keras-jax": {0.0: 1.0}},
        terms=_single,
        value_terms=_single,
        had={"tensorflow": _had(*leaky(in_float32(slope)))},
        core=core,
    )


ACTIVATIONS: dict[str, Activation] = {
    "linear": Activation(
        lambda x: x,
        np.ones_like,
        torch=lambda nn: nn.Identity(),
        keras=lambda keras: keras.layers.Activation("linear"),
        terms=_single,
        value_terms=_single,
    ),
    "sigmoid": Activation(
        expit,
        lambda x: expit(x) * expit(-x),
        torch=lambda nn: nn.Sigmoid(),
        keras=lambda keras: keras.layers.Activation("sigmoid"),
        sup=0.25,
        df_of_value=lambda y, rounded: rounded(y * rounded(1 - y)),
        value_terms=_bounded(1.0),
    ),
    "tanh": Activation(
        np.tanh,
        lambda x: 1 - np.tanh(x) ** 2,
        torch=lambda nn: nn.Tanh(),
        keras=lambda keras: keras.layers.Activation("tanh"),
        df_of_value=lambda y, rounded: rounded(1 - rounded(y * y)),
        value_terms=_bounded(1.0),
    ),
    "relu": Activation(
        lambda x: np.maximum(x, 0),
        lambda x: (x > 0).astype(x.dtype),
        torch=lambda nn: nn.ReLU(),
        keras=lambda keras: keras.layers.ReLU(),
        kinks=(0.0,),
        settled=True,
        terms=_single,
        value_terms=_single,
    ),
    "leaky_relu": _leaky_relu(LEAKY_SLOPE),
    "rrelu": Activation(
        *leaky(RRELU_MEAN),
        torch=lambda nn: nn.RReLU(RRELU_LOWER, RRELU_UPPER),
        keras=_keras_randomized_leaky,
        kinks=(0.0,),
        random=True,
        terms=_single,
        value_terms=_single,
    ),
    "elu": Activation(
        *elu(1.0, 1.0),
        torch=lambda nn: nn.ELU(1.0),
        keras=lambda keras: keras.layers.ELU(1.0),
        value_terms=_bounded(1.0),
        had={"tensorflow": {"df_of_value": d_elu_of_value}, "jax": {"df_of_value": d_elu_of_value}},
    ),
    "selu": Activation(
        *elu(SELU_ALPHA, SELU_SCALE),
        torch=lambda nn: nn.SELU(),
        keras=lambda keras: keras.layers.Activation("selu"),
        kinks=(0.0,),
        sup=SELU_ALPHA * SELU_SCALE,
        terms=lambda size: SELU_ALPHA * SELU_SCALE * np.ones_like(size),
        at_kinks={"keras": {0.0: SELU_SCALE}},
        value_terms=_bounded(SELU_ALPHA * SELU_SCALE),
    ),
    "gelu": Activation(
        *gelu(1.0),
        torch=lambda nn: nn.GELU(approximate="none"),
        keras=lambda keras: keras.layers.Activation("gelu"),
        sup=1.12891,
        had={"tensorflow": _had(*gelu(in_float32(0.5**0.5) / 0.5**0.5))},
    ),
    "gelu_tanh": Activation(
        *gelu_tanh(CUBIC),
        torch=lambda nn: nn.GELU(approximate="tanh"),
        keras=lambda keras: keras.layers.Activation(lambda x: keras.activations.gelu(x, approximate=True)),
        sup=1.129,
        terms=lambda size: 1 + size * (1 + 3 * CUBIC * size**2),
        had={"tensorflow": _had(*gelu_tanh(in_float32(CUBIC)))},
    ),
    "silu": Activation(
        lambda x: x * expit(x),
        lambda x: expit(x) * (1 + x * expit(-x)),
        torch=lambda nn: nn.SiLU(),
        keras=lambda keras: keras.layers.Activation("silu"),
        sup=1.09984,
    ),
    "relu6": Activation(
        lambda x: np.minimum(np.maximum(x, 0), 6),
        lambda x: ((x > 0) & (x < 6)).astype(x.dtype),
        torch=lambda nn: nn.ReLU6(),
        keras=lambda keras: keras.layers.ReLU(max_value=6.0),
        kinks=(0.0, 6.0),
        terms=_single,
        value_terms=_single,
        core=False,
    ),
    "hardsigmoid": Activation(
        lambda x: np.minimum(np.maximum(x + 3, 0), 6) / 6,
        lambda x: ((x > -3) & (x < 3)).astype(x.dtype) / 6,
        torch=lambda nn: nn.Hardsigmoid(),
        keras=lambda keras: keras.layers.Activation("hard_sigmoid"),
        kinks=(-3.0, 3.0),
        sup=1 / 6,
        terms=_single,
        value_terms=_bounded(1.0),
        had={
            "torch": {
                "df": lambda x: ((x > -3) & (x < 3)).astype(x.dtype) * np.asarray(in_float32(1 / 6), x.dtype),
                "sup": in_float32(1 / 6),
            },
        },
        core=False,
    ),
    "hardswish": Activation(
        lambda x: x * np.minimum(np.maximum(x + 3, 0), 6) / 6,
        lambda x: np.where(x < 3, np.where(x > -3, (2 * x + 3) / 6, np.zeros_like(x)), np.ones_like(x)),
        torch=lambda nn: nn.Hardswish(),
        keras=lambda keras: keras.layers.Activation("hard_silu"),
        kinks=(-3.0, 3.0),
        sup=1.5,
        terms=lambda size: 1 + np.minimum(size, 3),
        core=False,
    ),
    "softplus": Activation(
        softplus,
        expit,
        torch=lambda nn: nn.Softplus(),
        keras=lambda keras: keras.layers.Activation("softplus"),
        terms=_single,
        value_terms=_bounded(1.0),
        had={"torch": _had(lambda x: np.where(x > 20, x, softplus(x)), lambda x: np.where(x > 20, np.ones_like(x), expit(x)))},
        core=False,
    ),
    "mish": Activation(
        lambda x: x * np.tanh(softplus(x)),
        d_mish,
        torch=lambda nn: nn.Mish(),
        keras=lambda keras: keras.layers.Activation("mish"),
        sup=1.0885,
        terms=lambda size: 1 + 2 * size,
        core=False,
    ),
    **{name: _leaky_relu(slope, core=False) for name, slope in TAILORED.items()},
}
