"""The nodes of a convolutional network, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.nodes import INPUT, Activate, Conv, Dense, Flatten, Image, Node, NormalizeInSpace, Pool, Sum
from models.parts.paddings import size_after

if TYPE_CHECKING:
    from models.architectures.convolutional import CNN

POOL_STRIDE = 2


class Nodes:
    """Nodes one after the other, each reading the last one's result."""

    def __init__(self, cnn: CNN, size: int) -> None:
        """Begin with an image of `size` × `size` pixels."""
        self.cnn, self.size, self.below = cnn, size, 1
        self.found: list[Node] = [Image("image", (INPUT,), 1, size)]

    def convolve(self, layer: int) -> None:
        """Convolution `layer`."""
        cnn, kernel, stride = self.cnn, self.cnn.kernel_of(layer), self.cnn.stride_of(layer)
        dilation = cnn.dilation if kernel > 1 else 1
        alone = cnn.convolution == "depthwise" and layer % 2 == 0
        groups = cnn.channels if alone else cnn.groups if layer > 1 else 1
        size = size_after(self.size, dilation * (kernel - 1) + 1, stride, cnn.padding)
        window = size, self.size, kernel, stride, cnn.padding, dilation
        self._add(Conv(f"conv{layer}", self._end, cnn.channels, *window, self.below, groups, cnn.start == "delta"))
        self.size, self.below = size, cnn.channels

    def unit(self, layer: int) -> None:
        """What follows convolution `layer`: normalization, activation and pooling, in the network's order."""
        if self.cnn.norm_at == "before":
            self._norm(layer)
        self._act(layer)

    def block(self, first: int) -> None:
        """x ↦ φ(x + body(x)), the body ending with a convolution, or with its normalization where that stands before φ."""
        (stream,), last = self._end, first + self.cnn.span - 1
        for layer in range(first, last):
            self.convolve(layer)
            self.unit(layer)
        self.convolve(last)
        if self.cnn.norm_at == "before":
            self._norm(last)
        self._add(Sum(f"sum{last}", (stream, *self._end), self.cnn.channels, 1.0, 1.0))
        self._act(last)

    def read(self, classes: int) -> None:
        """Pooling of the whole image, where there is any, and the dense layers."""
        cnn, width = self.cnn, self.cnn.channels
        if cnn.read != "flatten":
            self._add(Pool("read", self._end, width, 1, self.size, self.size, 1, "valid", largest=cnn.read == "max", behind=self._behind))
            self.size = 1
        self._add(Flatten("flatten", self._end, width * self.size**2, width, self.size, cnn.flatten))
        if cnn.head:
            self._add(Dense(f"dense{cnn.depth - 1}", self._end, cnn.head, self.found[-1].width))
            self._add(Activate(f"act{cnn.depth - 1}", self._end, cnn.head, cnn.act))
        self._add(Dense(f"dense{cnn.depth}", self._end, classes, self.found[-1].width))

    def _act(self, layer: int) -> None:
        """Activation and pooling, and the normalization where it stands behind them."""
        cnn = self.cnn
        self._add(Activate(f"act{layer}", self._end, cnn.channels, cnn.act))
        size = cnn.size_behind(layer, self.size)
        if cnn.pools_behind(layer):
            window = size, self.size, cnn.window, POOL_STRIDE, cnn.pool_padding
            counts = cnn.counted == "yes"
            self._add(
                Pool(f"pool{layer}", self._end, cnn.channels, *window, largest=cnn.pool == "max", counted=counts, behind=self._behind)
            )
        self.size = size
        if cnn.norm_at == "after":
            self._norm(layer)

    def _norm(self, layer: int) -> None:
        cnn = self.cnn
        if cnn.norm != "none":
            settings = self.size, cnn.norm, cnn.eps, cnn.momentum, cnn.norm_groups
            self._add(NormalizeInSpace(f"norm{layer}", self._end, cnn.channels, *settings))

    @property
    def _behind(self) -> str:
        """The activation whose results are pooled, or nothing."""
        return self.found[-1].activation if isinstance(self.found[-1], Activate) else ""

    @property
    def _end(self) -> tuple[str]:
        return (self.found[-1].name,)

    def _add(self, node: Node) -> None:
        self.found.append(node)
