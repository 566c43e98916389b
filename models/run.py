"""What goes into a backend and what comes out: NumPy arrays and floats on both sides, never a framework's tensor.

A `Job` names one network and everything it must see; `models.look.observe` runs it on one backend and returns an
`Observation` that can be judged many times, in another process, without any framework.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models import kinks
from models.network import Dense, Normalize, flat, parameter_keys, program
from models.on_numpy import Reference
from models.parts.initializers import INITIALIZERS
from models.parts.norms import NORMS
from models.spec import Spec

Arrays = dict[str, Any]
BIAS_SD = 0.05**0.5
"""Standard deviation of `bias=normal`; variance 0.05 is the setting of Schoenholz et al. 2017."""
SCALE_GROWTH = 2
"""Steps without overflow after which the loss scale doubles where its rule is looked at: few, so that a few steps show it."""
DRAWS = 100
"""Batches tried for one that keeps from every kink. Where none does, the one that keeps furthest is taken, and what a kink would decide
is not judged."""
ONE_SEED_APART = 7919
"""Distance between random streams that belong to the same seed."""

INPUTS: dict[str, tuple[float, float]] = {
    "centred": (1.0, 0.0), "shifted": (1.0, 30.0), "far": (1.0, 1000.0), "tiny": (1e-6, 0.0), "huge": (1e6, 0.0), "saturated": (1.0, 0.0),
}  # fmt: skip
"""What is done to the data's inputs: a factor and an offset."""
SATURATION = 30.0
"""Factor on the read-out's weights for `input=saturated`: logits lie some 50 apart, so that most samples are confidently wrong."""

BACKENDS = {
    "torch": "models.on_torch",
    "keras": "models.on_keras",
    "keras-jax": "models.on_keras",
    "keras-torch": "models.on_keras",
}


class BackendError(RuntimeError):
    """A backend or device that is not there; the message is one sentence with the remedy."""


class Absent(BackendError):
    """A part that this version of the framework does not have: a reason not to judge, and no fault."""


@dataclass
class Lesson:
    """One training step to take: load `weights`, train on `x` (batch × features) with integer `labels`.

    Of `relations` only: the step of another `network` than the job's, a loss times `loss_scale`, and the loss's derivative along
    `direction` (shaped as the weights) by forward mode.
    """

    weights: Arrays
    x: Any
    labels: Any
    network: Spec | None = None
    loss_scale: float = 1.0
    direction: Arrays | None = None


@dataclass
class Training:
    """A free run: start from `weights`, train on the batches of `xs` (steps × batch × features) and `labels`."""

    seed: int
    weights: Arrays
    xs: Any
    labels: Any


@dataclass
class Job:
    """One network on one backend: what to build and what to look at. Of `relations` only loss and gradients are kept.

    Those of `scaled` are taken one after the other from the first one's weights, by a network whose loss scale grows every
    `SCALE_GROWTH` steps.
    `repeat` takes the lessons twice, from the same state, and counts what is not the same bits.
    """

    backend: str
    spec: Spec
    device: str = "cpu"
    seed: int = 0
    lessons: list[Lesson] = field(default_factory=list)
    relations: list[Lesson] = field(default_factory=list)
    scaled: list[Lesson] = field(default_factory=list)
    trainings: list[Training] = field(default_factory=list)
    x_test: Any = None
    labels_test: Any = None
    repeat: bool = False


@dataclass
class Signals:
    """One untrained pass: `weights` used, `signals` z_l and `deltas` ∂L/∂z_l (batch × units) of every weight layer.

    `formats` names the format that every part's result, the loss and every parameter came in, `products` what the framework says
    of its float32 matrix products. Arrays are in the format in which parameters are held, gradients without the loss scale.
    """

    weights: Arrays
    loss: float
    logits: Any
    signals: dict[int, Any]
    deltas: dict[int, Any]
    formats: dict[str, str] = field(default_factory=dict)
    products: str = "float32"


@dataclass
class StepSeen:
    """One lesson as the framework did it: reported loss, raw gradients, weights after, running statistics after.

    `applied` holds the gradients after clipping where the framework shows them (PyTorch), and is empty elsewhere. `passed` is a
    pass over the same batch just before, looked at in precisions that round results; `scale` the loss scale after the step.
    """

    loss: float
    gradients: Arrays
    applied: Arrays
    weights: Arrays
    running: dict[int, tuple[Any, Any]]
    passed: Signals | None = None
    scale: float = 1.0


@dataclass
class Backward:
    """Loss and raw gradients of one batch, as the framework's own training step computes them.

    `slope` is the loss's derivative along the lesson's direction by forward mode, NaN where none was asked for.
    """

    loss: float
    gradients: Arrays
    slope: float = math.nan


@dataclass
class History:
    """One free run: loss per step, gradient norm of every layer's weight (steps taken × depth, float64), test accuracy in [0, 1].

    Beside them the weights and running statistics it ended with, and the logits they gave in evaluation mode (samples × classes).
    """

    seed: int
    losses: Any
    gradient_norms: Any
    accuracy: float
    weights: Arrays = field(default_factory=dict)
    running: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    logits: Any = None


@dataclass
class Observation:
    """Everything one backend did with one network; `repeated` counts, by place, entries that differ when lessons are taken again."""

    backend: str
    own: Signals | None = None
    drawn: Signals | None = None
    lessons: list[StepSeen] = field(default_factory=list)
    relations: list[Backward] = field(default_factory=list)
    scaled: list[StepSeen] = field(default_factory=list)
    evaluation: Any = None
    repeated: dict[str, int] = field(default_factory=dict)
    trainings: list[History] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    device: str = "cpu"


