"""What Keras's documentation promises, tried: each function tells by case what several ways of the same lead to."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import keras
import numpy as np

from models.arrays import Array
from models.backends.keras.layers import array
from models.backends.keras.precision import begin_session, compute_in
from models.backends.keras.promises import (
    callbacks,
    counted,
    defaults,
    formulas,
    half,
    interrupted,
    losses,
    metrics,
    naming,
    networks,
    seeds,
    states,
    symbolic,
    training,
    writing,
)  # fmt: skip
from models.backends.keras.releases import absences
from models.backends.ways import Cases, Ways, results_by_case


def _array(value: object) -> Array:
    if isinstance(value, bool | int | float | np.ndarray | np.generic | list):
        return np.asarray(value)
    seen = array(value)
    return seen.astype(np.float64) if seen.dtype.kind not in "iub" else seen


def promise(cases: Callable[[], Iterator[Ways]]) -> Callable[[], Cases]:
    """The scenario that takes all of a function's cases in float32."""

    @functools.wraps(cases)
    def taken() -> Cases:
        begin_session()
        compute_in("float32")
        try:
            return results_by_case(cases(), _array, absences)
        finally:
            keras.backend.clear_session()

    return taken


PROMISES = {
    cases.__name__: promise(cases)
    for cases in (
        seeds.seeds_of_initializers, seeds.seeds_of_draws, counted.shuffled, counted.counted,
        half.norms_in_half_precision, defaults.defaults_spelled_out, defaults.options_act,
        interrupted.saved_and_loaded, states.toggled, states.shared_weights, states.twice_is_once,
        writing.ways_of_writing_layers, losses.ways_of_writing_losses, networks.ways_of_writing_networks,
        training.ways_of_training, naming.ways_of_naming, formulas.schedules_by_formula, formulas.layers_by_formula,
        metrics.metrics_by_formula, callbacks.callbacks, symbolic.symbolic_as_computed, defaults.options_of_optimizers_act,
        interrupted.saved_and_loaded_with_every_optimizer, training.ways_of_training_with_every_optimizer,
    )
}  # fmt: skip
