"""torchvision's network of a pair: built as its row says, with given weights, in float32 and as float64 twin."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.arrays import Array, Arrays
from models.backends.torch.own.building import build
from models.backends.torch.own.collections import imported
from models.backends.torch.own.dispatch import Arguments, Named, Types
from models.backends.torch.own.modules import array
from models.backends.torch.own.network import OwnModule
from models.backends.torch.own.state import State
from models.backends.torch.own.stopped import Stopped
from models.backends.torch.own.tape import KINKS, Entry, Recorder, Tape, operation
from models.backends.torch.own.twin import wide
from models.backends.torch.precision import allow_tf32
from models.own.address import OwnModel
from models.own.aligned import CLASSES, Aligned, Setting, known_row
from models.own.carried import CONVOLUTION, DENSE, NORM, SCALE, WeightedLayer, images
from models.own.decisions import Decisions
from models.own.gauge import OwnError
from models.own.loading import Home
from models.own.passes import OwnPass

if TYPE_CHECKING:
    from torch._ops import OpOverload

KINDS = {nn.Conv2d: CONVOLUTION, nn.Linear: DENSE, nn.BatchNorm2d: NORM, nn.LayerNorm: NORM}
ROLES = {"layer_scale": "weight", "running_mean": "mean", "running_var": "variance"}
"""Names of parameters and statistics that differ from the role's."""
POOL = "max_pool2d_with_indices"


class Module:
    """The network of one row in PyTorch."""

    def __init__(self, model: OwnModel, seed: int, device: str) -> None:
        """Build it untrained. Raises OwnError."""
        allow_tf32(False)
        self.row = known_row(model.attribute)
        home = Home(model, lambda *_: lambda: made(self.row, seed))
        self._own = OwnModule(home, build(home, seed), seed, device)
        self._twin: OwnModule | None = None
        self._tape = Tape()
        self._widths: list[int] = []
        self._decided = Decisions()

    def layers(self) -> list[WeightedLayer]:
        """Layers with weights in the order in which they are defined, what scales a branch behind it."""
        return [_layer(name, module) for name, module in _behind_parts(self._own.model) if list(module.parameters(recurse=False))]

    def load(self, weights: Arrays) -> None:
        """Begin with these parameters and running statistics."""
        with torch.no_grad():
            state = self._own.model.state_dict()
            for name, value in weights.items():
                state[name].copy_(torch.from_numpy(value))
        self._own._start = State(self._own.model)

    def run(self) -> None:
        """One pass forward and backward."""
        self._own.backward()

    def observe(self) -> tuple[OwnPass, Decisions]:
        """The float32 pass with what it decides."""
        with Windows() as recorder:
            seen = self._own.backward(watch=True)
        self._tape, self._widths = recorder.tape, recorder.widths
        self._twin = self._own.copied(twin=True)
        self._decided = decisions(recorder)
        return seen, self._decided

    def exact(self, decided: Decisions | None, rounded: int | None = None) -> OwnPass:
        """The float64 pass, with its own decisions or another framework's, rounded as float32 rounds where `rounded` seeds the errors."""
        tape = self._tape if decided is None or not decided.fit(self._decided) else given(self._tape, self._widths, decided)
        twin = self._twin_of()
        with wide(tape, rounded):
            return twin.backward(watch=True)

    def entering(self, name: str, decided: Decisions | None) -> Array:
        """What enters a layer in the float64 pass."""
        entered: list[Tensor] = []
        module = dict(self._twin_of().model.named_modules())[name]
        handle = module.register_forward_pre_hook(lambda _, args: entered.append(args[0].detach().clone()))
        try:
            self.exact(decided)
        finally:
            handle.remove()
        return array(entered[0])

    def loss_at(self, moved: Mapping[str, Array]) -> float:
        """The float64 loss with some parameters moved, kinks where they then are."""
        twin = self._twin_of()
        with wide(None, None):
            return twin.loss_at(moved, Stopped())

    def _twin_of(self) -> OwnModule:
        assert self._twin is not None, "a network is observed before its twin is asked for"
        return self._twin


def made(row: Aligned, seed: int) -> dict[str, object]:
    """The network as its row says, its loss and its images."""
    models = imported("torchvision.models")
    model = models.get_model(row.torch, weights=None, num_classes=CLASSES, **row.torch_options)
    for name, size in row.replaced.items():
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, nn.Linear(*size) if size else nn.Identity())
    for setting in row.settings:
        if setting.framework == "torch":
            _set(model, row, setting)
    x, labels = images(row, seed, CLASSES)
    return {"model": model, "loss": functional.cross_entropy, "batch": (torch.from_numpy(x), torch.from_numpy(labels))}


