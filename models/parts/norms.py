"""Normalizations: forward and backward written out, running statistics, and each framework's own layer.

y = γ·(z − mean)/√(var + ε) + β with biased variance over `axis` (Ioffe & Szegedy 2015; Ba et al. 2016; Wu & He 2018;
Zhang & Sennrich 2019, which keeps the mean and has no β). Arrays are (batch, units).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from models.arrays import Array, Arrays, PerUnit, Units
from models.parts import Namespace, Native

if TYPE_CHECKING:
    from models.nodes import Normalize


Total = Callable[[Array, int], Array]
"""The sum over an axis, which is kept."""
Function = Callable[[Array], Array]


def inverse_root(x: Array) -> Array:
    """1/√x."""
    return 1 / np.sqrt(x)


def total(x: Array, axis: int) -> Array:
    """The sum over an axis, which is kept, as NumPy takes it."""
    return x.sum(axis, keepdims=True)


class Normalized(NamedTuple):
    """What the backward pass needs: z, y before scale and shift, 1/√(var + ε), mean and variance of this batch, scale, groups, `folded`."""

    z: Units
    unit: Units
    inverse: Array
    mean: Array
    var: Array
    scale: PerUnit | float
    groups: int
    folded: bool


@dataclass(frozen=True)
class Norm:
    """Which numbers share a mean and variance (`over`: batch, units, or groups of units), and what is learned."""

    over: str
    centred: bool
    torch: Callable[[Namespace, Normalize], Native]
    keras: Callable[[Namespace, Normalize], Native]
    cast_by: str = ""
    """The framework that in mixed precision casts what is learned to the format of results; others keep it as it is held."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of what is learned: γ is `scale`, β is `shift`."""
        return ("scale", "shift") if self.centred else ("scale",)

    def forward(
        self,
        z: Units,
        scale: PerUnit | float,
        shift: PerUnit | float,
        eps: float,
        groups: int,
        folded: bool = False,
        total: Total = total,
        root: Function = inverse_root,
    ) -> tuple[Units, Normalized]:
        """γ·(z − mean)/√(var + ε) + β and what the backward pass needs.

        With `folded` it is z·α + (β − mean·α) with α = γ/√(var + ε), and the backward pass likewise multiplies z and not z − mean: the
        same in exact arithmetic, and what many kernels compute. Terms as large as mean·α then cancel, and their rounding stays.
        Sums are taken by `total`, and 1/√ by `root`.
        """
        shaped, axis = self._shaped(z, groups), self._axis
        count = z.dtype.type(shaped.shape[axis])
        mean = total(shaped, axis) / count if self.centred else np.zeros((1,), z.dtype)
        var = total(np.square(shaped - mean), axis) / count
        inverse = root(var + np.asarray(eps, z.dtype))
        spread = _multiplied_and_added(shaped, inverse, -mean * inverse) if folded else (shaped - mean) * inverse
        unit = spread.reshape(z.shape)
        return unit * scale + (shift if self.centred else 0), Normalized(z, unit, inverse, mean, var, scale, groups, folded)

    def evaluate(
        self,
        z: Units,
        scale: PerUnit | float,
        shift: PerUnit | float,
        moments: tuple[PerUnit, PerUnit],
        eps: float,
        folded: bool = False,
        root: Function = inverse_root,
    ) -> Units:
        """The same with given `moments`, mean and variance, as batch normalization has them in evaluation mode."""
        mean, var = moments
        inverse = root(var + np.asarray(eps, z.dtype))
        if not folded:
            return (z - mean) * inverse * scale + shift
        alpha = inverse * scale
        return _multiplied_and_added(z, alpha, shift - mean * alpha)

    def backward(self, dy: Units, cache: Normalized, total: Total = total) -> tuple[Units, Arrays]:
        """Gradients with respect to z and to what is learned."""
        learned = {"scale": total(dy * cache.unit, 0)[0]}
        if self.centred:
            learned["shift"] = total(dy, 0)[0]
        unit = self._shaped(cache.unit, cache.groups)
        d_unit = self._shaped(dy * cache.scale, cache.groups)
        count = dy.dtype.type(d_unit.shape[self._axis])
        own = total(d_unit, self._axis) / count if self.centred else np.zeros((1,), dy.dtype)
        if cache.folded:
            z = self._shaped(cache.z, cache.groups)
            dz = _folded_backward(d_unit, z, own, total(d_unit * z, self._axis) / count, cache)
        else:
            dz = (d_unit - unit * (total(d_unit * unit, self._axis) / count) - own) * cache.inverse
        return dz.reshape(dy.shape), learned

    @property
    def _axis(self) -> int:
        """Along which the numbers of one set stand, in the shape that `_shaped` gives."""
        return 0 if self.over == "batch" else -1

    def _shaped(self, z: Units, groups: int) -> Array:
        return z.reshape(len(z), groups, -1) if self.over == "groups" else z


def _folded_backward(d_unit: Array, z: Array, own: Array, joint: Array, cache: Normalized) -> Array:
    """s⁻¹·g + a·z + c with a = −s⁻³(⟨gz⟩ − mean·⟨g⟩) and c = −a·mean − s⁻¹⟨g⟩; `own` is ⟨g⟩, `joint` ⟨gz⟩."""
    a = (cache.mean * own - joint) * (cache.inverse * cache.inverse * cache.inverse)
    return _multiplied_and_added(a, z, cache.inverse * d_unit - (a * cache.mean + cache.inverse * own))


def _multiplied_and_added(a: Array, b: Array, c: Array) -> Array:
    """a·b + c in the type of `c`, rounded once, as processors multiply and add in one instruction."""
    return (a.astype(np.float64) * b + c).astype(c.dtype)


NORMS: dict[str, Norm] = {
    "batch": Norm(
        "batch", True,
        torch=lambda nn, node: (nn.BatchNorm1d if node.positions == 1 else nn.BatchNorm2d)(
            node.width, eps=node.eps, momentum=1 - node.momentum
        ),
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


def running_variance(batch_variance: PerUnit, batch: int, conventions: str) -> PerUnit:
    """The variance that a framework averages over time: PyTorch's is unbiased, Keras's the batch's own; pixels are samples of their own.

    Source: torch.nn.BatchNorm1d and keras.layers.BatchNormalization documentation.
    """
    return batch_variance * (batch / (batch - 1)) if conventions == "torch" else batch_variance
