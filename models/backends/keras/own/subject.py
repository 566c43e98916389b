"""A user's Keras model as the judge asks for it: passes, twin and variants."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from models.arrays import Array, Arrays
from models.backends.keras.libraries import LIBRARY
from models.backends.keras.own.collections import factory
from models.backends.keras.own.network import SEED, OwnModelOfKeras
from models.backends.keras.own.stepping import Way, by_fit, given_steps, on_batch, stateless_steps, trained
from models.backends.keras.own.twins import TWINS, Tape
from models.backends.keras.own.watched import layer_names
from models.own.address import OwnModel
from models.own.gauge import NoTwinError, TapeEndsError
from models.own.loading import Home
from models.own.observation import LayerSeen, surrogate_gradients
from models.own.passes import UNIT, OwnPass, Trajectory, norm
from models.own.protocol import NoVariantError, OwnTwin, PassVariant, StepsVariant, VariantFailedError

Taken = tuple[OwnPass, OwnPass, list[OwnPass]]
OTHER = 1e-3
"""From this share on, what a user's own `train_step` computes is meant to be something else."""
FLAT = 0.05
"""A value is saturated where |φ′| is under 5 % of its largest, as in `bench.theory.diagnosis`."""
LIBRARY_NAME = keras.backend.backend()


class Subject:
    """A Keras model under test."""

    def __init__(self, model: OwnModel, seed: int, device: str) -> None:
        """Build it by the user's factory. Raises OwnError."""
        keras.config.disable_traceback_filtering()  # else an exception does not tell the line of the user's file
        self._home = Home(model, factory)
        self._tape: Tape | None = None
        self._evaluation: Tape | None = None
        self._half = ""
        self._taken: tuple[Trajectory, list[float]] | None = None
        self._own, self._device = OwnModelOfKeras(self._home, seed), device

    @property
    def size(self) -> int:
        """How many numbers it learns."""
        return int(sum(np.prod(v.shape) for v in self._own.variables))

    @property
    def precision(self) -> str:
        """The format of its parameters."""
        return ", ".join(dict.fromkeys(str(v.dtype) for v in self._own.variables))

    @property
    def trains(self) -> bool:
        """Whether it has data to train on; every compiled model has an optimizer."""
        return self._own.gauge.data is not None

    def backward(self) -> OwnPass:
        """One pass, operation by operation."""
        return self._own.backward(TWINS.recording().differentiate)

    def watch(self) -> OwnPass:
        """The same pass with its decisions."""
        operations = TWINS.recording()
        with operations.inside():
            seen = self._own.backward(operations.differentiate, watch=True)
        self._tape, self._half = operations.tape, operations.half
        return seen

    def weights(self) -> Arrays:
        """Parameters by name, as every pass begins with."""
        self._own.restore()
        return self._own.weights()

    def evaluated(self, reset: bool = True) -> Arrays:
        """Outputs in evaluation mode; from the start once more with decisions."""
        if reset:
            operations = TWINS.recording()
            with operations.inside():
                self._own.evaluated(evaluate=None if TWINS.REBUILT else operations.evaluate)
            self._evaluation = operations.tape
        return self._own.evaluated(reset)

    def state(self) -> Arrays:
        """All variables of model and optimizer, but for the seeds of a model that draws in evaluation: drawing moves them."""
        draws = self._own.drew or (self._evaluation is not None and TWINS.draws(self._evaluation))
        return {name: value for name, value in self._own.state().items() if not (draws and name.endswith(SEED))}

    def layers(self, watched: OwnPass) -> list[LayerSeen]:
        """Layers in the order in which they ran first."""
        found = []
        names = layer_names(self._own.model)
        layers = {names[id(layer)]: layer for layer in self._own.model._flatten_layers(include_self=False)}
        for name, signal in watched.signals.items():
            layer = layers[name]
            seen = LayerSeen(name, type(layer).__name__, norm(watched.signal_gradients.get(name, np.zeros(0))))
            seen.weight = any(len(v.shape) > 1 for v in layer.trainable_variables)
            activation = getattr(getattr(layer, "activation", None), "__name__", type(layer).__name__).lower()
            if activation in ("relu", "relu6") and signal.ndim > 1:
                seen.dead = float((signal.reshape(-1, signal.shape[-1]) <= 0).all(axis=0).mean())
            if activation in ("sigmoid", "tanh"):
                slope = 4 * signal * (1 - signal) if activation == "sigmoid" else 1 - signal**2
                seen.saturated = float((np.abs(slope) < FLAT).mean())
            found.append(seen)
        return found

    def trained(self) -> Trajectory | None:
        """Steps of the user's optimizer by the compiled `train_on_batch`."""
        return self._steps()[0]

    def rewritten(self) -> list[str]:
        """What the last pass in training mode wrote into, as spectral normalization does: `train_on_batch` does so within the step."""
        return self._own.changed

    def by_its_author(self) -> tuple[str, list[str]]:
        """Which of the user's functions have a backward pass that is no derivative on purpose."""
        return surrogate_gradients(TWINS.surrogates(self._looked_at)), []

    def _looked_at(self, operations: Any) -> None:
        if TWINS.REBUILT:
            self._own.backward(operations.differentiate)
        else:  # of a gradient that was traced such functions are gone
            self._own.loss_at({}, operations.evaluate)

    def twin(self) -> OwnTwin:
        """The model in float64."""
        if "float32" not in self.precision.split(", "):
            raise NoTwinError(f"its parameters are {self.precision}")
        assert self._tape is not None, "a twin is given the decisions of a watched pass"
        if self._device != "cpu" and LIBRARY.float32_products() != "float32":
            raise NoTwinError(f"its own file allows products in {LIBRARY.float32_products()}")
        if self._half:
            raise NoTwinError(f"{self._half} computes in half precision")
        return Twin(self._home, self._own, self._tape, self._evaluation)

    def variants(self, compiled: bool) -> Iterator[PassVariant | StepsVariant]:
        """`train_on_batch` as a graph, operation by operation and by XLA, and `fit`."""
        decided = LIBRARY_NAME == "torch"  # which runs operation by operation
        yield PassVariant("train_on_batch", self._first_step, decided)
        if compiled:
            yield PassVariant("fit", self._fit, decided)
            if LIBRARY_NAME != "torch":
                yield PassVariant("run_eagerly", self._eager, decided=False)
            if LIBRARY_NAME != "jax":
                yield PassVariant("jit_compile", self._jit, decided=False)

    def _steps(self) -> tuple[Trajectory, list[float]]:
        if self._taken is None:
            self._taken = trained(self._own, jit=LIBRARY_NAME == "jax")  # as Keras does there by itself
        return self._taken

    def _first_step(self, twin: OwnTwin) -> Taken:
        return self._of_steps(*self._steps(), twin)

    def _fit(self, twin: OwnTwin) -> Taken:
        return self._by("fit", twin, jit=LIBRARY_NAME == "jax", way=by_fit)

    def _eager(self, twin: OwnTwin) -> Taken:
        return self._by("run_eagerly", twin, jit=False, eager=True)

    def _jit(self, twin: OwnTwin) -> Taken:
        return self._by("XLA", twin, jit=True)

    def _by(self, name: str, twin: OwnTwin, jit: bool, way: Way = on_batch, eager: bool = False) -> Taken:
        try:
            return self._of_steps(*trained(self._own, jit, way, eager), twin)
        except NoVariantError:
            raise
        except Exception as error:
            raise VariantFailedError(f"{name} does not take it ({str(error).splitlines()[0][:120]})") from error

    def _of_steps(self, trajectory: Trajectory, losses: list[float], twin: OwnTwin) -> Taken:
        seen, exact = OwnPass(losses[0], {}, trajectory.gradients[0]), twin.backward(None)
        apart = [abs(seen.loss - exact.loss) / (abs(exact.loss) or 1.0)]
        apart += [norm(seen.gradients[name] - g) / (norm(g) or 1.0) for name, g in exact.gradients.items()]
        if self._own.steps_by_itself and max(apart) > OTHER:
            raise NoVariantError("its own train_step computes another loss or gradient than compute_loss")
        return seen, exact, []


