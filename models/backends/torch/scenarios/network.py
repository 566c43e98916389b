"""A network without skips from PyTorch's own layers, with weights given, and an optimizer with options of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from models.architectures import graph
from models.arrays import Arrays
from models.backends.torch.network import KINDS
from models.graph import Activate, Dense, Normalize
from models.parts.activations import ACTIVATIONS
from models.parts.clips import CLIPS
from models.parts.losses import LOSSES
from models.parts.norms import NORMS
from models.parts.optimizers import OPTIMIZERS
from models.spec import Spec


@dataclass
class Built:
    """A model and its parameters by name (`dense5.weight`), parts by node."""

    spec: Spec
    model: Any
    parameters: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)

    def weights(self) -> Arrays:
        """The parameters."""
        return {key: array(parameter) for key, parameter in self.parameters.items()}

    def running(self) -> Arrays:
        """Running statistics of every batch normalization."""
        norms = {name: part for name, part in self.parts.items() if hasattr(part, "running_mean")}
        return {f"{name}.{kind}": array(getattr(part, f"running_{kind}")) for name, part in norms.items() for kind in ("mean", "var")}

    def loss(self, x: Any, labels: Any) -> Any:
        """The spec's loss on a batch."""
        return LOSSES[self.spec.loss].torch(nn)(self.model(torch.as_tensor(x)), torch.as_tensor(np.asarray(labels, np.int64)))

    def clip(self) -> None:
        """PyTorch's own clipping of `.grad`."""
        CLIPS[self.spec.clip].torch(nn.utils, list(self.parameters.values()), self.spec.clip_at)


def build(spec: Spec, weights: Arrays | None = None) -> Built:
    """The layers of `spec` one after the other."""
    parts: dict[str, Any] = {}
    for node in graph(spec).nodes:
        if isinstance(node, Dense):
            part: Any = nn.Linear(node.fan_in, node.fan_out)
        elif isinstance(node, Normalize):
            part = NORMS[node.norm].torch(nn, node)
        else:
            assert isinstance(node, Activate)
            part = ACTIVATIONS[node.activation].torch(nn)
        parts[node.name] = part
    built = Built(spec, nn.Sequential(*parts.values()).to(getattr(torch, spec.format.held)), {}, parts)
    built.parameters = {
        f"{node.name}.{kind}": getattr(parts[node.name], KINDS[kind]) for node in graph(spec).nodes for kind in node.parameters
    }
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
