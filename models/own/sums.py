"""How far float32 kernels are off that add the terms of a sum one after the other, where one rounding says too little.

Of n terms of either sign, k add up to √(k/n) of the total's size and are rounded once, so that squares add up to n/2 of one rounding's
(Higham 2002, section 4.2). Convolutions on CPUs add up so: over the window and blocks of `CHANNELS` channels, and a weight's gradient over
all samples and pixels. Measured in PyTorch 2.13.0 on one thread, in unit roundoffs, with what 0.3·√n gives: 3 channels × 32² 16.7 (16.6),
16 × 16² 18.4 (19.2), 64 × 8² 9.7 (9.6), 64 × 3² 3.7 (3.6), 512 × 3² 4.0 (3.6); a weight's gradient over 1,568 pixels 11.9 (11.9).
Matrix products add up blocks: 4.3 over 1,024 terms, 6.8 over 65,536.
"""

from __future__ import annotations

import numpy as np

from models.arrays import Array

OF_EITHER_SIGN = (0.541 / 3 / 2) ** 0.5
"""Unit roundoffs a √term; 0.541 is E[1/m²] of mantissas m with Benford's law, and a uniform rounding has a third of its largest square."""
CHANNELS = 16
"""Channels that a convolution adds up before it adds their sum to others."""
COVERED = 5.0
"""So many unit roundoffs of a single sum are half of what is allowed of any number: a twin need not round more often."""
MANY = 16
"""Terms up to which one rounding covers what a sum is off."""


def times(terms: int) -> float:
    """How many times the error of one rounding a twin gives to a sum of so many terms."""
    return max(1.0, OF_EITHER_SIGN * float(terms) ** 0.5 / COVERED)


def off_by_rows(terms: Array, rows: Array, shape: tuple[int, ...]) -> Array:
    """What sums of each row's terms, of `MANY` or more, are off that are added up one after the other, an embedding's gradient for one."""
    off, terms, rows = np.zeros(shape), terms.reshape(rows.size, -1), rows.ravel()
    for row in np.flatnonzero(np.bincount(rows[rows >= 0], minlength=shape[0])[: shape[0]] >= MANY):
        own = terms[rows == row]
        off[row] = (np.cumsum(own, axis=0, dtype=np.float32)[-1] - own.sum(axis=0)).reshape(shape[1:])
    return off
