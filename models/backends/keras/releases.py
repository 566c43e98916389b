"""What differs between Keras's releases: parts that an old one lacks, and what `train_on_batch` does and reports."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import keras

from models.arrays import Array, Batches, PerStep
from models.backends.keras.libraries import LIBRARY, Tensor
from models.backends.registry import Absent

LOSS_OF_ONE_BATCH = (3, 15)
"""The first release whose `train_on_batch` reports this batch's loss and not the mean since training began (keras #22617)."""


@contextmanager
def absences() -> Iterator[None]:
    """Whatever is built inside and is not in this release of Keras raises models.backends.registry.Absent with its name."""
    try:
        yield
    except AttributeError as error:
        if isinstance(error.obj, ModuleType) and error.obj.__name__.partition(".")[0] == "keras":
            raise Absent(f"Keras {keras.__version__} has no {error.name}") from None
        raise


def masked_as(h: Tensor, tapped: Tensor) -> Tensor:
    """The second tensor with the mask that Keras keeps beside the first one, if it keeps any.

    Releases before 3.6 keep it as an attribute, later ones elsewhere where a tensor takes none.
    """
    masking = importlib.util.find_spec("keras.src.backend.common.masking")
    if masking is None:
        mask = getattr(h, "_keras_mask", None)
        if mask is not None:
            setattr(tapped, "_keras_mask", mask)  # noqa: B010 (no attribute of tensors in general)
        return tapped
    kept = importlib.import_module(masking.name)
    if (mask := kept.get_keras_mask(h)) is not None:
        kept.set_keras_mask(tapped, mask)
    return tapped


def train_steps(model: keras.Model, xs: Batches, targets: list[Array], rates: PerStep) -> Iterator[float]:
    """The loss of each step of a training at its learning rate, taken by `train_on_batch`, in every release that batch's own.

    Where `train_on_batch` would trace the step anew at every call, the same compiled function is given an iterator of tensors.
    """
    release = tuple(int(part) for part in keras.__version__.split(".")[:2])
    batches = LIBRARY.once_traced(xs, targets)
    if batches is not None:
        model.make_train_function()
    for x, target, rate in zip(xs, targets, rates, strict=True):
        model.optimizer.learning_rate = float(rate)
        if release < LOSS_OF_ONE_BATCH:
            model.reset_metrics()
        yield float(model.train_function(batches)["loss"]) if batches is not None else model.train_on_batch(x, target)
