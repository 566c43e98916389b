"""A user's PyTorch module as the judge asks for it: passes, twin and variants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext

import numpy as np
import torch
from torch import nn

from models.arrays import Arrays
from models.backends.torch.own.autocast import UNIT, autocast_pass
from models.backends.torch.own.building import build
from models.backends.torch.own.collections import factory
from models.backends.torch.own.functions import Apart, surrogates
from models.backends.torch.own.hooks import watched
from models.backends.torch.own.modules import is_number
from models.backends.torch.own.network import OwnModule
from models.backends.torch.own.padding import zeros_for_padding
from models.backends.torch.own.stopped import Stopped
from models.backends.torch.own.tape import Recorder, Tape
from models.backends.torch.own.twin import NONE, wide
from models.backends.torch.precision import float32_products
from models.own.address import OwnModel
from models.own.gauge import NoTwinError, TapeEndsError
from models.own.loading import Home
from models.own.observation import LayerSeen, surrogate_gradients
from models.own.passes import OwnPass, Trajectory, norm
from models.own.protocol import NoVariantError, OwnTwin, PassVariant, StepsVariant, UndecidedError, VariantFailedError
from models.own.trees import Tree

REST_AT_ZERO = nn.ReLU, nn.ReLU6, nn.Hardswish, nn.Threshold
Taken = tuple[OwnPass, OwnPass, list[OwnPass]]
ROUNDED = 3
"""Rounded passes of a variant that rounds more than the usual one: each has an error of its own in every channel."""
ROUNDED_IN_HALF = 6
"""The same of a pass in half precision, whose roundings nothing else measures: as many as of the usual pass."""
FORMATS = "float32", "complex64"
"""Formats of which float64 is a reference. What computes in less is seen as it computes, and parameters that nothing uses do not."""
HALVES = "float16", "bfloat16"
WARM = 3
"""Passes after which TorchScript has compiled what it compiles, so that the next ones give the same bits."""
COMPILED_THREADS = 2
"""Threads of a compiled step at least: Inductor writes other loops for several, with faults of their own (pytorch #185509)."""
FLAT = 0.05
"""A value is saturated where |φ′| is under 5 % of its largest, as in `bench.theory.diagnosis`."""


class Subject:
    """A module under test."""

    def __init__(self, model: OwnModel, seed: int, device: str) -> None:
        """Build it by the user's factory. Raises OwnError."""
        home = Home(model, factory)
        self._own = OwnModule(home, build(home, seed), seed, device)
        if any(isinstance(module, torch.jit.ScriptModule) for module in self._own.model.modules()):
            for _ in range(WARM):
                self._own.backward()
        self._tape: Tape | None = None
        self._evaluation: Tape | None = None
        self._rewritten: list[str] = []

    @property
    def size(self) -> int:
        """How many numbers it learns."""
        return sum(p.numel() for p in self._own.parameters().values())

    @property
    def precision(self) -> str:
        """The formats of its parameters; whole numbers are none."""
        formats = dict.fromkeys(str(p.dtype).removeprefix("torch.") for p in self._own.parameters().values() if is_number(p))
        return ", ".join(formats)

    @property
    def _formats(self) -> set[str]:
        return set(filter(None, self.precision.split(", ")))

    @property
    def trains(self) -> bool:
        """Whether it has data and an optimizer to train with."""
        return self._own.gauge.data is not None and self._own.gauge.optimizer is not None

    def backward(self) -> OwnPass:
        """One pass as a user runs it."""
        return self._own.backward()

    def watch(self) -> OwnPass:
        """The same pass with its decisions."""
        begin = self.weights()
        seen, self._tape = self._own.recorded(watch=True)
        self._rewritten = [name for name, w in self._own.weights().items() if name in begin and w.tobytes() != begin[name].tobytes()]
        return seen

    def weights(self) -> Arrays:
        """Parameters by name, as every pass begins with."""
        self._own.restore()
        return self._own.weights()

    def evaluated(self, reset: bool = True) -> Arrays:
        """Outputs in evaluation mode; from the start once more with decisions."""
        if reset:
            with Recorder() as recorder:
                self._own.evaluated()
            self._evaluation = recorder.tape
        return self._own.evaluated(reset)

    def state(self) -> Arrays:
        """Parameters, buffers, gradients and modes."""
        return self._own.state()

    def layers(self, watched: OwnPass) -> list[LayerSeen]:
        """Layers in the order in which they ran first."""
        modules, found = dict(self._own.model.named_modules()), []
        for name, signal in watched.signals.items():
            module = modules[name]
            seen = LayerSeen(name, type(module).__name__, norm(watched.signal_gradients.get(name, np.zeros(0))))
            seen.weight = any(p.dim() > 1 for p in module.parameters(recurse=False))
            if isinstance(module, REST_AT_ZERO) and signal.ndim > 1:
                units = np.moveaxis(signal, 1 if signal.ndim > 3 else -1, 0).reshape(signal.shape[1 if signal.ndim > 3 else -1], -1)
                seen.dead = float((units <= 0).all(axis=1).mean())
            if isinstance(module, (nn.Sigmoid, nn.Tanh)):
                slope = 4 * signal * (1 - signal) if isinstance(module, nn.Sigmoid) else 1 - signal**2
                seen.saturated = float((np.abs(slope) < FLAT).mean())
            found.append(seen)
        return found

    def trained(self) -> Trajectory | None:
        """Steps of the user's optimizer."""
        if self._own.gauge.optimizer is None:
            return None
        trajectory = self._own.trained()
        with Recorder() as recorder:
            list(self._own.steps(trajectory))
        if recorder.tape.half and not self._formats & set(HALVES):
            kind = type(self._own.optimizer()).__name__
            raise NoVariantError(f"{kind} computes in half precision ({recorder.tape.half})")
        return trajectory

    def rewritten(self) -> list[str]:
        """What the watched pass wrote into, as an embedding with `max_norm` does."""
        return self._rewritten

    def by_its_author(self) -> tuple[str, list[str]]:
        """Which of the user's functions and hooks give another gradient than the derivative on purpose.

        A gradient is taken at what the pass has written, which it writes again wherever differences move it.
        """
        with surrogates() as found, watched(self._own.model) as chosen, Apart() as apart:
            self._own.backward()
        by_choice = surrogate_gradients(found | apart.flat, chosen.others)
        written = f"the forward pass itself writes into {', '.join(self._rewritten)}" if self._rewritten else ""
        return "; ".join(filter(None, (by_choice, *apart.drawn, written))), list(chosen.parameters)

    def twin(self) -> OwnTwin:
        """The module in float64."""
        if self._formats and not self._formats & set(FORMATS):
            raise NoTwinError(f"a float64 reference of float32: its parameters are {self.precision}")
        assert self._tape is not None, "a twin is given the decisions of a watched pass"
        if self._own.device != "cpu" and float32_products() != "float32":
            raise NoTwinError(f"a float64 reference of float32: its own file allows products in {float32_products()}")
        if self._tape.half:
            raise NoTwinError(f"a float64 reference of float32: {self._tape.half} computes in half precision")
        return Twin(self._own, self._tape, self._evaluation)

    def variants(self, compiled: bool) -> Iterator[PassVariant | StepsVariant]:
        """Memory formats, micro-batches, the optimizer's kernels, and torch.compile."""
        yield PassVariant("channels_last", self._channels_last)
        yield PassVariant("accumulated", self._accumulated)
        if self._own.gauge.optimizer is not None:
            yield StepsVariant("foreach", self._stepping("foreach"))
            yield StepsVariant("fused", self._stepping("fused"))
        if compiled:
            yield PassVariant("compile", self._compiled, decided=False)
            yield PassVariant("autocast", self._autocast, unit=UNIT)

    def _channels_last(self, twin: OwnTwin) -> Taken:
        if not any(p.dim() == 4 for p in self._own.parameters().values()):
            raise NoVariantError("it has no convolution over images")
        copied = self._own.copied(change=lambda model: model.to(memory_format=torch.channels_last))
        copied.inputs_as(torch.channels_last)
        seen, tape = copied.recorded()
        beside = Twin(self._own, tape)
        rounded = range(ROUNDED) if any(isinstance(module, nn.BatchNorm2d) for module in self._own.model.modules()) else ()
        return seen, beside.backward(None, watch=False), [beside.backward(n, watch=False, one_by_one=True) for n in rounded]

    def _accumulated(self, twin: OwnTwin) -> Taken:
        if not (halves := self._own.halves()):
            raise NoVariantError("its batch has no two halves")
        recorded = [self._own.recorded(batch=half) for half in halves]
        answers = [Twin(self._own, tape).backward(None, watch=False, batch=place) for place, (_, tape) in enumerate(recorded)]
        exact, whole = _mean(answers), twin.backward(None)
        other = set(exact.gradients) != set(whole.gradients)  # a half of the batch may take another way through the model
        if other or any(norm(exact.gradients[name] - g) > 1e-3 * (norm(g) or 1.0) for name, g in whole.gradients.items()):
            raise NoVariantError(
                "the mean over halves of its batch is not the whole's (batch statistics, dropout, or a loss that is no mean)"
            )
        return _mean([seen for seen, _ in recorded]), exact, []

    def _compiled(self, twin: OwnTwin) -> Taken:
        import torch._inductor.config as inductor

        copied, threads = self._own.copied(), torch.get_num_threads()
        try:
            with inductor.patch(fallback_random=True):  # the same draws as eager
                torch.set_num_threads(max(threads, COMPILED_THREADS))
                copied.call = torch.compile(copied.model)
                seen = copied.backward()
        except Exception as error:
            raise VariantFailedError(f"torch.compile does not take it ({str(error).splitlines()[0][:120]})") from error
        finally:
            torch.set_num_threads(threads)
        return seen, twin.backward(None), []

    def _autocast(self, twin: OwnTwin) -> Taken:
        seen, tape, half = autocast_pass(self._own)
        beside = Twin(self._own, tape, half=half)
        exact, rounded = beside.backward(None), [beside.backward(n) for n in range(ROUNDED_IN_HALF)]
        if exact.undecided:
            raise UndecidedError("float64 takes other operations than half precision, so that it cannot be given its decisions")
        if missing := sorted(half - beside.ran - {"copy_"}):
            raise UndecidedError(f"{', '.join(missing)} computes in half precision, and float64 has another kernel")
        return seen, exact, rounded

    def _stepping(self, flag: str) -> Callable[[Trajectory], list[Arrays]]:
        def run(trajectory: Trajectory) -> list[Arrays]:
            copied = self._own.copied()
            if not copied.takes(flag):
                raise NoVariantError(f"its optimizer has no {flag} kernels")
            return list(copied.steps(trajectory, **{name: name == flag for name in ("foreach", "fused")}))

        return run


class Twin:
    """The float64 twin of a module; each pass has the decisions of the tape."""

    constants = 0.0

    def __init__(self, own: OwnModule, tape: Tape | None, evaluation: Tape | None = None, half: frozenset[str] = NONE) -> None:
        """A copy of the module; `evaluation` is the tape of a pass in that mode. Operations of `half` round as a bfloat16 does."""
        self._twin, self._tape, self._evaluation = own.copied(twin=True), tape, evaluation
        self._half, self.ran = half, set[str]()
        self._packs = evaluation is not None and evaluation.packs
        self._held: list[Tree] | None = None

    def backward(self, rounded: int | None, *, watch: bool = True, batch: int | None = None, one_by_one: bool = False) -> OwnPass:
        """The watched pass, or that of one half of the batch.

        Where float64 computes by other operations than float32 did, it decides by itself.
        """
        place = None if batch is None else self._twin.halves()[batch]
        try:
            with wide(self._tape, rounded, one_by_one, self._half) as mode:
                seen = self._twin.backward(watch=watch, batch=place)
        except TapeEndsError as reason:
            _refuse_other_draws(self._tape, reason)
            self._tape = None
            return self.backward(rounded, watch=watch, batch=batch, one_by_one=one_by_one)
        seen.near, seen.undecided = mode.near, self._tape is None
        self.ran |= mode.ran
        return seen

    def loss_at(self, moved: Arrays) -> float:
        """The loss with some parameters moved, with the draws of the tape, and held where the model stops the gradient."""
        try:
            if self._held is None:
                with wide(self._tape, None):
                    self._twin.loss_at({}, unmoved := Stopped())
                self._held = unmoved.held
            with wide(self._tape, None):
                return self._twin.loss_at(moved, Stopped(self._held))
        except TapeEndsError as reason:
            _refuse_other_draws(self._tape, reason)
            self._tape = None
            return self.loss_at(moved)

    def evaluated(self, rounded: int | None) -> Arrays:
        """Outputs in evaluation mode, with the decisions of its tape."""
        try:
            with wide(self._evaluation, rounded), zeros_for_padding(self._twin.model) if self._packs else nullcontext():
                return self._twin.evaluated()
        except TapeEndsError as reason:
            _refuse_other_draws(self._evaluation, reason)
            self._evaluation = None
            return self.evaluated(rounded)

    def steps(self, trajectory: Trajectory, rounded: int | None) -> list[Arrays]:
        """New weights by the optimizer's own rule, one number after the other."""
        copied = self._twin.copied(twin=True)
        with wide(None, rounded):
            return list(copied.steps(trajectory, foreach=False, fused=False))


def _refuse_other_draws(tape: Tape | None, reason: TapeEndsError) -> None:
    """Raise NoTwinError where float64 would draw other numbers without the tape."""
    if tape is None or tape.draws:
        raise NoTwinError(f"its random draws cannot be given to float64: {reason}") from reason


def _mean(passes: list[OwnPass]) -> OwnPass:
    """Loss and gradients of a batch from those of its parts; a part that does not reach a parameter adds nothing to its gradient."""
    gradients: Arrays = {}
    for each in passes:
        for name, gradient in each.gradients.items():
            gradients[name] = gradients.get(name, 0.0) + gradient.astype(np.float64) / len(passes)
    return OwnPass(float(np.mean([each.loss for each in passes])), {}, gradients)
