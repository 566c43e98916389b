"""Muon: the momentum of each matrix is made nearly orthogonal by Newton and Schulz's iteration; all else takes AdamW's step.

What the frameworks do alike: momentum with Nesterov's look ahead, five iterations X ← aX + (bXXᵀ + c(XXᵀ)²)X from a matrix of length
one, and steps of 0.2·√(larger side) (PyTorch's `adjust_lr_fn="match_rms_adamw"`, Keras's `rms_rate=0.2`), so that AdamW and Muon may
share a learning rate. Where they differ, the reference follows each:

* PyTorch iterates in bfloat16, whatever the weights are held in. Small singular values of a gradient of low rank drown there.
  Keras iterates in the weights' own format.
* PyTorch's velocity is a moving average, Keras's a sum; the length cancels, but for where the gradient is as small as ε. PyTorch divides
  by at least 1e-7, Keras by the length and 1e-7.
* PyTorch refuses all but matrices, so that users step an AdamW beside it; Keras steps others by AdamW itself, with ε outside the
  bias correction.
* What PyTorch does of itself is not this step but √max(1, rows/columns), and a decay of 0.1; Keras of itself decays by 0.004.

Sources: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; Liu et al. 2025, arXiv:2502.16982; torch.optim.Muon and
keras.optimizers.Muon.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.arrays import Array, Arrays
from models.parts import Native
from models.parts.precisions import BFLOAT16
from models.parts.update_rules import COARSE, EPSILON, Update, adam

MUON_MOMENTUM, POLYNOMIAL, TIMES, SHARE = 0.95, (3.4445, -4.7750, 2.0315), 5, 0.2
"""Weight of the old, coefficients a, b and c, how often they are applied, and the rms of a step as a share of the learning rate."""
TRIES = 3
"""How often entries are rounded to the other side, to see how far a step may be off."""
FEW = 1 << 13
"""Of so many entries one lies so near the middle of two numbers of bfloat16 that sums in float32 may round it to either."""
Groups = list[dict[str, Native]]


def by_shape(groups: Groups) -> tuple[Groups, Groups]:
    """PyTorch's groups of parameters, of which Muon takes the matrices and AdamW the others; empty groups are left out."""
    parted = ([group | {"params": [p for p in group["params"] if (p.ndim == 2) == flat]} for group in groups] for flat in (True, False))
    matrices, others = ([group for group in each if group["params"]] for each in parted)
    return matrices, others


def muon(w: Array, g: Array, slots: Arrays, update: Update) -> Array:
    """The nearest orthogonal matrix to the momentum, nearly, times the learning rate and 0.2·√(larger side)."""
    if w.ndim != 2 or not update.weight:
        return adam(w, g, slots, update)
    number, keras, velocity = w.dtype.type, update.conventions == "keras", slots.setdefault("velocity", np.zeros_like(w))
    new = number(1) if keras else 1 - number(MUON_MOMENTUM)
    velocity += new * g - (1 - number(MUON_MOMENTUM)) * velocity
    ahead = new * g + number(MUON_MOMENTUM) * velocity
    rate = number(update.lr) * number(SHARE) * np.sqrt(number(max(w.shape)))
    if update.decay:
        w = w - number(update.lr) * number(update.decay) * w
    if keras:
        return w - rate * orthogonal(ahead / (np.sqrt((ahead * ahead).sum()) + number(EPSILON)))
    step = _in_bfloat16(ahead)
    off = [_in_bfloat16(ahead, np.random.default_rng([update.t, attempt])) - step for attempt in range(TRIES)]
    slots[COARSE] = rate * np.sqrt(np.mean(np.square(off), axis=0))
    return w - rate * step


def orthogonal(x: Array, rounded: Callable[[Array], Array] = lambda product: product) -> Array:
    """Newton and Schulz's iteration on a matrix of length one, each product of which is rounded."""
    a, b, c = (x.dtype.type(each) for each in POLYNOMIAL)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    for _ in range(TIMES):
        gram = rounded(x @ x.T)
        x = rounded(a * x + rounded(b * gram + c * (gram @ gram)) @ x)
    return x.T if tall else x


def _in_bfloat16(x: Array, otherwise: np.random.Generator | None = None) -> Array:
    """The iteration as PyTorch rounds it. With `otherwise` some entries of each product are rounded to their other neighbour.

    They are as many as float32 may decide otherwise than float64, and one at least.
    """

    def rounded(product: Array) -> Array:
        near = BFLOAT16.rounded(product).astype(x.dtype)
        if otherwise:
            some = otherwise.integers(near.size, size=1 + near.size // FEW)
            np.ravel(near)[some] *= 1 + 2 * BFLOAT16.unit
        return near

    near = rounded(x)
    length, least = (BFLOAT16.rounded(each).astype(x.dtype) for each in (np.sqrt((near * near).sum()), np.asarray(EPSILON)))
    return orthogonal(rounded(near / np.maximum(length, least)), rounded)
