"""Convolutional networks: a sample's features as an image of one channel, convolutions, and a read-out.

Nodes are `image`, `conv1`, `norm1`, `act1`, `pool1`, …, `sum3` behind a block whose last convolution is the third, `read` where the whole
image is pooled, `flatten`, and dense nodes, the last of which computes the logits.
"""

from __future__ import annotations

import math
from math import isqrt
from typing import ClassVar

import msgspec

from models.architectures.convolutional_nodes import POOL_STRIDE, Nodes
from models.fields import SpecError, check_choices, check_positive, check_whole
from models.graph import Graph
from models.parts.activations import ACTIVATIONS
from models.parts.norms import NORMS
from models.parts.paddings import PADDINGS, size_after

MOST_LAYERS = 20
KERNELS, WINDOWS = (1, 3, 5), (2, 3)
"""Which kernels and pooling windows there are: a kernel has a middle."""


class CNN(msgspec.Struct, frozen=True, kw_only=True, tag_field="family", tag="conv"):
    """One convolutional network.

    `depth` counts weight layers, read-out and a dense layer of `head` units (0: none) included; all others are convolutions of `channels`.
    `kernel`, `stride`, `dilation` and `padding` (`models.parts.paddings`) are those of every convolution, `groups` those of all but the
    first, which reads one channel. With `convolution=depthwise` the second, fourth, … convolve each channel by itself, and those between
    are 1 × 1. `pool` stands behind the activation of the last `pools` convolutions, where windows of equal pixels are rare: a `window`
    moved by 2 pixels, padded by `pool_padding`, which is `counted` in a mean or not. `read` says what dense layers read: the image
    flattened in the order `flatten`, or each channel's mean or largest number. `norm` is over channels, `norm_groups` of them where it is
    `group`. `skip` adds the image of so many convolutions before, in front of the activation. `start=delta` begins with zeros around each
    kernel's middle tap.
    Raises `SpecError` for an unknown value or a contradiction.
    """

    depth: int = 4
    channels: int = 8
    kernel: int = 3
    stride: int = 1
    padding: str = "same"
    dilation: int = 1
    groups: int = 1
    convolution: str = "full"
    act: str = "relu"
    pool: str = "none"
    pools: int = 1
    window: int = 2
    pool_padding: str = "valid"
    counted: str = "no"
    norm: str = "none"
    norm_at: str = "before"
    eps: float = 1e-5
    momentum: float = 0.9
    norm_groups: int = 4
    skip: str = "none"
    read: str = "flatten"
    flatten: str = "channels_first"
    head: int = 0
    start: str = "all"

    SIZES: ClassVar[tuple[str, ...]] = ("depth", "channels")
    """Fields that an id names before those of the data."""
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "padding": tuple(PADDINGS), "convolution": ("full", "depthwise"), "act": tuple(ACTIVATIONS),
        "pool": ("none", "max", "average"), "pool_padding": ("valid", "same", "same_at_end"), "counted": ("no", "yes"),
        "norm": ("none", *NORMS), "norm_at": ("before", "after"), "skip": ("none", "one", "two"),
        "read": ("flatten", "average", "max"), "flatten": ("channels_first", "channels_last"), "start": ("all", "delta"),
    }  # fmt: skip
    STARTS: ClassVar[tuple[str, ...]] = ("start",)
    """Fields that say how weights begin and nothing else."""
    PRECISIONS: ClassVar[tuple[str, ...]] = ("float32", "float64", "tf32")
    """What the reference of a convolution is written out for."""

    # What laws of layers ask of any network: branches of this one are as they are.
    skip_order: ClassVar[str] = "post"
    branch: ClassVar[str] = "unscaled"
    bottleneck: ClassVar[int] = 1
    last_width: ClassVar[int] = 0
    mirror: ClassVar[str] = "none"
    layered: ClassVar[bool] = False
    predicted: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse what cannot be built, in one sentence."""
        check_choices(self, self.CHOICES)
        least = {"depth": 2, "channels": 1, "kernel": 1, "stride": 1, "dilation": 1, "groups": 1, "pools": 1, "window": 2}
        check_whole(self, least | {"norm_groups": 1, "head": 0})
        check_positive(self, "eps")
        if not 0 <= self.momentum < 1:
            raise SpecError(f"momentum={self.momentum} is the weight of the old statistic and must lie in [0, 1).")
        if contradiction := self._of_convolutions() or self._of_other_parts():
            raise SpecError(contradiction)

    def _of_convolutions(self) -> str:
        """The sentence that says why these values of convolutions do not go together, or nothing."""
        if self.depth > MOST_LAYERS:
            return f"depth={self.depth} is more than {MOST_LAYERS}, the most that a convolutional network has here."
        if self.kernel not in KERNELS:
            return f"kernel={self.kernel} is not known: use one of {', '.join(map(str, KERNELS))}."
        if self.convolutions < 1:
            return f"head={self.head} takes one of depth={self.depth} layers, and the read-out the other: use depth=3 or more."
        if self.dilation > 1 and (self.kernel == 1 or self.stride > 1):
            lacks = "kernel=1 has a single one" if self.kernel == 1 else "Keras has no such convolution with a stride"
            return f"dilation={self.dilation} moves taps apart, and {lacks}: use dilation=1."
        if self.channels % self.groups:
            return f"groups={self.groups} must divide channels={self.channels}."
        if self.convolution == "depthwise" and (self.groups > 1 or self.channels == 1):
            return "convolution=depthwise makes each of several channels a group: leave groups out, and use channels=2 or more."
        if self.start == "delta" and (self.kernel == 1 or self.groups > 1 or self.convolution == "depthwise"):
            return "start=delta is a start of full convolutions of several taps: use kernel=3 or 5, groups=1 and convolution=full."
        if self.padding == "same_at_end" and self.stride == 1:
            return "padding=same_at_end is padding=same where no stride leaves an odd row: leave it out, or use stride=2."
        return ""

    def _of_other_parts(self) -> str:
        """The sentence that says why these values of pooling, normalization, skips and read-out do not go together, or nothing."""
        if self.window not in WINDOWS:
            return f"window={self.window} is not known: use 2 or 3."
        if self.pool == "none" and (self.pools, self.window, self.pool_padding) != (1, 2, "valid"):
            return "pools, window and pool_padding describe pooling, and pool=none has none: use pool=max or pool=average."
        if self.pools > self.convolutions:
            return f"pools={self.pools} is more than the {self.convolutions} convolutions that pooling can stand behind."
        if self.window == 2 and self.pool_padding == "same":
            return "pool_padding=same adds as much on both sides, and window=2 has no middle: use window=3, or pool_padding=same_at_end."
        if self.counted == "yes" and (self.pool != "average" or self.pool_padding == "valid"):
            return "counted says whether a mean counts padding: use pool=average and pool_padding=same or same_at_end."
        if self.norm == "none" and self.norm_at != "before":
            return "norm_at says where a normalization stands, and norm=none has none: choose a norm."
        if self.norm == "group" and self.channels % self.norm_groups:
            return f"norm_groups={self.norm_groups} must divide channels={self.channels}."
        if self.norm in ("layer", "rms") and self.channels < 3:
            return f"norm={self.norm} over so few channels gives the same whatever comes in: use more channels."
        if self.read != "flatten" and self.flatten != "channels_first":
            return f"flatten orders the pixels of an image, and read={self.read} leaves one: leave flatten out."
        if self.span and (self.convolutions < 2 or (self.convolutions - 1) % self.span):
            return (
                f"skip={self.skip} joins the convolutions behind the first in {self.span}s, and there are {self.convolutions - 1} of them."
            )
        if self.span and (self.stride > 1 or self.pools > 1 or (self.padding == "valid" and self.kernel > 1)):
            return f"skip={self.skip} joins images of one shape: use stride=1, pools=1 and padding=same or circular."
        return ""

    def contradicts(self, batch: int, features: int, precision: str) -> str:
        """The sentence that says why this network cannot be trained on such data, or nothing."""
        if isqrt(features) ** 2 != features:
            return f"features={features} are no square image: use data with 64 or 784 features, for instance."
        if precision not in self.PRECISIONS:
            return f"precision={precision} is not judged in convolutional networks yet: use {' or '.join(self.PRECISIONS)}."
        if self.norm == "batch" and batch < 4:
            return f"batch={batch} is too small for norm=batch: its mean gradient diverges below 4 samples."
        size = isqrt(features)
        for layer in range(1, self.convolutions + 1):
            kernel = self.kernel_of(layer)
            if PADDINGS[self.padding].wrap and kernel // 2 * self.dilation > size:
                return f"padding=circular wraps around an image of {size} pixels more than once at convolution {layer}: use less dilation."
            shrunk = size_after(size, self.dilation * (kernel - 1) + 1, self.stride_of(layer), self.padding)
            if shrunk < 1:
                return f"kernel={kernel} does not fit into the {size} pixels left at convolution {layer}: use padding=same or less depth."
            if self.norm == "group" and shrunk**2 * self.channels // self.norm_groups < 3:
                return f"norm=group over so few numbers gives the same whatever comes in at convolution {layer}: use fewer norm_groups."
            size = self.size_behind(layer, shrunk)
            if size < 1:
                return f"window={self.window} does not fit into the {shrunk} pixels left behind convolution {layer}: use fewer pools."
        return ""

    def trained(self, precision: str) -> bool:
        """Whether such networks are trained and recorded: none is yet."""
        return False

    @property
    def convolutions(self) -> int:
        """How many convolutions there are."""
        return self.depth - 1 - (self.head > 0)

    @property
    def span(self) -> int:
        """How many convolutions one skip connection spans; 0 without skips."""
        return {"none": 0, "one": 1, "two": 2}[self.skip]

    @property
    def blocks(self) -> int:
        """How many residual blocks there are."""
        return (self.convolutions - 1) // self.span if self.span else 0

    @property
    def width(self) -> int:
        """Channels."""
        return self.channels

    @property
    def random(self) -> bool:
        """Whether its parts draw random numbers while it trains."""
        return ACTIVATIONS[self.act].random

    @property
    def described(self) -> tuple[str, ...]:
        """Its parts in words."""
        mixing = "depthwise and 1 × 1 " if self.convolution == "depthwise" else f"{self.groups} groups " if self.groups > 1 else ""
        kernel = f"{mixing}{self.kernel} × {self.kernel} kernels"
        pool = f"{self.pool} pooling behind {self.pools}" if self.pool != "none" else "no pooling"
        more = (
            f"stride {self.stride}" if self.stride > 1 else "",
            f"dilation {self.dilation}" if self.dilation > 1 else "",
            f"{self.padding} padding",
            pool,
            "no norm" if self.norm == "none" else f"{self.norm} norm {self.norm_at} the activation",
            "no skip" if self.skip == "none" else f"skip over {self.skip}",
            "flattened" if self.read == "flatten" else f"{self.read} of each channel read",
            f"{self.head} dense units" if self.head else "",
            "delta start" if self.start == "delta" else "",
        )
        return f"depth {self.depth}", f"{self.channels} channels", kernel, self.act, *filter(None, more)

    def size(self, features: int, classes: int) -> tuple[int, int]:
        """How many numbers are learned, and how many units all nodes have together; at most 20 layers are built for it."""
        nodes = self.build(features, classes)
        learned = sum(size for size in map(math.prod, nodes.parameters.values()))
        return learned, sum(math.prod(node.per_sample) for node in nodes.nodes)

    def build(self, features: int, classes: int) -> Graph:
        """The graph; blocks are post-activation ones (He et al. 2015)."""
        nodes = Nodes(self, isqrt(features))
        nodes.convolve(1)
        nodes.unit(1)
        for first in range(2, self.convolutions + 1, self.span or 1):
            if self.span:
                nodes.block(first)
            else:
                nodes.convolve(first)
                nodes.unit(first)
        nodes.read(classes)
        return Graph(tuple(nodes.found))

    def kernel_of(self, layer: int) -> int:
        """Pixels of a convolution's kernel along one axis; behind a depthwise one it has one."""
        return 1 if self.convolution == "depthwise" and layer > 1 and layer % 2 else self.kernel

    def stride_of(self, layer: int) -> int:
        """A 1 × 1 convolution behind a depthwise one has none."""
        return 1 if self.convolution == "depthwise" and layer > 1 and layer % 2 else self.stride

    def size_behind(self, layer: int, size: int) -> int:
        """The size of an image behind the pooling of a convolution's result, where there is any."""
        return size_after(size, self.window, POOL_STRIDE, self.pool_padding) if self.pools_behind(layer) else size

    def pools_behind(self, layer: int) -> bool:
        """Whether a convolution's result is pooled."""
        return self.pool != "none" and layer > self.convolutions - self.pools
