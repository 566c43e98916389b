"""One framework's side of a network that both hold: it runs its passes, keeps them, and gives out arrays layer by layer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.arrays import Array, Arrays
from models.backends.protocol import Backend
from models.own.address import OwnModel
from models.own.carried import WeightedLayer
from models.own.decisions import Decisions
from models.own.passes import LOSS, OwnPass, Yardstick
from models.own.protocol import AlignedNetwork
from models.worker import messages

ROUNDINGS = 3
"""Rounded passes of each framework's twin: six in all, as many as the reference's in `bench.evidence.reference`."""
TIMED = 4
"""Passes that are timed; the first one is told apart."""
PRODUCT = 256
"""Rows of the control product's matrices."""
FLOAT32, FLOAT64, BESIDE = "float32", "float64", "beside"
"""The pass as users run it; the twin with its decisions; the twin with the other framework's."""
SIGNAL, DELTA, ROUNDED = "signal", "delta", "rounding of "
"""A layer's output and the loss's gradient there, beside the roles of its parameters; and what rounding moves each."""


@dataclass
class Begun:
    """What is known once a network has run: what it decided, its losses by pass, what rounding moves the loss, and seconds of a
    pass and of a control product beside it.

    `gradients` are ‖∂L/∂z‖ at each layer with weights.
    """

    decided: Decisions
    losses: dict[str, float]
    rounding: float
    seconds: list[float] = field(default_factory=list)
    controls: list[float] = field(default_factory=list)
    numbers: int = 0
    gradients: dict[str, float] = field(default_factory=dict)


class AlignedSide:
    """Does what it is asked of one network at a time."""

    def __init__(self, backend: Backend) -> None:
        """Nothing is built yet."""
        self._backend = backend
        self._network: AlignedNetwork | None = None
        self._layers: dict[str, WeightedLayer] = {}
        self._passes: dict[str, OwnPass] = {}
        self._yardstick: Yardstick | None = None

    def take(self, do: str, given: dict[str, object]) -> object:
        """One task by name."""
        return getattr(self, do)(**given)

    def build(self, model: object, seed: int, device: str) -> list[WeightedLayer]:
        """Build the network anew and say which layers have weights. Raises OwnError."""
        self.forget()
        address = model if isinstance(model, OwnModel) else messages.as_kind(model, OwnModel)
        self._network = self._backend.aligned_network(address, seed, device)
        layers = self._network.layers()
        self._layers = {layer.name: layer for layer in layers}
        return layers

    def observe(self, weights: Arrays) -> Begun:
        """The float32 pass and its twin's from these weights, and what rounding costs."""
        network = self._asked
        network.load(weights)
        product = self._backend.product(PRODUCT, "cpu")
        seconds, controls = [], []
        for _ in range(TIMED):
            seconds.append(_seconds(network.run))
            controls.append(_seconds(lambda: (product.run(), product.wait())))
        seen, decided = network.observe()
        exact = network.exact(None)
        self._passes = {FLOAT32: seen, FLOAT64: exact}
        self._yardstick = Yardstick(exact)
        for rounded in range(ROUNDINGS):
            self._yardstick.add(network.exact(None, rounded))
        norms = {name: float(np.linalg.norm(g)) for name, g in seen.signal_gradients.items() if name in self._layers}
        numbers = sum(g.size for g in exact.gradients.values())
        return Begun(decided, self._losses(), self._yardstick.of(LOSS, ""), seconds, controls, numbers, norms)

    def beside(self, decided: object) -> dict[str, float]:
        """The twin's pass with the other framework's decisions; losses by pass."""
        decided = decided if isinstance(decided, Decisions) else messages.as_kind(decided, Decisions)
        self._passes[BESIDE] = self._asked.exact(decided)
        return self._losses()

    def arrays(self, layers: list[str]) -> dict[str, dict[str, dict[str, Any]]]:
        """Of each layer, by pass, its output, the gradient there, gradients of its parameters and statistics, and their rounding."""
        return {name: {kind: self._of(self._layers[name], seen) for kind, seen in self._passes.items()} for name in layers}

    def entering(self, name: str, decided: object = None) -> Array:
        """What enters a layer in the float64 pass."""
        if decided is not None and not isinstance(decided, Decisions):
            decided = messages.as_kind(decided, Decisions)
        return self._asked.entering(name, decided)

    def loss_at(self, moved: Mapping[str, Array]) -> float:
        """The float64 loss with some parameters moved."""
        return self._asked.loss_at(moved)

    def forget(self) -> None:
        """Give the memory of the last network back."""
        self._network, self._yardstick, self._passes = None, None, {}

    @property
    def _asked(self) -> AlignedNetwork:
        assert self._network is not None, "a network is built before it is asked for anything"
        return self._network

    def _losses(self) -> dict[str, float]:
        return {kind: seen.loss for kind, seen in self._passes.items()}

    def _of(self, layer: WeightedLayer, seen: OwnPass) -> dict[str, Any]:
        assert self._yardstick is not None, "a network is observed before its arrays are asked for"
        found: dict[str, Any] = {}
        for quantity, kind, arrays, name in (
            (SIGNAL, "signal", seen.signals, layer.name),
            (DELTA, "gradient of the signal", seen.signal_gradients, layer.name),
            *((role, "gradient", seen.gradients, name) for role, name in layer.parameters.items()),
            *((role, "statistic", seen.statistics, name) for role, name in layer.parameters.items()),
        ):
            if name in arrays:
                found[quantity] = arrays[name]
                found[ROUNDED + quantity] = self._yardstick.of(kind, name)
        return found


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
