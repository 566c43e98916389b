"""Normalizations: forward and backward written out, running statistics, and each framework's own layer.

y = γ·(z − mean)/√(var + ε) + β with biased variance over `axis` (Ioffe & Szegedy 2015; Ba et al. 2016; Wu & He 2018;
Zhang & Sennrich 2019, which keeps the mean and has no β). Arrays are (batch, units).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Norm:
    """Which numbers share a mean and variance (`over`: batch, units, or groups of units), and what is learned."""

    over: str
    centred: bool
    torch: Callable[[Any, Any], Any]
    keras: Callable[[Any, Any], Any]
    cast_by: str = ""
    """The framework that in mixed precision casts what is learned to the format of results; others keep it as it is held."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of what is learned: γ is `scale`, β is `shift`."""
        return ("scale", "shift") if self.centred else ("scale",)

    def forward(self, z: Any, scale: Any, shift: Any, eps: float, groups: int) -> tuple[Any, dict[str, Any]]:
        """Normalized z and what the backward pass needs; `mean` and `var` are this batch's statistics."""
        shaped = self._shaped(z, groups)
        axis = 0 if self.over == "batch" else -1
        mean = shaped.mean(axis, keepdims=True) if self.centred else np.zeros((1,), z.dtype)
        var = np.square(shaped - mean).mean(axis, keepdims=True)
        inverse = 1 / np.sqrt(var + np.asarray(eps, z.dtype))
        unit = ((shaped - mean) * inverse).reshape(z.shape)
        cache = {"unit": unit, "inverse": inverse, "scale": scale, "groups": groups, "mean": mean, "var": var}
        return unit * scale + (shift if self.centred else 0), cache

    def backward(self, dy: Any, cache: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Gradients with respect to z and to what is learned."""
        learned = {"scale": (dy * cache["unit"]).sum(0)}
        if self.centred:
            learned["shift"] = dy.sum(0)
        axis = 0 if self.over == "batch" else -1
        unit = self._shaped(cache["unit"], cache["groups"])
        d_unit = self._shaped(dy * cache["scale"], cache["groups"])
        dz = d_unit - unit * (d_unit * unit).mean(axis, keepdims=True)
        if self.centred:
            dz = dz - d_unit.mean(axis, keepdims=True)
        return (dz * cache["inverse"]).reshape(dy.shape), learned

    def _shaped(self, z: Any, groups: int) -> Any:
        return z.reshape(len(z), groups, -1) if self.over == "groups" else z


NORMS: dict[str, Norm] = {
    "batch": Norm(
        "batch", True,
        torch=lambda nn, node: nn.BatchNorm1d(node.width, eps=node.eps, momentum=1 - node.momentum),
        keras=lambda layers, node: layers.BatchNormalization(epsilon=node.eps, momentum=node.momentum),
    ),
    "layer": Norm(
        "units", True,
        torch=lambda nn, node: nn.LayerNorm(node.width, eps=node.eps),
        keras=lambda layers, node: layers.LayerNormalization(epsilon=node.eps),
    ),
    "rms": Norm(
        "units", False,
        torch=lambda nn, node: nn.RMSNorm(node.width, eps=node.eps),
        keras=lambda layers, node: layers.RMSNormalization(epsilon=node.eps),
        cast_by="keras",  # its scale is the only one of a Keras normalization that is not declared autocast=False
    ),
    "group": Norm(
        "groups", True,
        torch=lambda nn, node: nn.GroupNorm(node.groups, node.width, eps=node.eps),
        keras=lambda layers, node: layers.GroupNormalization(groups=node.groups, epsilon=node.eps),
    ),
}  # fmt: skip


def running_variance(batch_variance: Any, batch: int, dialect: str) -> Any:
    """The variance that a framework averages over time: PyTorch's is unbiased, Keras's the batch's own.

    Source: torch.nn.BatchNorm1d and keras.layers.BatchNormalization documentation.
    """
    return batch_variance * (batch / (batch - 1)) if dialect == "torch" else batch_variance