def backend_module(backend: str) -> Any:
    """The module that builds networks on `backend`; raises BackendError with what to install or choose."""
    if backend not in BACKENDS:
        raise BackendError(f"Backend {backend!r} is not known: use one of {', '.join(BACKENDS)}.")
    if package := lacking(backend):
        raise BackendError(
            f"Backend {backend!r} needs the package {package}, which is not installed here: install it or choose another --backend."
        )
    return importlib.import_module(BACKENDS[backend])


def library(backend: str) -> str:
    """The library that computes for `backend`: what Keras runs on (`keras` alone: TensorFlow), or the framework itself."""
    dialect, _, on = backend.partition("-")
    return (on or "tensorflow") if dialect == "keras" else dialect


def lacking(backend: str) -> str:
    """The first package that `backend` needs and that is not installed here, or nothing."""
    needed = (backend.partition("-")[0], library(backend))
    return next((package for package in needed if importlib.util.find_spec(package) is None), "")


def draw_weights(spec: Spec, seed: int, jitter: bool = False) -> Arrays:
    """Weights drawn by NumPy for `spec`: its initializer's, zero biases, unit scales.

    With `jitter`, biases and shifts get a standard deviation of 0.1, scales 1 ± 0.1 and zero-initialized weights 0.01,
    so that a forgotten bias, scale, shift or branch shows in one step.
    """
    rng = np.random.default_rng([seed, int(jitter)])
    initializer, weights = INITIALIZERS[spec.init], {}
    for step in flat(program(spec)):
        if isinstance(step, Dense):
            weights[f"{step.layer}.weight"] = initializer.draw(rng, step.fan_in, step.fan_out)
            bias = initializer.draw_bias(rng, step.fan_in, step.fan_out)
            if spec.bias == "normal":
                bias = BIAS_SD * rng.standard_normal(step.fan_out)
            if step.zero:
                weights[f"{step.layer}.weight"] = rng.normal(0, 0.01 * jitter, (step.fan_out, step.fan_in))
            weights[f"{step.layer}.bias"] = bias + rng.normal(0, 0.1 * jitter, step.fan_out)
        elif isinstance(step, Normalize):
            weights[f"{step.layer}.scale"] = 1 + rng.normal(0, 0.1 * jitter, step.width)
            if "shift" in NORMS[spec.norm].parameters:
                weights[f"{step.layer}.shift"] = rng.normal(0, 0.1 * jitter, step.width)
    return {key: rounded(spec, weights[key]) for key in parameter_keys(spec)}


def rounded(spec: Spec, values: Any) -> Any:
    """Values as every backend holds them: in the spec's precision, so that the reference starts from the same numbers."""
    return np.asarray(values).astype(spec.format.held)


def fed(spec: Spec, x: Any) -> Any:
    """The data's inputs as `spec.input` wants them, in the spec's precision."""
    factor, offset = INPUTS[spec.input]
    return rounded(spec, np.asarray(x, np.float64) * factor + offset) if spec.input != "centred" else rounded(spec, x)


def prepare_lessons(spec: Spec, x: Any, labels: Any, seed: int, steps: int = 3) -> list[Lesson]:
    """`steps` single training steps whose batches keep away from kinks (`models.kinks`), as far as `DRAWS` tries find such.

    The first lesson is the network at initialization, the others are jittered draws. A sample next to a kink is replaced by
    another; batch normalization couples samples, so there a whole batch is drawn again.
    """
    lessons = []
    for number in range(steps):
        weights = draw_weights(spec, seed + ONE_SEED_APART * number, jitter=number > 0)
        if spec.input == "saturated":
            weights[f"{spec.depth}.weight"] *= weights[f"{spec.depth}.weight"].dtype.type(SATURATION)
        rng = np.random.default_rng([seed, number, 3])
        with np.errstate(all="ignore"):  # a network that explodes may leave float32's range; the checks see that
            chosen = _away_from_kinks(spec, weights, x, labels, rng)
        lessons.append(Lesson(weights, fed(spec, x[chosen]), labels[chosen]))
    return lessons


def _away_from_kinks(spec: Spec, weights: Arrays, x: Any, labels: Any, rng: np.random.Generator) -> Any:
    """Indices of the first batch that keeps `kinks.KEPT` from every kink, or of the one that keeps furthest."""
    reference = Reference(spec, weights)
    rounding = [Reference(spec, weights, np.float32, order) for order in range(2)]
    chosen = rng.choice(len(x), spec.batch, replace=False)
    errors: dict[str, float] = {}
    kept: list[tuple[float, Any]] = []
    for _ in range(DRAWS):
        inputs = fed(spec, x[chosen])
        exact = reference.run(inputs, labels[chosen])
        errors = errors or kinks.reach(exact, [each.run(inputs, labels[chosen]) for each in rounding])
        distances = kinks.distances(exact, errors)
        near = distances < kinks.KEPT
        if not near.any():
            return chosen
        kept.append((float(distances.min()), chosen.copy()))
        unused = np.setdiff1d(np.arange(len(x)), chosen)
        if spec.norm == "batch":
            chosen = rng.choice(len(x), spec.batch, replace=False)
        else:
            chosen[near] = rng.choice(unused, int(near.sum()), replace=False)
    return max(kept, key=lambda each: each[0])[1]
