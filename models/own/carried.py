"""Weights and signals carried from one framework's layout to the other's: PyTorch's is the common one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.arrays import Array, Arrays
from models.own.aligned import IMAGES, Aligned
from models.own.gauge import OwnError

CONVOLUTION, DEPTHWISE, DENSE, NORM, SCALE = "convolution", "depthwise", "dense", "norm", "scale"
TO_KERAS = {CONVOLUTION: (2, 3, 1, 0), DEPTHWISE: (2, 3, 0, 1), DENSE: (1, 0)}
"""Axes of PyTorch's weight in Keras's order, by Keras's kind of layer: OIHW to HWIO, C1HW to HWC1, out × in to in × out."""
WEIGHT, BIAS, MEAN, VARIANCE = "weight", "bias", "mean", "variance"
SPREAD = 0.1
"""Standard deviation of biases and of normalization's scales around 1, so that none is 0 or 1 and none is without effect."""


@dataclass
class WeightedLayer:
    """A layer with weights in one framework: its parameters and running statistics by role, their shapes there, and what it is set to.

    `channels_first` says how its output lies. `attributes` are in PyTorch's words, padding as pixels on each side.
    """

    name: str
    kind: str
    parameters: dict[str, str]
    shapes: dict[str, list[int]]
    channels_first: bool = False
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """The same layer in both frameworks; `side` is that of the image whose pixels its inputs are, where it was flattened."""

    torch: WeightedLayer
    keras: WeightedLayer
    side: int = 1

    def of(self, framework: str) -> WeightedLayer:
        """The layer in one of the two."""
        return self.torch if framework == "torch" else self.keras

    def roles(self) -> list[str]:
        """What both have."""
        return [role for role in self.torch.parameters if role in self.keras.parameters]

    def weight_in_keras(self, role: str, array: Array) -> Array:
        """A parameter of PyTorch in Keras's layout."""
        shape = self.keras.shapes[role]
        if role != WEIGHT or self.keras.kind not in TO_KERAS:
            return array.reshape(shape)
        if self.side > 1:
            array = array.reshape(array.shape[0], -1, self.side, self.side).transpose(2, 3, 1, 0)
            return np.ascontiguousarray(array).reshape(shape)
        axes = TO_KERAS[self.keras.kind]
        full = array.reshape(*array.shape, *[1] * (len(axes) - array.ndim))  # a linear layer is a convolution of one pixel
        return np.ascontiguousarray(full.transpose(axes)).reshape(shape)

    def weight_in_torch(self, role: str, array: Array) -> Array:
        """A parameter of Keras, or its gradient, in PyTorch's layout."""
        shape = self.torch.shapes[role]
        if role != WEIGHT or self.keras.kind not in TO_KERAS:
            return array.reshape(shape)
        if self.side > 1:
            return array.reshape(self.side, self.side, -1, array.shape[1]).transpose(3, 2, 0, 1).reshape(shape)
        return array.transpose(np.argsort(TO_KERAS[self.keras.kind])).reshape(shape)

    def signal_in_torch(self, array: Array) -> Array:
        """A layer's output in Keras, or the gradient there, in PyTorch's layout, without axes of one pixel."""
        turned = array.ndim == 4 and (self.torch.channels_first or array.shape[1:3] == (1, 1))
        array = array.transpose(0, 3, 1, 2) if turned else array
        return array.reshape(array.shape[:2]) if array.shape[2:] == (1, 1) else array

    def biased(self, variance: Array, signal: Array) -> Array:
        """PyTorch's running variance after one step from 1 as Keras has it: PyTorch takes a batch's unbiased variance, Keras the biased."""
        kept, count = 1 - self.torch.attributes["momentum"], signal.size / signal.shape[1]
        return kept + (variance.astype(np.float64) - kept) * (count - 1) / count

    def comparable(self) -> bool:
        """Whether the outputs are the same thing: PyTorch's scaled branch ends behind the sum, Keras's before it."""
        return self.torch.kind != SCALE


