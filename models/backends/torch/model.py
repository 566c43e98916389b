"""PyTorch's own layers for every node of a network, wired by its graph, and its optimizers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from models.architectures import graph
from models.architectures.reversible import RECOMPUTED
from models.arrays import Array, Arrays, BatchLabels, Labels, Statistics
from models.backends.registry import Absent
from models.backends.torch import dynamics, images
from models.backends.torch.layers import Lengths, Recurrence, array, linear, recurrence
from models.backends.torch.reversible import Recomputed
from models.graph import Graph
from models.naming import is_weight, kind_of, node_of
from models.nodes import (
    INPUT,
    Activate,
    Conv,
    Dense,
    Flatten,
    Image,
    Join,
    Mirror,
    Multiply,
    Node,
    Normalize,
    Part,
    Pool,
    Read,
    Recurrent,
    Steps,
    Sum,
    Transposed,
)  # fmt: skip
from models.parts.activations import ACTIVATIONS
from models.parts.clips import CLIPS
from models.parts.losses import LOSSES
from models.parts.optimizers import OPTIMIZERS
from models.parts.schedules import SCHEDULES
from models.spec import Spec

KINDS = {"weight": "weight", "bias": "bias", "scale": "weight", "shift": "bias", "multiplier": "multiplier"}


class Add(nn.Module):
    """keep · stream + scale · branch."""

    def __init__(self, keep: float, scale: float) -> None:
        """Remember both factors."""
        super().__init__()
        self.keep, self.scale = keep, scale

    def forward(self, stream: torch.Tensor, branch: torch.Tensor) -> torch.Tensor:
        """Skip the multiplications that a user would not write."""
        branch = branch if self.scale == 1 else branch * self.scale
        return stream + branch if self.keep == 1 else stream * self.keep + branch


class Multiplied(nn.Module):
    """A learned number times what comes in, multiplied in the number's format and handed on in that of what came in."""

    def __init__(self) -> None:
        """Begin at zero."""
        super().__init__()
        self.multiplier = nn.Parameter(nn.init.zeros_(torch.empty(1)))

    def forward(self, branch: torch.Tensor) -> torch.Tensor:
        """Without the cast, half precision would be float32 from here on."""
        return (branch * self.multiplier).to(branch.dtype)


class Mirrored(nn.Module):
    """What comes in, and its negative behind it."""

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """Twice as many units."""
        return torch.cat([h, -h], 1)


class Unfold(nn.Module):
    """The features of a sample one after the other (batch × length × units), and zeros where there are none left."""

    def __init__(self, node: Steps, lengths: Lengths) -> None:
        """Remember the shape, and where to say how long samples are."""
        super().__init__()
        self.lengths, self.length, self.tellers = lengths, node.length, node.tellers if node.uneven else 0
        self.filled, self.width, self.empty = node.filled, node.width, node.length - node.filled

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pad only where there is something to pad."""
        if self.tellers:
            self.lengths.now = self.length - (x[:, : self.tellers] > 0).sum(1)
        sequence = x.reshape(len(x), self.filled, self.width)
        return nn.functional.pad(sequence, (0, 0, 0, self.empty)) if self.empty else sequence


class ReadOut(nn.Module):
    """The last output of a sequence in each of its directions, or the mean of all."""

    def __init__(self, node: Read, lengths: Lengths) -> None:
        """Remember which, and whom to ask how long samples are."""
        super().__init__()
        self.last, self.both, self.lengths = node.outputs == "last", node.both, lengths

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """From (batch × length × units) to (batch × units)."""
        lengths = self.lengths.now
        if not self.last:
            return h.mean(1) if lengths is None else self._mean(h, lengths)
        last = h[:, -1] if lengths is None else h[torch.arange(len(h), device=h.device), lengths - 1]
        return torch.cat([last.chunk(2, 1)[0], h[:, 0].chunk(2, 1)[1]], 1) if self.both else last

    def _mean(self, h: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        within = torch.arange(h.shape[1], device=h.device) < lengths[:, None]
        return (h * within[:, :, None]).sum(1) / lengths[:, None]


class Wired(nn.Module):
    """Modules that read each other's results as the nodes of a graph do."""

    def __init__(self, graph: Graph, parts: dict[str, nn.Module]) -> None:
        """Modules by node name."""
        super().__init__()
        self.parts = nn.ModuleDict(parts)
        self.wires = [(node.name, node.inputs, graph.forgotten[node.name]) for node in graph.nodes]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The last node's result. A result is let go where no later node reads it, so that no memory is held for it."""
        results = {INPUT: x}
        for name, inputs, forgotten in self.wires:
            x = results[name] = self.parts[name](*[results[each] for each in inputs])
            for each in forgotten:
                del results[each]
        return x


