"""How far float32 kernels are off that add the terms of a sum one after the other, where one rounding says too little.

Of n terms of either sign, k add up to √(k/n) of the total's size and are rounded once, so that squares add up to n/2 of one rounding's
(Higham 2002, section 4.2). Convolutions on CPUs add up so: over the window and blocks of `CHANNELS` channels, and a weight's gradient over
all samples and pixels. Measured in PyTorch 2.13.0 on one thread, in unit roundoffs, with what 0.3·√n gives: 3 channels × 32² 16.7 (16.6),
16 × 16² 18.4 (19.2), 64 × 8² 9.7 (9.6), 64 × 3² 3.7 (3.6), 512 × 3² 4.0 (3.6); a weight's gradient over 1,568 pixels 11.9 (11.9).

A matrix product adds up blocks and then their sums: PyTorch 4.4 over 4,096 terms, 6.1 over 40,000 and 9.5 over 160,000, and `of_product`
gives 4.4, 6.0 and 9.6. With few rows or columns all terms are added one after the other: over 40,000 of them PyTorch is 50 to 80 off with
up to 8 columns of the one or 3 of the other matrix, and JAX and TensorFlow are 20 to 155 off with one. Where few numbers come out they may
be small beside their terms, whose size counts.
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
COVERED_OF_FEW = 2.0
"""The same where so few sums are judged together that one of them may be five times as far off as sums usually are."""
MANY = 16
"""Terms up to which one rounding covers what a sum is off, and sums from which on their errors average out."""
BLOCK = 192
"""Terms of a matrix product that are added up before their sum is added to others'."""
NARROW = 16
"""Rows or columns of a matrix product from which on it is made in blocks: those of a vector of floats."""


def times(terms: int, sums: int = MANY) -> float:
    """How many times the error of one rounding a twin gives to each of so many sums of so many terms."""
    return max(1.0, OF_EITHER_SIGN * float(terms) ** 0.5 / (COVERED if sums >= MANY else COVERED_OF_FEW))


def of_product(rows: int, terms: int, columns: int) -> int:
    """How many additions follow each other in a product of (rows × terms) and (terms × columns)."""
    return terms if min(rows, columns) < NARROW or terms <= BLOCK else BLOCK + terms // BLOCK


def sizes(out: Array, left: Array, right: Array) -> Array:
    """What the errors of a product's sums are relative to: the result, or √Σ(terms²) where terms cancel (… × rows × columns)."""
    return np.maximum(np.abs(out), np.sqrt(np.square(np.abs(left)) @ np.square(np.abs(right))).reshape(out.shape))


def off_by_rows(terms: Array, rows: Array, shape: tuple[int, ...]) -> Array:
    """What sums of each row's terms, of `MANY` or more, are off that are added up one after the other, an embedding's gradient for one."""
    off, terms, rows = np.zeros(shape), terms.reshape(rows.size, -1), rows.ravel()
    for row in np.flatnonzero(np.bincount(rows[rows >= 0], minlength=shape[0])[: shape[0]] >= MANY):
        own = terms[rows == row]
        off[row] = (np.cumsum(own, axis=0, dtype=np.float32)[-1] - own.sum(axis=0)).reshape(shape[1:])
    return off
