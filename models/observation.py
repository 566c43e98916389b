"""What goes into a backend and what comes out: NumPy arrays and floats on both sides, never a framework's tensor.

A `Job` names one network and everything it must see; `models.worker.tasks.observe.observe` runs it on one backend and returns an
`Observation` that can be judged many times, in another process, without any framework.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from models.arrays import Arrays, Batch, Batches, BatchLabels, Labels, Logits, Norms, PerStep, Places, Signals, Statistics
from models.spec import Spec

SCALE_GROWTH = 2
"""Steps without overflow after which the loss scale doubles where its rule is looked at: few, so that a few steps show it."""


@dataclass
class ForcedStep:
    """One training step to take: load `weights`, train on `x` (batch × features) with integer `labels`.

    Of `relations` only: the step of another `network` than the job's, a loss times `loss_scale`, and the loss's derivative along
    `direction` (shaped as the weights) by forward mode.
    """

    weights: Arrays
    x: Batch
    labels: Labels
    network: Spec | None = None
    loss_scale: float = 1.0
    direction: Arrays | None = None


@dataclass
class Training:
    """A free run: start from `weights`, train on batches of the samples `x` with their `y`, of which `places` names those of each step.

    `schedule` holds what the learning rate is multiplied with in every step.
    """

    seed: int
    weights: Arrays
    x: Batch
    y: Labels
    places: Places
    schedule: PerStep

    @property
    def steps(self) -> int:
        """How many batches there are."""
        return len(self.places)

    @property
    def xs(self) -> Batches:
        """All batches."""
        return self.x[self.places]

    @property
    def labels(self) -> BatchLabels:
        """Labels of all batches."""
        return self.y[self.places]


@dataclass
class Job:
    """One network on one backend: what to build and what to observe. Of `relations` only loss and gradients are recorded.

    Those of `scaled` are taken one after the other from the first one's weights, by a network whose loss scale grows every
    `SCALE_GROWTH` steps.
    `repeat` takes the steps twice, from the same state, and counts what is not the same bits.
    """

    backend: str
    spec: Spec
    device: str = "cpu"
    seed: int = 0
    forced_steps: list[ForcedStep] = field(default_factory=list)
    relations: list[ForcedStep] = field(default_factory=list)
    scaled: list[ForcedStep] = field(default_factory=list)
    trainings: list[Training] = field(default_factory=list)
    x_test: Batch | None = None
    labels_test: Labels | None = None
    repeat: bool = False


@dataclass
class WatchedPass:
    """One untrained pass: `weights` used, `pre_activations` z_l and `pre_activation_gradients` ∂L/∂z_l by dense node.

    `formats` names the format that every node's result, the loss and every parameter came in, `products` what the framework says
    of its float32 matrix products. Arrays are in the format in which parameters are held, gradients without the loss scale.
    """

    weights: Arrays
    loss: float
    logits: Logits
    pre_activations: Signals
    pre_activation_gradients: Signals
    formats: dict[str, str] = field(default_factory=dict)
    products: str = "float32"


@dataclass
class StepResult:
    """One training step as the framework did it: reported loss, raw gradients, weights after, running statistics after.

    `applied` holds the gradients after clipping where the framework shows them (PyTorch), and is empty elsewhere. `passed` is a
    pass over the same batch just before, looked at in precisions that round results; `scale` the loss scale after the step.
    """

    loss: float
    gradients: Arrays
    applied: Arrays
    weights: Arrays
    running: Statistics
    passed: WatchedPass | None = None
    scale: float = 1.0


@dataclass
class Backward:
    """Loss and raw gradients of one batch, as the framework's own training step computes them.

    `slope` is the loss's derivative along the step's direction by forward mode, NaN where none was asked for, or where the framework has
    none of a part: then `without` says so.
    """

    loss: float
    gradients: Arrays
    slope: float = math.nan
    without: str = ""


@dataclass
class Trained:
    """What a network kept of its training: loss per step, gradient norm of every layer's weight before clipping (steps taken × depth).

    `clipped` is the share of steps in which clipping changed a gradient, NaN where nothing is clipped.
    """

    losses: PerStep
    gradient_norms: Norms
    clipped: float = math.nan


@dataclass
class Epoch:
    """One epoch: mean loss over its steps, and every layer's weight-gradient norm before clipping at each look (looks × depth).

    `steps` were taken: fewer than asked for where the loss was no finite number at a look, which ends the epoch.
    """

    loss: float
    gradient_norms: Norms
    steps: int


@dataclass
class Evaluated:
    """Weights, the logits they give in evaluation mode (samples × classes), and the accuracy of these in [0, 1]."""

    weights: Arrays
    logits: Logits
    accuracy: float


@dataclass
class History:
    """One free run: loss per step, gradient norm of every layer's weight (steps taken × depth, float64), test accuracy in [0, 1].

    Beside them the weights and running statistics it ended with, and the logits they gave in evaluation mode (samples × classes).
    `averaged` is the framework's own moving average of weights, evaluated with the same running statistics. `execution` names how it ran
    where that was not as usual.
    """

    seed: int
    losses: PerStep
    gradient_norms: Norms
    accuracy: float
    weights: Arrays = field(default_factory=dict)
    running: Statistics = field(default_factory=dict)
    logits: Logits | None = None
    averaged: Evaluated | None = None
    clipped: float = math.nan
    execution: str = ""


@dataclass
class Repeated:
    """How many entries of one array are other bits when a step is taken again; `name` is a parameter's, and empty for the loss."""

    step: int
    array: str
    name: str
    entries: int


@dataclass
class Observation:
    """Everything one backend did with one network; `repeated` compares steps that were taken twice.

    `fused` says that steps were compiled as a whole, which is the backend's or the device's choice (`models.backends.protocol.StepKind`).
    """

    backend: str
    native: WatchedPass | None = None
    shared: WatchedPass | None = None
    forced_steps: list[StepResult] = field(default_factory=list)
    relations: list[Backward] = field(default_factory=list)
    scaled: list[StepResult] = field(default_factory=list)
    evaluation: Logits | None = None
    repeated: list[Repeated] = field(default_factory=list)
    trainings: list[History] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    device: str = "cpu"
    fused: bool = False
