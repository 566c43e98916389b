"""Ways to take a training step in Keras: one batch, one batch operation by operation, and an epoch of one batch by `fit`."""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import ops

from models.own.protocol import NoVariantError
from models.own.trees import Tree, leaves

Way = Callable[[keras.Model, Tree, Tree], float]
"""Takes a step of a model on inputs and targets, and returns the loss that Keras reports."""


def on_batch(model: keras.Model, inputs: Tree, targets: Tree) -> float:
    """By `train_on_batch`."""
    reported = model.train_on_batch(inputs, targets)
    return float(reported[0] if isinstance(reported, list) else reported)  # with several outputs their losses follow


def by_fit(model: keras.Model, inputs: Tree, targets: Tree) -> float:
    """By `fit`, which cuts batches out of arrays itself. Raises NoVariantError where inputs and targets are no rows of samples."""
    tensors = [leaf for tree in (inputs, targets) for _, leaf in leaves(tree) if leaf is not None]
    sizes = {leaf.shape[0] if ops.is_tensor(leaf) and leaf.shape else None for leaf in tensors}
    if len(sizes) != 1 or None in sizes:
        raise NoVariantError("its batch is no rows of samples, which fit could cut")
    size = int(next(iter(sizes)))  # type: ignore[arg-type]  # not None, as the line above says
    history = model.fit(inputs, targets, batch_size=size, epochs=1, shuffle=False, verbose=0)
    return float(history.history["loss"][0])