def _set(model: nn.Module, row: Aligned, setting: Setting) -> None:
    chosen = [m for name, m in model.named_modules() if type(m).__name__ == setting.layers or re.fullmatch(setting.layers, name)]
    if not chosen or not all(hasattr(module, attribute) for module in chosen for attribute in setting.values):
        raise OwnError(f"aligned:{row.name}: PyTorch has no {setting.layers} with {', '.join(setting.values)}.")
    for module in chosen:
        for attribute, value in setting.values.items():
            setattr(module, attribute, value)


def _behind_parts(model: nn.Module, name: str = "") -> list[tuple[str, nn.Module]]:
    """Modules with their names, parts before what holds them."""
    found = [each for part, child in model.named_children() for each in _behind_parts(child, f"{name}.{part}" if name else part)]
    return [*found, (name, model)] if name else found


def _layer(name: str, module: nn.Module) -> WeightedLayer:
    kind = next((kind for of, kind in KINDS.items() if isinstance(module, of)), SCALE)
    numbers: dict[str, Tensor] = dict(module.named_parameters(recurse=False)) | {
        each: value for each, value in module.named_buffers(recurse=False) if value.is_floating_point()
    }
    roles: dict[str, str] = {ROLES.get(each) or each: each for each in numbers}
    first = isinstance(module, (nn.Conv2d, nn.BatchNorm2d)) or type(module).__name__ == "LayerNorm2d"
    attributes = {
        each: _plain(getattr(module, each))
        for each in ("stride", "padding", "dilation", "groups", "eps", "momentum")
        if hasattr(module, each)
    }  # fmt: skip
    shapes = {role: list(numbers[each].shape) for role, each in roles.items()}
    return WeightedLayer(name, kind, {role: f"{name}.{each}" for role, each in roles.items()}, shapes, first, attributes)


def _plain(value: object) -> object:
    return list(value) if isinstance(value, (tuple, list)) else value


class Windows(Recorder):
    """Keeps decisions, and the width of the images that maxima are taken over."""

    def __init__(self) -> None:
        """Begin with an empty tape."""
        super().__init__()
        self.widths: list[int] = []

    def __torch_dispatch__(self, func: OpOverload, types: Types, args: Arguments = (), kwargs: Named | None = None) -> object:
        """Run the operation and keep its decisions."""
        if operation(func) == POOL:
            self.widths.append(args[0].shape[-1])
        return super().__torch_dispatch__(func, types, args, kwargs)


BETWEEN = {"hardtanh_backward", "hardsigmoid_backward"}
"""Functions with two kinks of which only the slope between them is not 0."""


def decisions(recorder: Windows) -> Decisions:
    """What was decided, in the order of the backward pass."""
    found, widths = Decisions(), iter(recorder.widths)
    for entry in recorder.tape.entries:
        if entry.operation in KINKS:
            zone = _kept(entry, 0).numpy()
            if entry.operation in BETWEEN:
                zone = np.where(zone, 0, 1)
            elif zone.dtype == bool:
                zone = np.where(zone, 1, -1)
            found.sides.append(zone.astype(np.int8))
        elif entry.operation == POOL:
            places = _kept(entry, -1).numpy()
            found.largest.insert(0, np.stack(np.divmod(places, next(widths))).astype(np.int32))
    return found


def given(tape: Tape, widths: list[int], decided: Decisions) -> Tape:
    """The same tape with another framework's decisions; `widths` are those of the images that maxima are taken over."""
    sides, largest, entries = iter(decided.sides), zip(decided.largest[::-1], widths, strict=True), []
    for entry in tape.entries:
        kept = entry.kept
        if entry.operation in KINKS:
            own, side = _kept(entry, 0), torch.from_numpy(next(sides))
            zone = side == 0 if entry.operation in BETWEEN else side > 0 if own.dtype == torch.bool else side
            kept = (zone.reshape(own.shape).to(own.dtype),)
        elif entry.operation == POOL:
            places, width = next(largest)
            rows, columns = torch.from_numpy(places).long()
            kept = (*entry.kept[:-1], rows * width + columns)
        entries.append(Entry(entry.operation, kept))
    return Tape(entries, tape.draws, tape.half)


def _kept(entry: Entry, place: int) -> Tensor:
    kept = entry.kept[place]
    assert kept is not None, "a kink has a zone, and a maximum a place"
    return kept
