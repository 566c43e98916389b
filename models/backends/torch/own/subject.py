"""A user's PyTorch module as the judge asks for it: passes, twin and variants."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import nn

from models.arrays import Array, Arrays
from models.backends.torch.own.autocast import UNIT, autocast_pass
from models.backends.torch.own.building import build
from models.backends.torch.own.collections import factory
from models.backends.torch.own.float64 import Twin
from models.backends.torch.own.functions import Apart, surrogates
from models.backends.torch.own.half import HALVES, Half
from models.backends.torch.own.hooks import watched
from models.backends.torch.own.modules import is_number
from models.backends.torch.own.network import OwnModule
from models.backends.torch.own.tape import Recorder, Tape
from models.backends.torch.precision import float32_products
from models.own.address import OwnModel
from models.own.gauge import NoTwinError
from models.own.large import kept
from models.own.loading import Home
from models.own.observation import LayerSeen, surrogate_gradients
from models.own.passes import OwnPass, Trajectory, norm
from models.own.protocol import NoVariantError, OwnTwin, PassVariant, StepsVariant, UndecidedError, VariantFailedError

REST_AT_ZERO = nn.ReLU, nn.ReLU6, nn.Hardswish, nn.Threshold
Taken = tuple[OwnPass, OwnPass, list[OwnPass]]
ROUNDED = 3
"""Rounded passes of a variant that rounds more than the usual one: each has an error of its own in every channel."""
ROUNDED_IN_HALF = 6
"""The same of a pass in half precision, whose roundings nothing else measures: as many as of the usual pass."""
WIDE = "float64", "complex128"
"""Formats of which float64 is no more exact reference."""
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
        self._stepping: Tape | None = None
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
        self._stepping = recorder.tape
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
        if self._formats and self._formats <= set(WIDE):
            raise NoTwinError(f"a float64 reference of float32: its parameters are {self.precision}")
        assert self._tape is not None, "a twin is given the decisions of a watched pass"
        if self._own.device != "cpu" and float32_products() != "float32":
            raise NoTwinError(f"a float64 reference of float32: its own file allows products in {float32_products()}")
        twin = Twin(self._own, self._tape, self._evaluation, self._stepping)
        if self._tape.half:
            if not Half.of(self._tape.half):
                raise NoTwinError("it casts to half precision and back, which float64 does not repeat")
            twin.backward(None)
            twin.round_others()
        return twin

    def variants(self, compiled: bool) -> Iterator[PassVariant | StepsVariant]:
        """Memory formats, micro-batches, the optimizer's kernels, and torch.compile."""
        yield PassVariant("channels_last", self._channels_last)
        yield PassVariant("accumulated", self._accumulated)
        if self._own.gauge.optimizer is not None:
            for flag in ("foreach", "fused"):
                yield StepsVariant(flag + self._kernels(), self._steps_by(flag))
        if compiled:
            yield PassVariant("compile", self._compiled, decided=False)
            yield PassVariant("autocast", self._autocast, unit=UNIT)

    def _kernels(self) -> str:
        """What an optimizer's kernels are told apart by in half precision, for which each has loops of its own.

        A user's optimizer that is one of PyTorch's as well has the kernels of this one.
        """
        if not any(p.dtype in HALVES for p in self._own.parameters().values()):
            return ""
        kinds = type(self._own.optimizer()).__mro__
        name = next((kind.__name__ for kind in kinds if kind.__module__.startswith("torch.optim")), "")
        return f" {kinds[0].__name__ if name in ('', 'Optimizer') else name} in half precision"

    def _channels_last(self, twin: OwnTwin) -> Taken:
        if not any(p.dim() == 4 for p in self._own.parameters().values()):
            raise NoVariantError("it has no convolution over images")
        copied = self._own.copied(change=lambda model: model.to(memory_format=torch.channels_last))
        copied.inputs_as(torch.channels_last)
        seen, tape = copied.recorded()
        beside = _beside(twin, tape)
        rounded = range(ROUNDED) if any(isinstance(module, nn.BatchNorm2d) for module in self._own.model.modules()) else ()
        return seen, beside.backward(None, watch=False), [beside.backward(n, watch=False, one_by_one=True) for n in rounded]

    def _accumulated(self, twin: OwnTwin) -> Taken:
        if not (halves := self._own.halves()):
            raise NoVariantError("its batch has no two halves")
        seen, exact = _Mean(len(halves)), _Mean(len(halves))
        for place, half in enumerate(halves):
            here, tape = self._own.recorded(batch=half)
            seen.add(here)
            exact.add(_beside(twin, tape).backward(None, watch=False, batch=place))
        whole, mean = twin.backward(None), exact.taken()
        other = set(mean.gradients) != set(whole.gradients)  # a half of the batch may take another way through the model
        if other or any(norm(mean.gradients[name] - g) > 1e-3 * (norm(g) or 1.0) for name, g in whole.gradients.items()):
            raise NoVariantError(
                "the mean over halves of its batch is not the whole's (batch statistics, dropout, or a loss that is no mean)"
            )
        return seen.taken(), mean, []

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
        seen, tape = autocast_pass(self._own)
        beside = _beside(twin, tape)
        exact = beside.backward(None)
        if exact.undecided:
            raise UndecidedError("float64 takes other operations than half precision, so that it cannot be given its decisions")
        beside.round_others()
        return seen, exact, [beside.backward(n) for n in range(ROUNDED_IN_HALF)]

    def _steps_by(self, flag: str) -> Callable[[Trajectory], list[Arrays]]:
        def run(trajectory: Trajectory) -> list[Arrays]:
            copied = self._own.copied()
            if not copied.takes(flag):
                raise NoVariantError(f"its optimizer has no {flag} kernels")
            return list(copied.steps(trajectory, **{name: name == flag for name in ("foreach", "fused")}))

        return run


def _beside(twin: OwnTwin, tape: Tape) -> Twin:
    """A model's twin with the decisions of another pass."""
    assert isinstance(twin, Twin), "a variant is given the twin of its own model"
    return twin.beside(tape)


class _Mean:
    """Loss and gradients of a batch from those of its parts; a part that does not reach a parameter adds nothing to its gradient."""

    def __init__(self, parts: int) -> None:
        """Nothing is added yet."""
        self._parts, self._loss = parts, 0.0
        self._gradients: Mapping[str, Array] = {}

    def add(self, part: OwnPass) -> None:
        """One more part."""
        self._loss += part.loss / self._parts
        before, names = self._gradients, dict.fromkeys([*self._gradients, *part.gradients])
        nothing = np.zeros(())
        self._gradients = kept(
            {name: before.get(name, nothing) + part.gradients.get(name, nothing).astype(np.float64) / self._parts for name in names}
        )

    def taken(self) -> OwnPass:
        """The pass of the whole batch."""
        return OwnPass(self._loss, {}, self._gradients)
