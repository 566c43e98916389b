"""Distances that PyTorch takes from a product of matrices, of which a float32 keeps few digits where points lie close together.

`cdist` over more than 25 points computes s = x² + y² − 2xy by one product of [−2x, x², 1] and [y, 1, y²], and its root. Each of the three
terms is off by about one unit u of itself, so that s is off by δ ≈ u·√(x⁴ + y⁴ + (2xy)²), however small it is. The distance r = √s is off
by δ / 2r where r² is far above δ, by √δ where it is not, and is 0 where s came out negative. So neither a share of the result nor one
derivative says it. Here the terms are computed one by one, as a user would write them, so that each of them is rounded.

Errors of x² are shared by a row and those of y² by a column, as in float32. Measured in PyTorch 2.13.0 on points 1 + σ·noise: float32 is
off by 0.28 to 1.17 times what this gives, over 2 to 512 coordinates, σ from 1e-4 to 1 and points that are the same ones.
"""

from __future__ import annotations

from torch import Tensor


def euclidean(x: Tensor, y: Tensor) -> Tensor:
    """All distances from the rows of x to those of y, operation by operation."""
    squares = x.square().sum(-1, keepdim=True) + y.square().sum(-1, keepdim=True).mT
    return (squares - 2 * (x @ y.mT)).clamp(min=0).sqrt()
