"""What a backend is: a row of facts known without importing it, and the functions and networks that it offers.

A type checker holds every backend against `Backend` and its networks against `Network`. Arrays on both sides are NumPy's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, runtime_checkable

from models.arrays import Array, Arrays, Batch, Batches, BatchLabels, Labels, Logits, PerStep, Places, Points, Statistics, Targets

if TYPE_CHECKING:  # `Spec` reads the rows
    from models.observation import Epoch, Trained, WatchedPass
    from models.own.address import OwnModel
    from models.own.protocol import AlignedNetwork, OwnNetwork, OwnStep
    from models.own.training import OwnHistory
    from models.spec import Spec

StepKind = Literal["eager", "compiled", "fused"]
"""How a training step runs: op by op; compiled; or compiled as a whole, with other sums and fusions than the pass that is watched.

A fused step and the watched pass round as two frameworks would, in every precision.
"""
Record = tuple[str, ...]
"""What a network keeps, out of `gradients` (of the last step), `norms` (of every step) and `average` (of weights over the training)."""
ALL: Record = ("gradients", "norms", "average")


@dataclass(frozen=True, kw_only=True)
class BackendInfo:
    """One backend's facts, the only place that tells backends apart by name.

    `module` has the functions of `Backend`. `conventions` names whose documented rules hold, in the tables of `models/parts`.
    `framework` is the package that users import, `library` the one that computes. `modes` are the ways to run a step, the usual one
    first; `gpu_modes` of them need a GPU, `slow_modes` are timed in the full set only. `recurrent_modes` are ways to write a recurrent
    layer besides the framework's own: a loop of its `cells`, or `unrolled`.
    On devices of `excess_precision` a fused step may keep float32's digits between operations in half precision, as its compiler documents.
    `default_initializer` stands for `init=default`, `default_recurrence` for `recurrent=default`. `rewritten` lists activations that a
    compiled step computes by another operation. `known_kinks` says that the slope taken at a kink is the table's; where it is not known,
    either side's is allowed. `unclipped` says that a loss of probabilities is computed from the logits behind them, which are not clipped.
    `distributions` are names on the package index, `variables` the environment its worker starts with, `recorded_as` its name in
    baseline files, and `gpu_build` what to install for a GPU. `fewer_instructions` are variables that take some of the processor's away,
    `gives_back` those with which the framework returns freed memory to the system.
    """

    module: str
    conventions: str
    framework: str
    library: str
    modes: tuple[str, ...]
    gpu_modes: tuple[str, ...] = ()
    slow_modes: tuple[str, ...] = ()
    recurrent_modes: tuple[str, ...] = ()
    step: StepKind = "eager"
    excess_precision: tuple[str, ...] = ()
    default_initializer: str = "he_normal"
    default_recurrence: str = "orthogonal"
    rewritten: tuple[str, ...] = ()
    known_kinks: bool = False
    unclipped: bool = False
    distributions: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    recorded_as: str = ""
    fewer_instructions: Mapping[str, str] = field(default_factory=dict)
    gives_back: Mapping[str, str] = field(default_factory=dict)
    gpu_build: str = ""

    def modes_on(self, device: str) -> tuple[str, ...]:
        """The ways to run a step on `device`, the usual one first."""
        return tuple(mode for mode in self.modes if device != "cpu" or mode not in self.gpu_modes)

    def modes_of(self, spec: Spec, device: str) -> tuple[str, ...]:
        """The ways to run a step of this network on `device`, the usual one first."""
        return self.modes_on(device) + (() if spec.arch.layered else self.recurrent_modes)

    def own(self, spec: Spec) -> Spec:
        """The same network with `init=default` and `recurrent=default` replaced by this backend's defaults."""
        if spec.fields.get("recurrent") == "default":
            spec = spec.but(recurrent=self.default_recurrence)
        return spec.but(init=self.default_initializer) if spec.init == "default" else spec


