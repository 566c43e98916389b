"""A user's module as its user trains it: passes, steps and variants of execution, in float32 and as float64 twin."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

from models.arrays import Array, Arrays
from models.backends.torch.own.building import build
from models.backends.torch.own.calls import advance, outputs, own_loss, takes_several, takes_targets
from models.backends.torch.own.closures import copied, made_again
from models.backends.torch.own.hooks import Hooks, hooks_of, watched
from models.backends.torch.own.kinds import as_trained, computes_gradients, is_dense, is_image, shapes, shortens
from models.backends.torch.own.modules import Modules, is_number
from models.backends.torch.own.shared import as_first_made, as_first_returned
from models.backends.torch.own.state import WIDER, State, array, seed_everything, tensor_like
from models.backends.torch.own.stopped import Stopped
from models.backends.torch.own.tape import Recorder, Tape
from models.own.gauge import Gauge, NoTwinError, OwnError, pair
from models.own.large import kept
from models.own.loading import Home
from models.own.passes import OwnPass, Trajectory, unlike
from models.own.protocol import NoVariantError
from models.own.trees import Tree, leaves, mapped

STEP = "could not take a step"
"""What a model could not do whose optimizer raised."""
STEPS = 2
"""Optimizer steps that are looked at: the second has slots that the first has filled."""


class OwnModule:
    """A module with its loss, batches and optimizer, in float32 or, `twin`, in float64 on the CPU."""

    def __init__(self, home: Home, gauge: Gauge, seed: int, device: str, twin: bool = False, start: State | None = None) -> None:
        """Keep the state that every pass begins with, or take that of the model of which this is a copy."""
        self._home, self.gauge, self._seed, self.device, self.is_twin = home, gauge, seed, device, twin
        with self._describing(f"could not be put on {device}"):
            self.model: nn.Module = as_trained(gauge.model.to(device))
        self._original = self.model
        self.call: Callable[..., Tree] = gauge.model
        self._sparse: set[str] = set()
        self._chosen: set[str] | None = None
        bound = isinstance(gauge.optimizer, torch.optim.Optimizer)
        self._fresh = copy.deepcopy(gauge.optimizer.state_dict()) if bound else None
        batches = [gauge.batch] if gauge.data is None else [pair(each, home.model.id) for each in islice(iter(gauge.data), STEPS)]
        self._batches = [mapped(self._placed, each) for each in batches] * (1 if len(batches) == STEPS else STEPS)
        if any(nn.parameter.is_lazy(p) for p in self.model.parameters()):
            with self._describing("could not be called"), torch.no_grad():
                self._forward(self._batches[0])
            as_first_returned(self.model)
        self._start = start or State(self.model)

    def parameters(self) -> dict[str, nn.Parameter]:
        """What can be learned, by name; what is frozen as well."""
        return dict(self.model.named_parameters())

    def weights(self) -> Arrays:
        """Parameters by name."""
        return {name: array(p) for name, p in self.parameters().items()}

    def backward(self, *, watch: bool = False, number: int = 0, batch: Tree = None, reset: bool = True) -> OwnPass:
        """One pass in training mode from the state at the start. Raises OwnError with the user's own exception."""
        if reset:
            self.restore()
        self.forget()
        batch = self._batches[number] if batch is None else batch
        modules = Modules(self.model, signals=watch, stack=self.is_twin)
        with self._describing("could not be trained", modules), modules:
            output = self._forward(batch)
            loss = self._loss(output, batch)
            if not loss.requires_grad:
                raise OwnError(f"the loss of {self._home.model.id} reaches nothing that learns: all is frozen, or outputs are detached.")
            loss.backward()
        self._sparse |= {name for name, p in self.parameters().items() if p.grad is not None and p.grad.layout != torch.strided}
        gradients = {name: array(p.grad) for name, p in self.parameters().items() if p.grad is not None}
        return OwnPass(_number(loss), outputs(output), gradients, self._statistics(), modules.signals, modules.gradients)

    def loss_at(self, moved: Mapping[str, Array], stopped: Stopped) -> float:
        """The loss in training mode with some parameters moved, from the state at the start, its stopped values kept or held."""
        self.restore()
        with torch.no_grad():
            for name, p in self.parameters().items():
                if name in moved:
                    p.add_(tensor_like(moved[name], p))
        with self._describing("could not be trained"), stopped:
            loss = self._loss(self._forward(self._batches[0]), self._batches[0])
        return _number(loss)

    def evaluated(self, reset: bool = True) -> Arrays:
        """Outputs in evaluation mode, from the state at the start or as the model is."""
        if reset:
            self.restore()
        modes = {module: module.training for module in self.model.modules()}
        self.model.eval()
        try:
            modules = Modules(self.model, signals=False, stack=self.is_twin)
            with self._describing("could not be evaluated", modules), modules:
                return outputs(self._evaluate())
        finally:
            for module, mode in modes.items():
                module.training = mode

    def _evaluate(self) -> Tree:
        """A pass without gradients, or with them where the model differentiates by itself, as a penalty on gradients does."""
        try:
            with torch.no_grad():
                return self._forward(self._batches[0])
        except RuntimeError as error:
            if "does not require grad" not in str(error):
                raise
        return self._forward(self._batches[0])

    def state(self) -> Arrays:
        """All parameters and buffers, gradients, and the mode of every module, to see whether something has left a trace.

        A module may save what is no tensor besides, such as the number of its version. An embedding with `max_norm` is documented to
        shorten its rows wherever it is called.
        """
        shortened = {f"{name}.weight".removeprefix(".") for name, module in self.model.named_modules() if shortens(module)}
        saved = self.model.state_dict().items()
        found = {name: array(value) for name, value in saved if isinstance(value, Tensor) and name not in shortened}
        found |= {f"{name} (gradient)": array(p.grad) for name, p in self.parameters().items() if p.grad is not None}
        return found | {f"{name or 'model'} (mode)": np.array(module.training) for name, module in self.model.named_modules()}

    def recorded(self, *, watch: bool = False, batch: Tree = None) -> tuple[OwnPass, Tape]:
        """A pass with its decisions."""
        with Recorder() as recorder:
            seen = self.backward(watch=watch, batch=batch)
        return seen, recorder.tape

    def copied(self, twin: bool = False, change: Callable[[nn.Module], object] = lambda model: None) -> OwnModule:
        """The same model once more, changed in place by `change`; as a twin in float64 on the CPU."""
        try:
            copies, gauge = copied(self.gauge, self._hooks(chosen=twin))
            original = self._original
        except Exception:  # a module may hold what cannot be copied: the factory makes another one
            again = build(self._home, self._seed)
            original = again.model
            if shapes(original) != shapes(self.model):
                raise NoTwinError("its module cannot be copied, and the factory builds another one the second time") from None
            copies, gauge = made_again(again)
        if twin:
            copies.widen(gauge.model)
        self._start.put_back(gauge.model)
        change(gauge.model)
        gauge = replace(gauge, batch=self.gauge.batch, schedule=self.gauge.schedule, data=self._batches)
        other = OwnModule(self._home, gauge, self._seed, "cpu" if twin else self.device, twin, self._start)
        other._original, other._chosen = original, self._chosen
        other._fresh, other._sparse = self._fresh, self._sparse  # the copied optimizer may have taken steps
        return other

    def _hooks(self, chosen: bool) -> Hooks:
        """Hooks of parameters or, of these, those that change a gradient by choice."""
        if not (found := hooks_of(self.model)) or not chosen:
            return found
        if self._chosen is None:
            with watched(self.model) as seen:
                self.backward()
            self._chosen = set(seen.parameters)
        return {name: hooks for name, hooks in found.items() if name in self._chosen}

    def halves(self) -> list[Tree]:
        """The first batch in two halves of its samples; nothing where it cannot be halved."""
        tensors = [leaf for _, leaf in leaves(self._batches[0]) if isinstance(leaf, Tensor)]
        if not all(map(is_dense, tensors)):  # rows of a sparse one, as of a graph, are no samples, and nested ones cannot be cut
            return []
        sizes = {len(leaf) if leaf.dim() else 0 for leaf in tensors}
        if len(sizes) != 1 or (size := sizes.pop()) % 2 or not size:
            return []
        cut = lambda part: lambda leaf: leaf[part] if isinstance(leaf, Tensor) else leaf  # noqa: E731
        return [mapped(cut(part), self._batches[0]) for part in (slice(None, size // 2), slice(size // 2, None))]

    def inputs_as(self, memory_format: torch.memory_format) -> None:
        """Lay images of all batches out in memory in another order."""
        changed = lambda leaf: leaf.to(memory_format=memory_format) if is_image(leaf) else leaf  # noqa: E731
        self._batches = [mapped(changed, each) for each in self._batches]

    def takes(self, flag: str) -> bool:
        """Whether the user's optimizer has a setting of this name, and kernels for it on this device."""
        optimizer = self.optimizer()
        return all(flag in group for group in optimizer.param_groups)

    def optimizer(self, **flags: bool) -> torch.optim.Optimizer:
        """The user's optimizer over this model's parameters, with its `foreach` and `fused` set where it has them."""
        made = self.gauge.optimizer
        if isinstance(made, torch.optim.Optimizer):
            made.load_state_dict(copy.deepcopy(self._fresh))
        else:
            with self._describing("has an optimizer that could not be built"):
                made = made(self.model.parameters())
            if isinstance(made, torch.optim.Optimizer):
                as_first_made(made)
            self._claim(made)
        ours = {id(p) for p in self.model.parameters()}
        if not any(id(p) in ours for group in made.param_groups for p in group["params"]):
            raise OwnError(f"the optimizer of {self._home.model.id} has none of the model's parameters.")
        for group in made.param_groups:
            group |= {name: value for name, value in flags.items() if name in group}
        return made

    def _claim(self, optimizer: torch.optim.Optimizer) -> None:
        """Give it this module's parameters in place of those of the module that the user's function may know and take them from."""
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise OwnError(f"the optimizer of {self._home.model.id} is {type(optimizer).__name__}, no torch.optim.Optimizer.")
        names, ours = {id(p): name for name, p in self._original.named_parameters()}, self.parameters()
        for group in optimizer.param_groups:
            group["params"] = [ours.get(names.get(id(p), ""), p) for p in group["params"]]

    def steps(self, seen: Trajectory, **flags: bool) -> Iterator[Arrays]:
        """New weights after each step from the weights and on the gradients that were seen; the slots go on from one to the next."""
        self.restore()
        optimizer = self.optimizer(**flags)
        schedule = self.gauge.schedule(optimizer) if callable(self.gauge.schedule) else None
        for begin, given, loss in zip(seen.begins, seen.gradients, seen.losses, strict=True):
            with torch.no_grad():
                for name, p in self.parameters().items():
                    p.copy_(tensor_like(begin[name], p))
                    # A copy, since some steps write into the gradient.
                    p.grad = tensor_like(given[name], p) if name in given else None
                    if p.grad is not None and name in self._sparse:
                        p.grad = p.grad.to_sparse(1)  # which some optimizers insist on
            with self._describing(STEP):
                optimizer.step()
                advance(schedule, loss)
            yield self.weights()

    def trained(self) -> Trajectory:
        """Steps of the user's optimizer on gradients that this model computes. Raises NoVariantError where it asks for the loss anew."""
        seen = Trajectory()
        self.restore()
        optimizer = self.optimizer()
        if computes_gradients(optimizer):
            raise NoVariantError(f"{type(optimizer).__name__} computes gradients itself")
        schedule = self.gauge.schedule(optimizer) if callable(self.gauge.schedule) else None
        for number in range(STEPS):
            here = self.backward(number=number, reset=False)
            gradients = here.gradients
            seen.begins.append(kept(self.weights()))
            with self._describing(STEP):
                optimizer.step()
                advance(schedule, here.loss)
            seen.gradients.append(kept(gradients))
            seen.losses.append(here.loss)
            seen.ends.append(kept(self.weights()))
            left = {name: array(p.grad) for name, p in self.parameters().items() if p.grad is not None}
            seen.kept += unlike("gradient", gradients, left, number)
        self.forget()
        return seen

    @contextlib.contextmanager
    def _describing(self, what: str, modules: Modules | None = None) -> Iterator[None]:
        """Run the user's code; what it raises is theirs, and of a twin the reason why there is none."""
        try:
            with self._home.describing(f"{self._home.model.id} {what}"):
                yield
        except OwnError as error:
            if self.is_twin:
                place = modules.stack[-1] if modules and modules.stack else "its optimizer" if what == STEP else "its loss"
                raise NoTwinError(f"{place} does not run in float64: {str(error).partition(': ')[2]}") from error
            raise

    def restore(self) -> None:
        """The state of the start, and the seeds of every pass."""
        self.forget()
        self._start.put_back(self.model)
        seed_everything(self._seed)

    def forget(self) -> None:
        """Let go of all gradients: a model may have a hundred million parameters."""
        for p in self.model.parameters():
            p.grad = None

    def _forward(self, batch: Tree) -> Tree:
        batch = mapped(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf, batch)
        inputs = batch if isinstance(batch, Mapping) else batch[0]
        if isinstance(inputs, Mapping):
            return self.call(**inputs)
        return self.call(*inputs) if isinstance(inputs, (tuple, list)) and takes_several(self.model) else self.call(inputs)

    def _loss(self, output: Tree, batch: Tree) -> Tensor:
        targets = batch if isinstance(batch, Mapping) else batch[1]
        if self.gauge.loss is not None:
            alone = targets is None or (isinstance(batch, Mapping) and not takes_targets(self.gauge.loss))
            given = (output,) if alone else (output, targets)
            loss = self.gauge.loss(*given)
        else:
            loss = own_loss(output, targets)
        if not isinstance(loss, Tensor):
            raise OwnError(f"the loss of {self._home.model.id} is no tensor but {type(loss).__name__}: return the tensor itself.")
        if loss.numel() != 1:
            raise OwnError(f"the loss of {self._home.model.id} is no single number but {tuple(loss.shape)}: return its mean.")
        return loss

    def _statistics(self) -> Arrays:
        return {name: array(value) for name, value in self.model.named_buffers() if is_number(value)}

    def _placed(self, leaf: Tree) -> Tree:
        if not isinstance(leaf, Tensor):
            return leaf
        leaf = leaf.detach().to(self.device)
        return leaf.to(WIDER.get(leaf.dtype, leaf.dtype)) if self.is_twin else leaf


def _number(loss: Tensor) -> float:
    return float(loss.detach())
