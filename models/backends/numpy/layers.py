"""Layers by themselves: as the initializer's row draws them, and what the activation's row computes."""

from __future__ import annotations

import numpy as np

from models.arrays import Arrays, Points
from models.parts.activations import ACTIVATIONS
from models.parts.initializers import INITIALIZERS
from models.reference.draws import BIAS_SD, rounded
from models.spec import Spec


def draw_layers(spec: Spec, fan_in: int, fan_out: int, draws: int, seed: int, device: str) -> list[Arrays]:
    """`draws` layers initialized one after the other from one seed."""
    rng, row = np.random.default_rng(seed), INITIALIZERS[spec.init]
    drawn = []
    for _ in range(draws):
        weight = row.draw(rng, fan_in, fan_out)
        bias = BIAS_SD * rng.standard_normal(fan_out) if spec.bias == "normal" else row.draw_bias(rng, fan_in, fan_out)
        drawn.append({"weight": rounded(spec, weight), "bias": rounded(spec, bias)})
    return drawn


def activate(spec: Spec, x: Points) -> tuple[Points, Points]:
    """The activation and its derivative at the points x, in their precision."""
    row = ACTIVATIONS[spec.arch.act]
    return row.f(x), row.df(x)
