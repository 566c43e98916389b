"""What documentation promises of every entry point that users of such networks call, and the law that tests it.

To add one: a row in the file of its area. Its law is an equality, with the case that speaks of it, or a check, with a network that it
judges; where nothing tests it, the row says why.
"""

from __future__ import annotations

from bench.promises.promise import Promise
from bench.promises.tables import keras_layers, keras_numbers, keras_training, torch_layers, torch_numbers, torch_training

AREAS: dict[str, dict[str, tuple[Promise, ...]]] = {
    "torch": {**torch_layers.AREAS, **torch_training.AREAS, **torch_numbers.AREAS},
    "keras": {**keras_layers.AREAS, **keras_training.AREAS, **keras_numbers.AREAS},
}
"""By framework and area."""


def promises(framework: str) -> list[Promise]:
    """All of one framework's."""
    return [promise for area in AREAS[framework].values() for promise in area]
