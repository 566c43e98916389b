"""How large a network is, by its fields alone: nothing is built, so that a network of any size is weighed at once."""

from __future__ import annotations

from models.parts.norms import NORMS
from models.spec import Spec


def parameters(spec: Spec) -> int:
    """How many numbers are learned: weights, biases, and what normalizations learn."""
    wide, narrow = spec.width, spec.width // spec.bottleneck
    pairs, single = divmod(spec.depth - 2, 2)
    weights = spec.features * wide + 2 * pairs * wide * narrow + single * wide * narrow + wide * spec.classes
    learned = len(NORMS[spec.norm].parameters) if spec.norm != "none" else 0
    return weights + (1 + learned) * _hidden(spec) + spec.classes


def signals(spec: Spec) -> int:
    """How many numbers all nodes compute for one batch: products, normalizations, activations, sums."""
    nodes = 2 + (spec.norm != "none")
    return spec.batch * (spec.features + nodes * _hidden(spec) + spec.blocks * spec.width + spec.classes)


def _hidden(spec: Spec) -> int:
    """Units of all hidden layers together."""
    narrow = (spec.depth - 1) // 2
    return (spec.depth - 1 - narrow) * spec.width + narrow * (spec.width // spec.bottleneck)
