"""Passes with given weights: a framework's, and those of networks of the same width in the NumPy reference, which say what chance does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import TypeVar

import numpy as np

from bench.judging.tolerance import BAND_Z
from bench.progress import track
from models.arrays import Array, Units
from models.observation import ForcedStep, Job, Observation, WatchedPass
from models.reference.draws import draw_weights
from models.reference.network import Pass, Reference
from models.spec import Spec
from models.worker.process import Worker

T = TypeVar("T")
FIRST_DRAW = 500
"""Seed of the first network in the reference."""
SMALL = 2.0**-64
"""Factor on the read-out's weights: every margin of a hinge stays open though signals grow by 2¹⁰⁰, so that v of ∂(v·f) is one vector."""


def drawn(spec: Spec, seed: int, gain: float = 1.0) -> ForcedStep:
    """Weights of `spec`, `gain` times as large in hidden layers, on white noise with labels 0; the read-out is small."""
    weights = {name: w * np.float32(gain) if name.endswith("weight") else w for name, w in draw_weights(spec, seed).items()}
    weights[f"dense{spec.arch.depth}.weight"] *= np.float32(SMALL)
    x = np.random.default_rng([seed, 11]).standard_normal((spec.batch, spec.features)).astype(np.float32)
    return ForcedStep(weights, x, np.zeros(spec.batch, int))


def in_framework(worker: Worker, spec: Spec, step: ForcedStep) -> WatchedPass:
    """The framework's watched pass with the step's weights; a worker builds networks of one `spec` once."""
    seen = worker.call("observe", Observation, job=Job(worker.backend, spec, forced_steps=[step])).shared
    assert seen, "a job with forced steps watches a pass"
    return seen


def in_frameworks(backends: Sequence[str], names: Sequence[str], look: Callable[[Worker, str], T]) -> Iterator[tuple[str, str, T]]:
    """Each backend's name, each network's, and what `look` sees of it in a worker of the backend."""
    for backend in backends:
        with closing(Worker(backend)) as worker:
            for name in track(list(names), f"networks of {backend}"):
                yield backend, name, look(worker, name)


def in_reference(spec: Spec, step: ForcedStep) -> Pass:
    """The same pass in float64."""
    return Reference(spec, step.weights).run(step.x, step.labels)


def streams(spec: Spec, seen: WatchedPass | Pass) -> list[Units]:
    """What hidden layers hand on, samples × units: z_l, or the stream z_1 + … + z_l of residual blocks over one layer.

    ∂L/∂z_l of a block's only layer is the gradient of the stream behind it.
    """
    z = [np.asarray(seen.pre_activations[f"dense{layer}"], np.float64) for layer in range(1, spec.arch.depth)]
    return list(np.cumsum(z, axis=0)) if spec.arch.span else z


def deltas(spec: Spec, seen: WatchedPass | Pass) -> list[Units]:
    """∂L/∂z_l of hidden layers, samples × units."""
    return [np.asarray(seen.pre_activation_gradients[f"dense{layer}"], np.float64) for layer in range(1, spec.arch.depth)]


def surprising(measured: Array, seeds: int, draws: Array) -> Array:
    """Where the mean over `seeds` networks is no draw from the ensemble `draws` (networks × places)."""
    mean, sd = np.mean(draws, axis=0), np.std(draws, axis=0, ddof=1)
    return ~(np.abs(measured - mean) <= BAND_Z * sd * (1 / seeds + 1 / len(draws)) ** 0.5)