class Twin:
    """The float64 twin of a Keras model; each pass has the decisions of the tape."""

    constants = 0.0 if TWINS.REBUILT else UNIT  # of a program that was traced in float32
    unit = 0.0

    def __init__(self, home: Home, own: OwnModelOfKeras, tape: Tape | None, evaluation: Tape | None) -> None:
        """Build it by the factory once more, where the library needs that; `evaluation` is the tape of a pass in that mode."""
        self._tape, self._evaluation = tape, evaluation
        self._held: list[Any] | None = None
        self._loss_tape = tape
        with TWINS.float64_by_default():
            self._twin = OwnModelOfKeras(home, own.seed, twin_of=own) if TWINS.REBUILT else own
        if not TWINS.REBUILT:
            recorded = TWINS.recording()
            own.loss_at({}, recorded.evaluate)
            self._loss_tape = recorded.tape

    def backward(self, rounded: int | None) -> OwnPass:
        """The watched pass."""
        operations = TWINS.replay(self._tape, rounded)
        operations.counts_near = rounded is None
        try:
            with TWINS.float64_by_default(), operations.inside():
                seen = self._twin.backward(operations.differentiate, watch=True)
        except TapeEndsError as reason:
            _refuse_other_draws(self._tape, reason)
            self._tape = None
            return self.backward(rounded)
        seen.near, seen.undecided = operations.near, self._tape is None
        return seen

    def loss_at(self, moved: Mapping[str, Array]) -> float:
        """The loss with some parameters moved, with the draws of the tape, and held where the model stops the gradient."""
        try:
            if self._held is None:
                unmoved = TWINS.replay(self._loss_tape)
                with TWINS.float64_by_default(), unmoved.inside():
                    self._twin.loss_at({}, unmoved.evaluate)
                self._held = unmoved.stopped
            operations = TWINS.replay(self._loss_tape, held=self._held)
            with TWINS.float64_by_default(), operations.inside():
                return self._twin.loss_at(moved, operations.evaluate, all_given=TWINS.TAKES_ALL)
        except TapeEndsError as reason:
            _refuse_other_draws(self._loss_tape, reason)
            self._loss_tape = None
            return self.loss_at(moved)

    def evaluated(self, rounded: int | None) -> Arrays:
        """Outputs in evaluation mode, with the decisions of its tape."""
        operations = TWINS.replay(self._evaluation, rounded)
        try:
            with TWINS.float64_by_default(), operations.inside():
                return self._twin.evaluated(evaluate=None if TWINS.REBUILT else operations.evaluate)
        except TapeEndsError as reason:
            _refuse_other_draws(self._evaluation, reason)
            self._evaluation = None
            return self.evaluated(rounded)

    def steps(self, trajectory: Trajectory, rounded: int | None) -> Generator[Arrays]:
        """New weights by the optimizer's own rule."""
        operations = TWINS.replay(None, rounded)
        if TWINS.REBUILT:
            ends = given_steps(self._twin, trajectory.begins, trajectory.gradients)
        else:
            ends = stateless_steps(self._twin, operations.evaluate, trajectory.begins, trajectory.gradients)
        try:
            for _ in trajectory.begins:
                with TWINS.float64_by_default(), operations.inside():
                    end = next(ends)
                yield end
                del end  # else two steps' weights would be held at a time
        finally:
            ends.close()  # which gives the optimizer its slots of the start


def _refuse_other_draws(tape: Tape | None, reason: NoTwinError) -> None:
    """Raise NoTwinError where float64 would draw other numbers without the tape."""
    if tape is None or TWINS.draws(tape):
        raise NoTwinError(f"its random draws cannot be given to float64: {reason}") from reason
