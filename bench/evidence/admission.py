"""Which networks are taken: those that fit the data and this machine's free memory, which is said before anything is built.

A network is weighed by its fields alone. The weights are those of `peak resident memory`, "together at one time", of whole runs.
"""

from __future__ import annotations

import numpy as np

from bench.evidence.collect import TEST_SAMPLES
from bench.evidence.schedule import STEPS
from fixtures.data.datasets import features_of, training_samples_of
from fixtures.machine.memory import free
from models.spec import Spec, SpecError

A_PARAMETER, A_SIGNAL, A_LAYER = 300.0, 200.0, 1e6
"""Bytes in the judge and one worker, the more of PyTorch and Keras. The reference's exact and rounded passes, the steps it prepares,
messages, gradients and updates hold some seventy float32 copies of each learned number at one time."""
MORE = 0.6
"""What a further worker adds, as a share of that."""
THEORY = 8
"""Numbers of float64 that a random network of theory holds for each of its own."""


def network(text: str, data: str = "digits") -> Spec:
    """The network that a user names, on a data set. Raises SpecError for one that does not fit the data."""
    features, samples = features_of(data), training_samples_of(data)
    spec = Spec.parse(text, features=features)
    if spec.features != features:
        raise SpecError(f"features={spec.features} is not what {data} has, which is {features}: leave features out.")
    if spec.batch > samples:
        raise SpecError(f"batch={spec.batch} is more than the {samples} training samples of {data}.")
    return spec


def weight(spec: Spec, seeds: int, backends: int = 1, data: str = "digits") -> float:
    """Bytes that judging a network takes. All trainings are drawn before the first one runs, and sent in one message.

    They share their samples. The batches of one training are gathered at a time.
    """
    numbers, signals = _size(spec)
    held = np.dtype(spec.format.held).itemsize
    steps = STEPS[data]
    training = 2 * numbers + steps * spec.batch + 2 * TEST_SAMPLES * spec.classes + steps * spec.arch.depth
    shared = (3 * training_samples_of(data) + steps * spec.batch) * (spec.features + 1)
    once = A_PARAMETER * numbers + A_SIGNAL * signals + A_LAYER * spec.arch.depth + held * (3 * seeds * training + shared)
    return once * (1 + MORE * (backends - 1))


def weight_of_theory(spec: Spec) -> float:
    """Bytes that predicting a network takes: one random network at least, forward and backward, and the reference beside it."""
    return 8.0 * THEORY * sum(_size(spec))


def refuse_too_large(spec: Spec, needed: float, remedy: str) -> None:
    """Raise SpecError for a network that takes more than the memory that is free now."""
    if needed > (have := free()):
        raise SpecError(f"{spec.id} takes about {_amount(needed)} of memory, and {_amount(have)} are free: {remedy}.")


def _size(spec: Spec) -> tuple[int, int]:
    """Learned numbers, and numbers that all nodes compute for a batch."""
    numbers, units = spec.arch.size(spec.features, spec.classes)
    return numbers, spec.batch * (spec.features + units)


def _amount(number: float) -> str:
    """Bytes as a person reads them."""
    return f"{number / 2**30:,.1f} GiB" if number < 2**50 else f"{number / 2**30:.0e} GiB"