class Model:
    """The layers of `spec` as a module, with parameters by name and batch normalizations by node."""

    def __init__(self, spec: Spec, device: str | None = None, weights: Arrays | None = None, mode: str = "") -> None:
        """Build, initialize by PyTorch or set `weights`, and move; without `device` everything is where PyTorch makes it.

        Recurrent layers are written in the mode, and with `recomputed` reversible ones keep no activations. Raises Absent for a part that
        PyTorch does not have, SpecError for layers that cannot be taken back.
        """
        self.spec, self.graph, self.device, self.dtype = spec, graph(spec), device, getattr(torch, spec.format.held)
        self._lengths, self._mode = Lengths(), mode
        self.parts: dict[str, nn.Module] = {}
        for node in self.graph.nodes:
            self.parts[node.name] = self._part(node)
        wire = Recomputed if mode == RECOMPUTED else Wired
        self.module = wire(self.graph, self.parts).to(device, self.dtype)
        self.parameters: dict[str, nn.Parameter] = {name: self._parameter(name) for name in self.graph.parameters}
        kinds = nn.BatchNorm1d, nn.BatchNorm2d
        self.norms: dict[str, nn.BatchNorm1d | nn.BatchNorm2d] = {n: part for n, part in self.parts.items() if isinstance(part, kinds)}
        if (loss := LOSSES[spec.loss].torch) is None:
            raise Absent(f"PyTorch has no loss {spec.loss}")
        self.loss: nn.Module = loss(nn)
        if weights is not None:
            self.set_weights(weights)

    def _parameter(self, name: str) -> nn.Parameter:
        part, kind = self.parts[node_of(name)], kind_of(name)
        return part.parameter(kind) if isinstance(part, Recurrence) else getattr(images.inner(part), KINDS[kind])

    def _part(self, node: Node) -> nn.Module:
        if isinstance(node, Sum):
            return Add(node.keep, node.scale)
        if isinstance(node, Multiply):
            return Multiplied()
        if isinstance(node, Mirror):
            return Mirrored()
        if isinstance(node, Part):
            return dynamics.Slice(node)
        if isinstance(node, Join):
            return dynamics.Concatenate()
        if isinstance(node, Transposed):
            return dynamics.TransposedLinear(self._parameter(f"{node.of}.weight"), linear(self.spec, node.alone).bias)
        if isinstance(node, Steps):
            return Unfold(node, self._lengths)
        if isinstance(node, Recurrent):
            return recurrence(self.spec, node, self._lengths, self._mode)
        if isinstance(node, Read):
            return ReadOut(node, self._lengths)
        if isinstance(node, Dense):
            return linear(self.spec, node)
        if isinstance(node, Normalize):
            return images.normalization(node)
        if isinstance(node, Conv):
            return images.convolution(self.spec, node)
        if isinstance(node, Pool):
            return images.pooling(node)
        if isinstance(node, Image):
            return nn.Unflatten(1, node.per_sample)
        if isinstance(node, Flatten):
            return images.flattening(node)
        assert isinstance(node, Activate)
        return ACTIVATIONS[node.activation].torch(nn)

    def tensor(self, x: Array) -> torch.Tensor:
        """Inputs on the device in the spec's precision."""
        return torch.as_tensor(np.asarray(x), dtype=self.dtype, device=self.device)

    def target(self, labels: Labels | BatchLabels) -> torch.Tensor:
        """What the loss compares logits with, of one batch or several."""
        target = LOSSES[self.spec.loss].target(np.asarray(labels), self.spec.classes, self.spec.target_scale)
        return torch.as_tensor(target, dtype=torch.int64 if target.dtype.kind == "i" else self.dtype, device=self.device)

    def forward_loss(self, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The loss on a batch, with an L1 penalty as users add it, since no optimizer has one."""
        loss: torch.Tensor = self.loss(self.module(x), target)
        if self.spec.l1:
            loss = loss + self.spec.l1 * torch.stack([w.abs().sum() for name, w in self.parameters.items() if is_weight(name)]).sum()
        return loss

    def loss_of(self, x: Array, labels: Labels) -> torch.Tensor:
        """The loss on a batch of arrays."""
        return self.forward_loss(self.tensor(x), self.target(labels))

    def set_weights(self, weights: Arrays) -> None:
        """Set parameters."""
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(torch.as_tensor(np.asarray(weights[name])))

    def weights(self) -> Arrays:
        """Parameters as NumPy arrays."""
        return {name: array(parameter) for name, parameter in self.parameters.items()}

    def running(self) -> Statistics:
        """Running mean and variance of every batch normalization."""
        return {name: (array(norm.running_mean), array(norm.running_var)) for name, norm in self.norms.items()}

    def clip(self) -> None:
        """Clip gradients with PyTorch's own function."""
        if self.spec.clip != Spec.clip:
            CLIPS[self.spec.clip].torch(nn.utils, list(self.parameters.values()), self.spec.clip_at)


class OneAfterTheOther(torch.optim.Optimizer):
    """Several optimizers, each with parameters of its own, that a scaler or a schedule takes for one."""

    def __init__(self, optimizers: list[torch.optim.Optimizer]) -> None:
        """Groups are those of the optimizers, so that a learning rate that is set there is theirs."""
        self.optimizers = optimizers
        super().__init__([group for each in optimizers for group in each.param_groups], {})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """The group itself."""
        self.param_groups.append(param_group)

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Every optimizer's step."""
        loss = closure() if closure else None
        for each in self.optimizers:
            each.step()
        return loss


def optimizer_of(spec: Spec, parameters: Mapping[str, nn.Parameter], **options: bool) -> torch.optim.Optimizer:
    """The spec's optimizer; `options` (foreach, fused) are set in every group. Raises Absent where PyTorch has none.

    Biases and scales are not decayed, so that a penalty (weight_decay here) takes two groups; without one, one is faster.
    """
    decay = spec.l2 or spec.decay
    weights = [parameter for name, parameter in parameters.items() if name.endswith("weight")]
    others = [parameter for name, parameter in parameters.items() if not name.endswith("weight")]
    shares = ((weights, decay), (others, 0.0)) if decay else ((list(parameters.values()), 0.0),)
    groups = [{"params": chosen, "weight_decay": rate, **options} for chosen, rate in shares if chosen]
    if (make := OPTIMIZERS[spec.optimizer].torch) is None:
        raise Absent(f"PyTorch has no optimizer {spec.optimizer}")
    try:
        made = make(torch.optim, groups, spec)
    except AttributeError as error:
        raise Absent(f"PyTorch {torch.__version__} has no optimizer {spec.optimizer}: {error}") from error
    if not isinstance(made, list):
        return made  # type: ignore[no-any-return]
    return made[0] if len(made) == 1 else OneAfterTheOther(made)


def schedule_of(spec: Spec, optimizer: torch.optim.Optimizer) -> Callable[[], None]:
    """What a user calls after each step of the optimizer: the spec's schedule, up to its end where it has one.

    Raises Absent where PyTorch has none.
    """
    if spec.schedule == Spec.schedule:
        return lambda: None
    if (make := SCHEDULES[spec.schedule].torch) is None:
        raise Absent(f"PyTorch has no schedule {spec.schedule}")
    scheduler = make(torch.optim.lr_scheduler, optimizer, spec.learning_rate)

    def advance() -> None:
        if scheduler.last_epoch + 1 < getattr(scheduler, "total_steps", math.inf):
            scheduler.step()

    return advance
