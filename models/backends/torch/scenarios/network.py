"""A network without skips from PyTorch's own layers, with weights given, and an optimizer with options of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from models.graph import Dense, Normalize, flat, program
from models.parts.activations import ACTIVATIONS
from models.parts.clips import CLIPS
from models.parts.losses import LOSSES
from models.parts.norms import NORMS
from models.parts.optimizers import OPTIMIZERS
from models.spec import Spec

Arrays = dict[str, Any]


@dataclass
class Built:
    """A model and its parameters by name (`5.weight`), parts by kind and layer."""

    spec: Spec
    model: Any
    parameters: dict[str, Any] = field(default_factory=dict)
    parts: dict[tuple[type, int], Any] = field(default_factory=dict)

    def weights(self) -> Arrays:
        """The parameters."""
        return {key: array(parameter) for key, parameter in self.parameters.items()}

    def running(self) -> Arrays:
        """Running statistics of every batch normalization."""
        norms = {layer: part for (kind, layer), part in self.parts.items() if kind is Normalize and hasattr(part, "running_mean")}
        return {f"{layer}.{kind}": array(getattr(part, f"running_{kind}")) for layer, part in norms.items() for kind in ("mean", "var")}

    def loss(self, x: Any, labels: Any) -> Any:
        """The spec's loss on a batch."""
        return LOSSES[self.spec.loss].torch(nn)(self.model(torch.as_tensor(x)), torch.as_tensor(np.asarray(labels, np.int64)))

    def clip(self) -> None:
        """PyTorch's own clipping of `.grad`."""
        CLIPS[self.spec.clip].torch(nn.utils, list(self.parameters.values()), self.spec.clip_at)


def build(spec: Spec, weights: Arrays | None = None) -> Built:
    """The layers of `spec` one after the other."""
    parts: dict[tuple[type, int], Any] = {}
    for step in flat(program(spec)):
        if isinstance(step, Dense):
            part: Any = nn.Linear(step.fan_in, step.fan_out)
        elif isinstance(step, Normalize):
            part = NORMS[spec.norm].torch(nn, step.width, spec)
        else:
            part = ACTIVATIONS[spec.act].torch(nn)
        parts[type(step), step.layer] = part
    built = Built(spec, nn.Sequential(*parts.values()).to(getattr(torch, spec.format.held)), {}, parts)
    for (kind, layer), part in parts.items():
        names = {Dense: ("weight", "bias"), Normalize: ("scale", "shift")}.get(kind, ())
        built.parameters |= {f"{layer}.{name}": getattr(part, {"scale": "weight", "shift": "bias"}.get(name, name)) for name in names}
    if weights is not None:
        with torch.no_grad():
            for key, parameter in built.parameters.items():
                parameter.copy_(torch.as_tensor(np.asarray(weights[key])))
    return built


def optimizer_of(spec: Spec, parameters: dict[str, Any], **options: Any) -> Any:
    """The spec's optimizer; `options` (foreach, fused) are set in every group."""
    decay = spec.l2 or spec.decay
    weights = [p for key, p in parameters.items() if key.endswith("weight")]
    others = [p for key, p in parameters.items() if not key.endswith("weight")]
    groups = [
        {"params": chosen, "weight_decay": rate, **options} for chosen, rate in ((weights, decay), (others, 0.0)) if chosen
    ]  # fmt: skip
    return OPTIMIZERS[spec.optimizer].torch(torch.optim, groups, spec)


def array(tensor: Any) -> Any:
    """A tensor as an array of its own."""
    return tensor.detach().cpu().numpy().copy()
