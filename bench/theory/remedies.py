"""What would help a network whose gradients vanish or explode, and by how much: computed from each candidate's own theory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bench.theory.ensemble import sample
from bench.theory.meanfield import backward_limit
from models.spec import Spec, SpecError, Value

DECADES = 0.5 / math.log(10)
"""From the natural log of a squared norm to decades of the norm."""
WORTHWHILE = 0.3
"""Least improvement, in decades of ‖∂L/∂z₁‖/‖∂L/∂z_L‖, that makes a remedy worth naming: a factor of two."""
FEW = 12
"""Random networks that rank a candidate: their mean gain is known to 0.1 decades where one varies by 0.3."""
NAMES = {
    "he_normal": "He", "he_uniform": "He", "glorot_normal": "Glorot", "glorot_uniform": "Glorot", "lecun_normal": "LeCun",
    "orthogonal": "orthogonal", "small_normal": "N(0, 0.01²)", "torch_default": "PyTorch's default", "keras_default": "Keras's default",
}  # fmt: skip


@dataclass(frozen=True)
class Remedy:
    """A changed network and what theory says of it: χ per layer (geometric mean) and decades from the last layer to the first."""

    text: str
    spec: Spec
    chi: tuple[float, float]
    decades: tuple[float, float]
    initialization: bool = False
    """Whether nothing but the initializer changes."""

    @property
    def benefit(self) -> float:
        """By how many decades the gradient of the first layer comes nearer to that of the last."""
        return abs(self.decades[0]) - abs(self.decades[1])

    def __str__(self) -> str:
        """`He instead of Glorot moves χ from 0.50 to 1.00: ‖∂L/∂z₁‖/‖∂L/∂z₄₀‖ goes from 1e-6 to 1`."""
        return (
            f"{self.text} moves χ from {self.chi[0]:.2f} to {self.chi[1]:.2f}: at depth {self.spec.arch.depth} "
            f"‖∂L/∂z₁‖/‖∂L/∂z_L‖ goes from {power_of_ten(self.decades[0])} to {power_of_ten(self.decades[1])}"
        )


def power_of_ten(decades: float) -> str:
    """10 to the given power as a person reads it."""
    if math.isinf(decades):
        return "0" if decades < 0 else "∞"
    if abs(decades) < 3:
        return f"{10**decades:.2g}"
    return f"{10**decades:.1e}" if abs(decades) < 300 else f"1e{decades:+.0f}"


def quick_log_gain(spec: Spec, x: np.ndarray) -> float:
    """log ‖δ_1‖²/‖δ_depth‖² at infinite width; where no formula exists, the mean over a few random networks of the spec's width."""
    if (limit := backward_limit(spec, x)) is not None:
        return limit
    first, *_, last = sample(spec, x, FEW).delta.values()
    return float(np.nanmean(first - last))


def remedies(spec: Spec, x: np.ndarray, most: int = 5) -> list[Remedy]:
    """Changes that bring the gain nearer to 1, the most effective first; each a single decision that a user can take."""
    before = quick_log_gain(spec, x)
    found = []
    for text, change in _changes(spec):
        try:
            candidate = spec.but(**change)
        except SpecError:
            continue
        after = quick_log_gain(candidate, x)
        chi = math.exp(before / (spec.arch.depth - 1)), math.exp(after / (spec.arch.depth - 1))
        remedy = Remedy(text, candidate, chi, (before * DECADES, after * DECADES), candidate.but(init=spec.init) == spec)
        if remedy.benefit >= WORTHWHILE:
            found.append(remedy)
    return sorted(found, key=lambda remedy: -remedy.benefit)[:most]


def _changes(spec: Spec) -> Iterator[tuple[str, dict[str, Value]]]:
    now = NAMES.get(spec.init, spec.init)
    for init in ("he_normal", "glorot_normal", "lecun_normal", "orthogonal"):
        if NAMES[init] != now:
            yield f"{NAMES[init]} instead of {now} initialization", {"init": init}
    for act, init in (("tanh", "glorot_normal"), ("relu", "he_normal"), ("selu", "lecun_normal")):
        if act != spec.arch.act and spec.arch.norm == "none":
            yield f"{act} with {NAMES[init]} instead of {spec.arch.act} with {now}", {"act": act, "init": init}
    if spec.arch.norm == "none":
        for norm in ("batch", "layer"):
            yield f"{norm} normalization before the activation", {"norm": norm}
    else:
        yield f"no {spec.arch.norm} normalization, with He initialization", {"norm": "none", "norm_at": "before", "init": "he_normal"}
    if not spec.arch.span:
        span = "one" if spec.arch.depth % 2 else "two"
        yield f"skip connections over {span} with branches divided by √blocks", {"skip": span, "skip_order": "pre", "branch": "depth"}
    elif spec.arch.branch == "unscaled":
        yield "branches divided by √blocks", {"branch": "depth"}
        yield "sums divided by √2", {"branch": "root2"}
        yield "branches that start at zero", {"branch": "zero"}
