"""What PyTorch's documentation promises, tried: each function tells by case what several ways of the same lead to."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType

import numpy as np
import torch

from models.arrays import Array
from models.backends.registry import Absent
from models.backends.torch.precision import allow_tf32
from models.backends.torch.promises import (
    defaults,
    formulas,
    half,
    interrupted,
    loaders,
    losses,
    networks,
    seeds,
    states,
    writing,
)  # fmt: skip
from models.backends.ways import Cases, Ways, results_by_case


def _array(value: object) -> Array:
    if not isinstance(value, torch.Tensor):
        return np.asarray(value)
    own: torch.Tensor = value.detach().cpu()
    return (own.double() if own.is_floating_point() else own).numpy().copy()


@contextmanager
def absences() -> Iterator[None]:
    """What is looked up inside in one of PyTorch's modules and is not in this release raises models.backends.registry.Absent with its name."""
    try:
        yield
    except AttributeError as error:
        if isinstance(error.obj, ModuleType) and error.obj.__name__.partition(".")[0] == "torch":
            raise Absent(f"PyTorch {torch.__version__} has no {error.name}") from None
        raise


def promise(cases: Callable[[], Iterator[Ways]]) -> Callable[[], Cases]:
    """The scenario that takes all of a function's cases in float32, and leaves the global generator seeded as it found it."""

    @functools.wraps(cases)
    def taken() -> Cases:
        allow_tf32(False)
        with torch.random.fork_rng():
            return results_by_case(cases(), _array, absences)

    return taken


PROMISES = {
    cases.__name__: promise(cases)
    for cases in (
        seeds.seeds_of_initializers, seeds.seeds_of_draws, loaders.shuffled, loaders.counted,
        half.norms_in_half_precision, defaults.defaults_spelled_out, defaults.options_act,
        interrupted.saved_and_loaded, states.toggled, states.shared_weights, states.twice_is_once,
        writing.ways_of_writing_layers, losses.ways_of_writing_losses, networks.ways_of_writing_networks,
        networks.ways_of_training, formulas.schedules_by_formula, formulas.layers_by_formula,
    )
}  # fmt: skip
