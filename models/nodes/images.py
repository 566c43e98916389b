"""Nodes of images: convolutions, pooling, normalizations by channels, and what is flattened."""

from __future__ import annotations

from dataclasses import dataclass

from models.nodes.node import Affine, Node, Normalize, Shape
from models.parts.paddings import PADDINGS


@dataclass(frozen=True)
class InSpace(Node):
    """A node whose result is a square image of `size` × `size` pixels, `width` channels each: (batch × channels × size × size)."""

    size: int

    @property
    def per_sample(self) -> Shape:
        """Channels, rows and columns."""
        return (self.width, self.size, self.size)


@dataclass(frozen=True)
class Image(InSpace):
    """The features of a sample as an image of one channel, row after row."""


@dataclass(frozen=True)
class Windowed(InSpace):
    """A window of `kernel` × `kernel` taps, `dilation` pixels apart, moved by `stride` pixels over a padded image of `size_below`."""

    size_below: int
    kernel: int
    stride: int
    padding: str
    dilation: int = 1

    @property
    def reach(self) -> int:
        """Pixels from the window's first tap to its last, both included."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def pads(self) -> tuple[int, int]:
        """Rows added above and below, and as many columns before and behind."""
        return PADDINGS[self.padding].pads(self.size_below, self.reach, self.stride)


@dataclass(frozen=True)
class Conv(Windowed, Affine):
    """z = W ∗ h + b (cross-correlation, as frameworks have it) with W (channels, channels below / groups, kernel, kernel).

    Output channels of each of the `groups` read their share of the channels below. With `delta` all taps but the middle one begin at zero.
    """

    channels_below: int = 1
    groups: int = 1
    delta: bool = False

    @property
    def depthwise(self) -> bool:
        """Whether every channel is convolved by itself."""
        return self.groups == self.channels_below > 1

    @property
    def fan_in(self) -> int:
        """Summands of one number of the result, the bias apart."""
        return self.channels_below // self.groups * self.kernel**2

    @property
    def parameters(self) -> dict[str, Shape]:
        """Weight and bias."""
        return {"weight": (self.width, self.channels_below // self.groups, self.kernel, self.kernel), "bias": (self.width,)}


@dataclass(frozen=True)
class Pool(Windowed):
    """The `largest` number under the window, or their mean, in which padding is `counted` or not; `behind` is the activation below."""

    largest: bool = False
    counted: bool = False
    behind: str = ""

    @property
    def whole(self) -> bool:
        """Whether the window is the image."""
        return self.kernel == self.size_below and self.pads == (0, 0)


@dataclass(frozen=True)
class NormalizeInSpace(Normalize, InSpace):
    """A normalization of images by channels: over batch and pixels, over the channels of a pixel, or over groups of channels."""


@dataclass(frozen=True)
class Flatten(Node):
    """An image (channels × size × size) as units in a row, by their `order`: channels_first, or channels_last."""

    channels: int
    size: int
    order: str
