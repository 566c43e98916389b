"""What goes into a backend and what comes out: NumPy arrays and floats on both sides, never a framework's tensor.

A `Job` names one network and everything it must see; `observe` runs it on one backend and returns an `Observation`
that can be judged many times, in another process, without any framework.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
from dataclasses import dataclass, field
from typing import Any

import numpy as np

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
KINK_MARGIN = 1e-5
"""Smallest distance from a kink, in units of the pre-activation's rms, that a judged sample keeps: far above what
float32 rounds (1e-6 at depth 64), so that no unit can land on the other side, and it costs few samples."""
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
    """One training step to take: load `weights`, train on `x` (batch × features) with integer `labels`."""

    weights: Arrays
    x: Any
    labels: Any


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
    """Loss and raw gradients of one batch, as the framework's own training step computes them."""

    loss: float
    gradients: Arrays


@dataclass
class History:
    """One free run: loss per step, gradient norm of every layer's weight (steps taken × depth, float64), test accuracy in [0, 1]."""

    seed: int
    losses: Any
    gradient_norms: Any
    accuracy: float


@dataclass
class Observation:
    """Everything one backend did with one network."""

    backend: str
    own: Signals | None = None
    drawn: Signals | None = None
    lessons: list[StepSeen] = field(default_factory=list)
    relations: list[Backward] = field(default_factory=list)
    scaled: list[StepSeen] = field(default_factory=list)
    evaluation: Any = None
    trainings: list[History] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    device: str = "cpu"


def backend_module(backend: str) -> Any:
    """The module that builds networks on `backend`; raises BackendError with what to install or choose."""
    if backend not in BACKENDS:
        raise BackendError(f"Backend {backend!r} is not known: use one of {', '.join(BACKENDS)}.")
    needed = {"torch": "torch", "keras": "keras"}[backend.partition("-")[0]]
    if importlib.util.find_spec(needed) is None:
        raise BackendError(
            f"Backend {backend!r} needs the package {needed}, which is not installed here: install it or choose another --backend."
        )
    return importlib.import_module(BACKENDS[backend])


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
    """`steps` single training steps whose batches the float64 reference keeps away from kinks.

    The first lesson is the network at initialization, the others are jittered draws. A sample whose pre-activation
    lies within `KINK_MARGIN` of a kink is replaced by another; batch normalization couples samples, so there a whole
    batch is drawn again. Raises ValueError when no such batch is found in 200 draws.
    """
    lessons = []
    for number in range(steps):
        weights = draw_weights(spec, seed + ONE_SEED_APART * number, jitter=number > 0)
        if spec.input == "saturated":
            weights[f"{spec.depth}.weight"] *= weights[f"{spec.depth}.weight"].dtype.type(SATURATION)
        rng = np.random.default_rng([seed, number, 3])
        reference = Reference(spec, weights)
        chosen = rng.choice(len(x), spec.batch, replace=False)
        for _ in range(200):
            inputs = fed(spec, x[chosen])
            near = reference.run(inputs, labels[chosen]).margins < KINK_MARGIN
            if not near.any():
                lessons.append(Lesson(weights, inputs, labels[chosen]))
                break
            unused = np.setdiff1d(np.arange(len(x)), chosen)
            if spec.norm == "batch":
                chosen = rng.choice(len(x), spec.batch, replace=False)
            else:
                chosen[near] = rng.choice(unused, int(near.sum()), replace=False)
        else:
            raise ValueError(f"No batch of {spec.id} keeps {KINK_MARGIN:g} away from every kink in 200 draws.")
    return lessons


def observe(job: Job) -> Observation:
    """Build the job's network on its backend and do all it asks for; one build and one compilation in all."""
    return observe_seeds([job])[0]


def observe_seeds(jobs: list[Job]) -> list[Observation]:
    """Jobs that differ in seed and lessons only, on one network that the framework initializes anew for each."""
    first = jobs[0]
    module = backend_module(first.backend)
    network = module.Network(first.spec, seed=first.seed, device=first.device)
    seen = []
    for job in jobs:
        if job is not first:
            network.redraw(job.seed)
        seen.append(_look(network, job, Observation(job.backend, versions=module.versions(), device=job.device)))
    for job, each in zip(jobs, seen, strict=True):
        if job.scaled:
            spec = dataclasses.replace(job.spec, scale_growth=SCALE_GROWTH)
            network = module.Network(spec, seed=job.seed, device=job.device)
            network.load(job.scaled[0].weights, fresh=True)
            each.scaled = [_step(network, lesson, None) for lesson in job.scaled]
    return seen


def _step(network: Any, lesson: Lesson, passed: Signals | None) -> StepSeen:
    loss = network.step(lesson.x, lesson.labels)
    return StepSeen(
        loss, network.gradients(), network.applied(), network.weights(), network.running(), passed, network.loss_scale()
    )  # fmt: skip


def _look(network: Any, job: Job, seen: Observation) -> Observation:
    if job.lessons:
        first = job.lessons[0]
        seen.own = network.signals(first.x, first.labels)
        network.freeze_noise(True)
        network.load(first.weights, fresh=True)
        seen.drawn = network.signals(first.x, first.labels)
        for lesson in job.lessons:
            network.load(lesson.weights, fresh=False)
            passed = None if job.spec.format.plain else network.signals(lesson.x, lesson.labels)
            seen.lessons.append(_step(network, lesson, passed))
        seen.evaluation = network.logits(job.lessons[-1].x)
        for lesson in job.relations:  # gradients do not depend on the optimizer's slots, so these are left as they are
            network.load(lesson.weights, fresh=False)
            seen.relations.append(Backward(network.step(lesson.x, lesson.labels), network.gradients()))
        network.freeze_noise(False)
    for training in job.trainings:
        network.load(training.weights, fresh=True)
        losses, norms = network.train(training.xs, training.labels)
        accuracy = float((network.logits(job.x_test).argmax(1) == job.labels_test).mean())
        seen.trainings.append(History(training.seed, losses, norms, accuracy))
    return seen


def draw_own(module: Any, *, spec: str, fan_in: int, fan_out: int, draws: int, seed: int, device: str = "cpu") -> list[Arrays]:
    """`draws` layers of fan-in × fan-out units, weight and bias, as the framework's own initializer fills them one after the other."""
    return module.draw_layers(Spec.parse(spec), fan_in, fan_out, draws, seed, device)
