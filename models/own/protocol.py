"""What a backend offers of a user's own model; a type checker holds each one against it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, runtime_checkable

from models.arrays import Array, Arrays
from models.backends.protocol import TimedWork
from models.own.carried import WeightedLayer
from models.own.decisions import Decisions
from models.own.observation import LayerSeen
from models.own.passes import UNIT, OwnPass, Trajectory


class NoVariantError(RuntimeError):
    """A variant of execution that this model or machine does not have; the message completes "not run: …"."""


class VariantFailedError(RuntimeError):
    """A variant that this model has, and that raised; the message says what."""


class UndecidedError(RuntimeError):
    """A variant that cannot be judged on this model; the message says why."""


@runtime_checkable
class OwnTwin(Protocol):
    """The model in float64, clean or (`rounded` seeds the errors) off by what float32 costs."""

    @property
    def constants(self) -> float:
        """The share of themselves that constants of its formulas are off: 0 where they are float64's, too."""

    @property
    def unit(self) -> float:
        """The unit roundoff of half precision where the model computes in it, else 0."""

    def backward(self, rounded: int | None) -> OwnPass:
        """The watched pass."""

    def loss_at(self, moved: Mapping[str, Array]) -> float:
        """The loss of the same batch and draws with some parameters moved."""

    def evaluated(self, rounded: int | None) -> Arrays:
        """Outputs in evaluation mode. Raises NoTwinError where what was drawn cannot be drawn again."""

    def steps(self, trajectory: Trajectory, rounded: int | None) -> Generator[Arrays]:
        """New weights after each of its steps, by the optimizer's rule on the gradients that were seen, in the formats of the model's."""


class PassVariant(NamedTuple):
    """Another way to compute the pass; `run` gives it beside the twin's clean one, or raises NoVariantError.

    A third result are passes of the twin, rounded as this variant rounds, where it rounds more than the usual one. A variant that is not
    `decided` does not show its own decisions, so that the twin has those of the usual variant. `unit` is its format's unit roundoff.
    """

    name: str
    run: Callable[[OwnTwin], tuple[OwnPass, OwnPass, list[OwnPass]]]
    decided: bool = True
    unit: float = UNIT


class StepsVariant(NamedTuple):
    """Another way to take the optimizer's steps; `run` gives new weights after each, or raises NoVariantError."""

    name: str
    run: Callable[[Trajectory], list[Arrays]]


class OwnStep(NamedTuple):
    """A training step of a model for the clock, on its first batch.

    First steps are taken inside `entered()`, where what the user's code raises is told as theirs. `weights` are what it learns, now.
    """

    work: TimedWork
    entered: Callable[[], AbstractContextManager[None]]
    weights: Callable[[], Arrays]


@runtime_checkable
class AlignedNetwork(Protocol):
    """A network that both frameworks hold, in one of them."""

    def layers(self) -> list[WeightedLayer]:
        """Layers with weights, in the order in which they correspond to the other framework's."""

    def load(self, weights: Arrays) -> None:
        """Begin with these parameters and running statistics, by their names here."""

    def run(self) -> None:
        """One pass forward and backward as a user runs it, for the clock."""

    def observe(self) -> tuple[OwnPass, Decisions]:
        """The watched float32 pass, and what it decides."""

    def exact(self, decided: Decisions | None, rounded: int | None = None) -> OwnPass:
        """The float64 pass with its own decisions or, where they fit, another framework's; `rounded` seeds errors as large as float32's."""

    def entering(self, name: str, decided: Decisions | None) -> Array:
        """What enters a layer in the float64 pass."""

    def loss_at(self, moved: Mapping[str, Array]) -> float:
        """The float64 loss with some parameters moved, kinks where they then are."""


@runtime_checkable
class OwnNetwork(Protocol):
    """A user's model as its user trains it."""

    @property
    def size(self) -> int:
        """How many numbers it learns."""

    @property
    def precision(self) -> str:
        """The format of what it learns, such as `float32`; several are joined by commas."""

    @property
    def trains(self) -> bool:
        """Whether it has data and an optimizer to train with."""

    def backward(self) -> OwnPass:
        """One pass in training mode, by the usual way to run it."""

    def watch(self) -> OwnPass:
        """The same pass, its layers looked at, and its decisions and draws kept for the twin."""

    def weights(self) -> Arrays:
        """Parameters by name, as every pass begins with."""

    def evaluated(self, reset: bool = True) -> Arrays:
        """Outputs in evaluation mode, from the state that every pass begins with or, without `reset`, as the model is.

        From the start, its decisions and draws are kept for the twin.
        """

    def state(self) -> Arrays:
        """All that training may change, to see whether something has left a trace."""

    def layers(self, watched: OwnPass) -> list[LayerSeen]:
        """Layers in the order of computation."""

    def trained(self) -> Trajectory | None:
        """Steps of the user's optimizer; None without one. Raises NoVariantError for one whose steps cannot be taken here."""

    def rewritten(self) -> list[str]:
        """Parameters that the forward pass itself writes into, so that a step does not begin where the pass did."""

    def by_its_author(self) -> tuple[str, list[str]]:
        """Why the gradient need not be the loss's derivative, else empty, and parameters of which it need not.

        A function or hook of the user's is written for another one, or a hook of a parameter for that parameter's.
        """

    def twin(self) -> OwnTwin:
        """The float64 twin. Raises NoTwinError where it cannot be had."""

    def variants(self, compiled: bool) -> Iterator[PassVariant | StepsVariant]:
        """Other ways to run the same step; with `compiled` also those that take a compiler."""