class TimedWork(NamedTuple):
    """Work that is timed: `run` does it once and may return before the device has, `wait` until the device has."""

    run: Callable[[], object]
    wait: Callable[[], object]


Loop = Callable[[Batches, BatchLabels], Callable[[], PerStep]]
"""A training loop: from batches to a function that trains on them and returns the losses."""


@runtime_checkable
class Network(Protocol):
    """One network in its framework. Parameters and gradients are named as in `models.naming`, weights (fan-out, fan-in)."""

    @property
    def spec(self) -> Spec:
        """The network it was built from."""

    @property
    def fused(self) -> bool:
        """Whether a training step is compiled as a whole, as `StepKind` has it."""

    def load(self, weights: Arrays, fresh: bool) -> None:
        """Set parameters; `fresh` also empties the optimizer's slots and resets running statistics and the loss scale."""

    def redraw(self, seed: int) -> None:
        """Initialize anew from another seed, as if just built."""

    def weights(self) -> Arrays:
        """Parameters by name."""

    def gradients(self) -> Arrays:
        """The last step's gradients before clipping, without the loss scale."""

    def applied(self) -> Arrays:
        """The last step's gradients after clipping; empty where the framework does not show them."""

    def running(self) -> Statistics:
        """Running mean and variance of every batch normalization."""

    def loss_scale(self) -> float:
        """What the loss is multiplied with now; 1 where the precision scales none."""

    def freeze_noise(self, frozen: bool) -> None:
        """Randomized slopes at their mean, as in evaluation, or drawn."""

    def watch(self, x: Batch, labels: Labels) -> WatchedPass:
        """One forward and backward pass in training mode that changes nothing in the network."""

    def slope(self, x: Batch, labels: Labels, direction: Arrays) -> float:
        """The loss's derivative along `direction` (shaped as the parameters) by forward mode. Raises Absent where a part has none."""

    def step(self, x: Batch, labels: Labels, scale: float = 1.0) -> float:
        """One training step on `scale` times the loss; returns the loss that the framework reports."""

    def timed_step(self, x: Batch, labels: Labels) -> TimedWork:
        """One training step for the clock, in the mode that it was built for."""

    def train(self, xs: Batches, labels: BatchLabels, schedule: PerStep, record: bool = True) -> Trained:
        """Train on every batch, each at its factor of the learning rate; without `record` only losses are kept.

        Norms are without overflow and underflow: a float32 sum of squares reads zero for gradients under 1e-22.
        """

    def average(self) -> None:
        """Put the framework's own exponential moving average of the weights, taken since training began, in their place."""

    def logits(self, x: Batch) -> Logits:
        """Outputs in evaluation mode."""

    def accuracy(self, logits: Logits, labels: Labels) -> float:
        """The share of samples whose label has the largest logit, by the framework's own comparison."""


@runtime_checkable
class Restartable(Network, Protocol):
    """A network that can become another one that is built and compiled alike."""

    def restart(self, spec: Spec, seed: int) -> None:
        """Become the network of `spec`, whose `graph` is this one's, initialized from `seed`, bit for bit as if just built."""


@runtime_checkable
class EpochNetwork(Network, Protocol):
    """A network that is trained for many epochs, of which only what is looked at is kept."""

    def fit(self, x: Batch, labels: Targets, places: Places, schedule: PerStep) -> Epoch:
        """One epoch over the samples at `places`, whole batches, each at its factor of the learning rate."""

    def input_gradients(self, x: Batch, labels: Targets) -> Batch:
        """The training loss's gradient with respect to the inputs."""

    def batch_logits(self, x: Batch) -> Logits:
        """Outputs by this batch's own statistics, as in training; running statistics stay as they are."""

    def refresh(self, x: Batch, places: Places) -> None:
        """Running statistics become the mean over these batches, and nothing else changes."""