def matched(row: Aligned, torch: list[WeightedLayer], keras: list[WeightedLayer]) -> list[Pair]:
    """Layers of both, in order. Raises OwnError where they do not correspond in number or in size."""
    keras = [layer for _, layer in sorted(enumerate(keras), key=lambda each: _place(row, keras, each[0]))]
    if len(torch) != len(keras):
        raise OwnError(f"aligned:{row.name} has {len(torch)} layers with weights in PyTorch and {len(keras)} in Keras.")
    pairs = [Pair(t, k, row.flatten[1] if k.name == row.flatten[0] else 1) for t, k in zip(torch, keras, strict=True)]
    for pair in pairs:
        zero = {role for role, name in pair.keras.parameters.items() if row.zero and re.fullmatch(row.zero, name)}
        if set(pair.torch.parameters) != set(pair.keras.parameters) - (zero - set(pair.torch.parameters)):
            raise OwnError(f"aligned:{row.name}: {pair.torch.name} has {', '.join(pair.torch.parameters)}, {pair.keras.name} has others.")
        for role in pair.roles():
            sizes = [np.prod(layer.shapes[role]) for layer in (pair.torch, pair.keras)]
            if sizes[0] != sizes[1]:
                raise OwnError(f"aligned:{row.name}: {role} of {pair.torch.name} and {pair.keras.name} have other sizes.")
    return pairs


def _place(row: Aligned, layers: list[WeightedLayer], number: int) -> tuple[Any, ...]:
    """Where a layer of Keras comes: as it is executed, or by its block's first layer, and there in the order of its name."""
    name = layers[number].name
    if not row.last:
        return (number,)
    block = re.match(r"conv\d+_block\d+", name)
    if block is None:
        return number, 0, "", 0
    first = next(place for place, layer in enumerate(layers) if layer.name.startswith(block[0] + "_"))
    return first, 1, ("~" if row.last in name else "") + name.rpartition("_")[0], not name.endswith("conv")


def drawn(layers: list[WeightedLayer], seed: int) -> Arrays:
    """Weights of PyTorch's layers by name: He's normal distribution, biases and scales spread a little, statistics at their start."""
    generator, found = np.random.default_rng([seed, 1]), {}
    for layer in layers:
        for role, name in layer.parameters.items():
            shape = tuple(layer.shapes[role])
            noise = generator.standard_normal(shape)
            if role == WEIGHT and layer.kind not in (NORM, SCALE):
                found[name] = noise * np.sqrt(2 / np.prod(shape[1:]))
            elif role in (MEAN, VARIANCE):
                found[name] = np.full(shape, float(role == VARIANCE))
            else:
                found[name] = (role == WEIGHT) + SPREAD * noise
    return {name: array.astype(np.float32) for name, array in found.items()}


def carried(pairs: list[Pair], weights: Arrays) -> Arrays:
    """PyTorch's weights as Keras's, by Keras's names; biases that PyTorch does not have are 0."""
    found = {}
    for pair in pairs:
        for role, name in pair.keras.parameters.items():
            if role in pair.torch.parameters:
                found[name] = pair.weight_in_keras(role, weights[pair.torch.parameters[role]])
            else:
                found[name] = np.zeros(pair.keras.shapes[role], np.float32)
    return found


def images(row: Aligned, seed: int, classes: int) -> tuple[Array, Array]:
    """Images of noise, channels first, and their labels: the same in both frameworks."""
    generator = np.random.default_rng([seed, 0])
    x = generator.standard_normal((IMAGES, 3, row.pixels, row.pixels)).astype(np.float32)
    return x, generator.integers(0, classes, IMAGES)


def chunks(pairs: list[Pair], numbers: int) -> Iterator[list[Pair]]:
    """Pairs in groups of at most so many numbers, or of one pair."""
    group: list[Pair] = []
    size = 0
    for pair in pairs:
        own = sum(int(np.prod(shape)) for shape in pair.torch.shapes.values())
        if group and size + own > numbers:
            yield group
            group, size = [], 0
        group.append(pair)
        size += own
    if group:
        yield group
