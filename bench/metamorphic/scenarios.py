"""What a metamorphic relation is given: the scenarios of one backend, a network to start from, and what rounding its training costs.

Tolerance. Two scenarios that are equal in exact arithmetic differ by what float32 rounds on the way. The reference trains the
same network on the same batches in float64 and several times in float32, each time summing in another order; the rms
distance of these is what one scenario may be off, and two may be `ROUNDING_MULTIPLE` times that apart. A number that is
read off the network (a loss, a penalty) is measured alike. No measure is below one rounding of the number itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from bench.evidence.reference import ROUNDINGS, rms_error
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.tolerance import ROUNDING_MULTIPLE
from models.arrays import Array, Arrays, Batch, Batches, BatchLabels, Labels, Logits
from models.backends.registry import info
from models.reference.draws import draw_weights
from models.reference.network import Reference
from models.reference.optimizers import Rule
from models.spec import Spec
from models.worker import messages

UNIT = float(np.finfo(np.float32).eps) / 2
NETWORK: dict[str, int | str] = {"depth": 2, "width": 16, "features": 8, "classes": 4, "batch": 16, "act": "tanh"}
"""The network of most relations: small, because laws about entry points hold at any size, and smooth, for no kink to part trainings."""


class Trained(TypedDict):
    """Where a training led: the last weights, their average, and the weights before every step and after the last, where asked for."""

    weights: Arrays
    average: Arrays
    visited: list[Arrays]


class Fitted(TypedDict):
    """What `fit` reports by epoch and leads to, and what `evaluate` and `predict` say then; `visited` are the weights of every batch."""

    loss: list[float]
    accuracy: list[float]
    visited: list[Arrays]
    iterations: int
    weights: Arrays
    evaluated: tuple[float, float]
    predicted: Logits


@dataclass
class Scenarios:
    """The scenarios of a backend: `scenarios("train", …)` runs one and remembers its result."""

    backend: str
    ask: Callable[[str, dict[str, Any]], Any]  # a result has the shape of its scenario
    network: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    _taken: dict[bytes, Any] = field(default_factory=dict)

    @property
    def conventions(self) -> str:
        """Whose documented rules hold: `torch` or `keras`, whatever Keras runs on."""
        return info(self.backend).conventions

    def __call__(self, scenario: str, **given: Any) -> Any:
        """The result of a scenario. Raises WorkerError with the framework's own words."""
        key = messages.encode([scenario, given])
        if key not in self._taken:
            self._taken[key] = self.ask(scenario, given)
        return self._taken[key]

    def train(self, begin: Start, **options: object) -> Trained:
        """A training with the framework's own step."""
        return self("train", **begin.given, **options)

    def fit(self, begin: Start, **options: object) -> Fitted:
        """A training by Keras's `fit` on the first batch of `begin`."""
        return self("fit", **begin.one(), **options)


@dataclass(frozen=True)
class Start:
    """A network to train: its weights, and batches xs (steps × batch × features, or a list of uneven ones) with labels (steps × batch)."""

    spec: Spec
    weights: Arrays
    xs: Batches | list[Batch]
    labels: BatchLabels | list[Labels]

    @property
    def given(self) -> dict[str, object]:
        """As scenarios take it."""
        return {"spec": self.spec.id, "weights": self.weights, "xs": self.xs, "labels": self.labels}

    def one(self, batch: int | None = None) -> dict[str, Any]:
        """The first step alone, or its first `batch` samples."""
        return {"spec": self.spec.id, "weights": self.weights, "x": self.xs[0][:batch], "labels": self.labels[0][:batch]}

    def rounding(self, conventions: str, passes: type[Reference] = Reference) -> dict[str, float]:
        """By parameter, what one run of this training may be off: rms over float32 trainings of the reference, by its usual `passes`."""
        exact = self.visited(conventions, np.float64, None)[-1]
        rounded = [self.visited(conventions, np.float32, order, passes)[-1] for order in range(ROUNDINGS)]
        return {key: _rounding(value, [each[key] for each in rounded]) for key, value in exact.items()}

    def visited(self, conventions: str, dtype: DTypeLike, order: int | None, passes: type[Reference] = Reference) -> list[Arrays]:
        """The weights that the reference meets on this training in `dtype`, from the first to the last."""
        weights, rule = {key: np.asarray(value, dtype) for key, value in self.weights.items()}, Rule(self.spec, conventions, dtype)
        visited = [weights]
        for x, labels in zip(self.xs, self.labels, strict=True):
            visited.append(rule.step(visited[-1], passes(self.spec, visited[-1], dtype, order).run(x, labels).gradients))
        return visited


def start(changes: str = "", *, steps: int = 4, seed: int = 0) -> Start:
    """The small network with `changes`, jittered weights, and `steps` batches of standard normal inputs."""
    spec = Spec.parse(changes, **NETWORK)
    rng = np.random.default_rng([seed, 8])
    xs = rng.standard_normal((steps, spec.batch, spec.features)).astype(np.float32)
    return Start(spec, draw_weights(spec, seed, jitter=True), xs, rng.integers(0, spec.classes, (steps, spec.batch)).astype(np.int32))


def measured(compute: Callable[[DTypeLike, int | None], ArrayLike]) -> tuple[Array, Array]:
    """What `compute(dtype, order)` is in float64, and number by number what its float32 may be off: rms over orders of summing."""
    exact = np.asarray(compute(np.float64, None), np.float64)
    rounded = [np.asarray(compute(np.float32, order), np.float64) for order in range(ROUNDINGS)]
    return exact, np.maximum(np.sqrt(np.mean([np.square(each - exact) for each in rounded], axis=0)), UNIT * abs(exact))


def _rounding(exact: Array, rounded: list[Array]) -> float:
    return float(np.maximum(rms_error(exact, rounded), UNIT * float(np.linalg.norm(exact))))


def same(scenario: str, seen: Arrays, other: Arrays, rounding: dict[str, float]) -> Iterator[Finding]:
    """A finding a parameter: how far apart two results are, relative to its size. Raises AssertionError for another set of parameters."""
    if set(seen) != set(other) or not set(seen) <= set(rounding):
        raise AssertionError(f"{scenario}: {sorted(set(seen) ^ set(other))} are missing or unknown")
    for key, value in other.items():
        size = float(np.linalg.norm(value)) or 1.0
        yield Finding(
            Place.of(key, scope=f"{scenario}:"),
            float(np.linalg.norm(seen[key] - value)) / size,
            0.0,
            ROUNDING_MULTIPLE * rounding[key] / size,
        )


def close(place: Place, seen: float, expected: float, rounding: float, note: str = "") -> Finding:
    """A number that must be another one, to `ROUNDING_MULTIPLE` times what rounding costs."""
    return Finding(place, abs(seen - expected), 0.0, ROUNDING_MULTIPLE * rounding, note or f"{seen:.7g} for {expected:.7g}")