@runtime_checkable
class BuildForEpochs(Protocol):
    """How such a network is built."""

    def __call__(self, spec: Spec, *, steps: int, every: int, seed: int = 0, device: str = "cpu", mode: str = "") -> EpochNetwork:
        """`spec` on `device`, whose epochs have `steps` steps in this mode; gradients are looked at after each `every` of them."""


@runtime_checkable
class Build(Protocol):
    """How a network is built."""

    def __call__(self, spec: Spec, *, seed: int = 0, device: str = "cpu", mode: str = "", record: Record = ALL) -> Network:
        """`spec` on `device`, initialized by the framework from `seed`; `mode` is how it runs a step, empty for the usual way.

        Raises BackendError without the device, Absent for a part that this release does not have.
        """


@runtime_checkable
class Backend(Protocol):
    """What a backend's package offers; one process uses one backend."""

    @property
    def SCENARIOS(self) -> Mapping[str, Callable[..., Any]]:  # noqa: N802 (a table)
        """Ways users call the framework, by name; each takes and returns what crosses a process border, so that no type fits all."""

    @property
    def Network(self) -> Build:  # noqa: N802 (a class)
        """How a network is built."""

    @property
    def EpochNetwork(self) -> BuildForEpochs:  # noqa: N802 (a class)
        """How a network that is trained for many epochs is built."""

    @property
    def MemoryNetwork(self) -> BuildForEpochs:  # noqa: N802 (a class)
        """The same for a recurrent network whose targets are what its loss is given: a number, or a label for each time step.

        With `loss=mse` the last output is read, with `loss=cross_entropy` every one; logits are then (batch · length × classes).
        """

    def configure(self, threads: int, deterministic: bool = False) -> None:
        """Fix the number of threads and, if asked to, kernels that give the same bits every time, before any work."""

    def versions(self) -> dict[str, str]:
        """Versions of the framework and of the library it runs on."""

    def devices(self) -> list[str]:
        """Devices that can be used here, the CPU first."""

    def built_for(self) -> str:
        """`CUDA 13.0`, `ROCm 6.4`, or nothing for a build that knows the CPU alone."""

    def multiplied(self, matrix: Array) -> tuple[str, Array]:
        """Where a matrix was multiplied with itself, on the GPU if there is one, and the product."""

    def peak_device_memory(self, reset: bool) -> float:
        """The most memory that tensors held on the GPU, in MB, since the last time with `reset`; 0 without a GPU."""

    def drain(self) -> None:
        """Wait until every device has done all it was asked."""

    def draw_layers(self, spec: Spec, fan_in: int, fan_out: int, draws: int, seed: int, device: str) -> list[Arrays]:
        """`draws` layers (`weight`, `bias`) initialized one after the other from one seed."""

    def activate(self, spec: Spec, x: Points) -> tuple[Points, Points]:
        """The activation's own layer, in evaluation mode, and its derivative at the points x, in their precision."""

    def product(self, size: int, device: str) -> TimedWork:
        """A float32 product of two size × size matrices, for the clock."""

    def own_network(self, model: OwnModel, seed: int, device: str) -> OwnNetwork:
        """A user's own model. Raises OwnError with one sentence on what is wrong with it, Absent where the backend takes none."""

    def train_own(self, model: OwnModel, seed: int, moved: bool, device: str) -> OwnHistory:
        """One training of a user's own model over its data; `moved` begins one unit in the last place away. Raises OwnError."""

    def own_step(self, model: OwnModel, mode: str, seed: int, device: str) -> OwnStep:
        """One training step of a user's own model for the clock, in one of its modes. Raises OwnError, Absent where the mode takes none."""

    def aligned_network(self, model: OwnModel, seed: int, device: str) -> AlignedNetwork:
        """A network that both frameworks hold. Raises OwnError, Absent where the backend has none."""

    def hand_written(self, spec: Spec, weights: Arrays, device: str) -> Loop:
        """The shortest training loop that a user of the framework would write."""
