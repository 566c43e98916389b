"""Multilayer perceptrons: plain, with normalization, with residual blocks of either order.

Nodes of weight layer 5 are `dense5`, `norm5`, `mirror5` and `act5`; the sum behind a block whose last weight layer is 5 is `sum5`.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from models.fields import SpecError, check_choices, check_positive, check_whole, plain
from models.graph import Graph
from models.nodes import INPUT, Activate, Dense, Mirror, Multiply, Node, Normalize, Sum
from models.parts.activations import ACTIVATIONS
from models.parts.norms import NORMS

LEAST_GAIN = 1e-3


class MLP(msgspec.Struct, frozen=True, kw_only=True, tag_field="family", tag="mlp"):
    """One multilayer perceptron; the defaults are the reference network.

    `depth` counts weight layers, the read-out included. `width` is in units, `momentum` is the weight of the old running statistic.
    `skip` says how many layers a skip connection spans, `branch` how its branch is scaled: by a number, by last weights or a learned
    number that begin at zero (`zero`; `rezero`, Bachlechner et al. 2020), or by both weights of it (`fixup`, Zhang et al. 2019).
    `bottleneck` divides the width of every other layer. Widths go to `last_width` in equal ratios (0: all are `width`). `gain` multiplies
    the first weights of all layers but the first; `variance_decay` divides the variance of hidden ones by the number of their layer or
    block to that power (Yang & Schoenholz 2018). With `mirror`, activations are given (h, −h), which the next weights read
    independently (Shang et al. 2016) or begin as (Q, −Q), so that the network looks linear (Balduzzi et al. 2017).
    Raises `SpecError` for an unknown value or a contradiction.
    """

    depth: int = 16
    width: int = 64
    act: str = "relu"
    norm: str = "none"
    norm_at: str = "before"
    eps: float = 1e-5
    momentum: float = 0.9
    groups: int = 4
    skip: str = "none"
    skip_order: str = "post"
    branch: str = "unscaled"
    bottleneck: int = 1
    last_width: int = 0
    gain: float = 1.0
    variance_decay: float = 0.0
    mirror: str = "none"

    SIZES: ClassVar[tuple[str, ...]] = ("depth", "width")
    """Fields that an id names before those of the data."""
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "act": tuple(ACTIVATIONS),
        "norm": ("none", *NORMS),
        "norm_at": ("before", "after"),
        "skip": ("none", "one", "two"),
        "skip_order": ("post", "pre"),
        "branch": ("unscaled", "root2", "depth", "zero", "rezero", "fixup"),
        "mirror": ("none", "independent", "looks_linear"),
    }
    STARTS: ClassVar[tuple[str, ...]] = ("gain", "variance_decay")
    """Fields that say how weights begin and nothing else."""
    layered: ClassVar[bool] = True
    """Whether layer follows layer, as laws of neighbouring layers suppose."""
    predicted: ClassVar[bool] = True
    """Whether random networks tell how signals and gradients change from dense layer to dense layer."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built, in one sentence."""
        check_choices(self, self.CHOICES)
        check_whole(self, {"depth": 2, "width": 1, "groups": 1, "bottleneck": 1, "last_width": 0})
        check_positive(self, "eps", "gain")
        check_positive(self, "variance_decay", or_zero=True)
        if not 0 <= self.momentum < 1:
            raise SpecError(f"momentum={self.momentum} is the weight of the old statistic and must lie in [0, 1).")
        if contradiction := self._contradiction() or self._of_starts():
            raise SpecError(contradiction)

    def _contradiction(self) -> str:
        """The sentence that says why these values do not go together, or nothing."""
        span = self.span
        if self.skip == "none" and (self.branch != "unscaled" or self.skip_order != "post"):
            return "branch and skip_order describe a skip connection, and skip=none has none: set skip=one or skip=two."
        if span and (self.depth - 2) % span:
            return f"skip={self.skip} joins hidden layers in {span}s, so depth - 2 must be a multiple of {span}; depth={self.depth} is not."
        if span and self.depth == 2:
            return "depth=2 has no hidden-to-hidden layer for a skip connection to span: use depth 4 or more."
        if self.bottleneck > 1:
            if self.skip == "one" or (self.depth - 2) % 2 or self.depth == 2:
                return f"bottleneck={self.bottleneck} narrows pairs of layers: use skip=none or skip=two, and an even depth from 4."
            if self.width % self.bottleneck:
                return f"bottleneck={self.bottleneck} must divide width={self.width}."
        if self.norm == "none" and self.norm_at != "before":
            return "norm_at says where a normalization stands, and norm=none has none: choose a norm."
        hidden = sorted({self.width, self.width // self.bottleneck, self.last_width or self.width})
        if self.norm == "group" and any(width % self.groups for width in hidden):
            return f"groups={self.groups} must divide every hidden width {hidden}."
        together = hidden[0] // (self.groups if self.norm == "group" else 1)
        if self.norm in ("layer", "group") and together == 1:
            return f"norm={self.norm} over one unit gives zero whatever comes in: use more units, or fewer groups."
        if (self.norm, together) == ("rms", 1) or (self.norm in ("layer", "group") and together == 2):
            return f"norm={self.norm} over so few units gives 1 or −1 whatever comes in, without a gradient: use more units."
        return ""

    def _of_starts(self) -> str:
        """The sentence that says why these values of widths and first weights do not go together, or nothing."""
        if self.last_width and (self.span or self.bottleneck > 1 or self.depth < 3):
            return f"last_width={self.last_width} narrows plain hidden layers one by one: use skip=none, bottleneck=1 and depth 3 or more."
        if self.last_width and self.norm == "group":
            return f"last_width={self.last_width} has widths between that groups need not divide: use another norm than group."
        if not LEAST_GAIN <= self.gain <= 1 / LEAST_GAIN:
            return f"gain={plain(self.gain)} must lie between {LEAST_GAIN:g} and {1 / LEAST_GAIN:g}, where weights keep their digits."
        if self.branch == "fixup" and self.span < 2:
            return "branch=fixup scales all weights of a branch but the last ones: use skip=two, or branch=zero."
        if self.variance_decay and self.depth == 2:
            return "variance_decay is of layers between the first and the read-out, and depth=2 has none: use depth 3 or more."
        if self.mirror != "none" and self.span and self.skip_order == "post":
            return f"mirror={self.mirror} doubles what an activation gives, which no sum in front of it can hold: use skip_order=pre."
        if self.mirror != "none" and self.bottleneck > 1:
            return f"mirror={self.mirror} halves the units that weights are drawn for, and so does bottleneck: use bottleneck=1."
        return ""

    def contradicts(self, batch: int, features: int, precision: str) -> str:
        """The sentence that says why this network cannot be trained on such data, or nothing."""
        if self.norm == "batch" and batch < 4:
            return f"batch={batch} is too small for norm=batch: its mean gradient diverges below 4 samples."
        return ""

    @property
    def span(self) -> int:
        """How many weight layers one skip connection spans; 0 without skips."""
        return {"none": 0, "one": 1, "two": 2}[self.skip]

    @property
    def blocks(self) -> int:
        """How many residual blocks there are."""
        return (self.depth - 2) // self.span if self.span else 0

    @property
    def hidden(self) -> tuple[int, ...]:
        """Units of every hidden layer."""
        if self.last_width:
            ratio = (self.last_width / self.width) ** (1 / (self.depth - 2))
            return tuple(round(self.width * ratio**passed) for passed in range(self.depth - 1))
        return (self.width, *(self.width // self.bottleneck if layer % 2 == 0 else self.width for layer in range(2, self.depth)))

    @property
    def mirrors(self) -> int:
        """By how much the units behind an activation are more than those in front of it."""
        return 1 if self.mirror == "none" else 2

    def start(self, layer: int, last_of_branch: bool = False) -> float:
        """What the weights drawn for a layer begin multiplied with."""
        if last_of_branch and self.branch in ("zero", "fixup"):
            return 0.0
        if layer == 1:
            return 1.0
        if layer == self.depth:
            return self.gain
        number = (layer - 2) // (self.span or 1) + 1
        return self.gain * number ** (-self.variance_decay / 2) * (self.blocks**-0.5 if self.branch == "fixup" else 1.0)

    @property
    def described(self) -> tuple[str, ...]:
        """Its parts in words."""
        skip = "no skip" if self.skip == "none" else f"skip over {self.skip} ({self.skip_order}-activation, {self.branch})"
        norm = "no norm" if self.norm == "none" else f"{self.norm} norm {self.norm_at} the activation"
        more = (
            f"last width {self.last_width}" if self.last_width else "",
            f"gain {self.gain:g}" if self.gain != 1 else "",
            f"variance decay {self.variance_decay:g}" if self.variance_decay else "",
            {"none": "", "independent": "units mirrored", "looks_linear": "looks linear"}[self.mirror],
        )
        return f"depth {self.depth}", f"width {self.width}", self.act, norm, skip, *filter(None, more)

    def trained(self, precision: str) -> bool:
        """Whether such networks are trained and recorded: all are."""
        return True

    @property
    def random(self) -> bool:
        """Whether its parts draw random numbers while it trains."""
        return ACTIVATIONS[self.act].random

    def size(self, features: int, classes: int) -> tuple[int, int]:
        """How many numbers are learned, and how many units all nodes have together; nothing is built for it, however large it is."""
        wide, narrow, layers = self.width, self.width // self.bottleneck, self.depth - 1
        if self.last_width:  # no layer has more units than the larger end
            wide = narrow = max(self.width, self.last_width)
        units = (layers - layers // 2) * wide + layers // 2 * narrow
        weights = features * wide + self.mirrors * ((layers - 1) * wide * narrow + wide * classes)
        normed = self.mirrors if self.norm_at == "after" else int(self.norm != "none")
        learned = normed * len(NORMS[self.norm].parameters) if normed else 0
        multiplied = self.blocks * (self.branch == "rezero")
        nodes = ((2 if self.mirror == "none" else 5) + normed) * units + (self.blocks + multiplied) * wide + classes
        return weights + (1 + learned) * units + classes + multiplied, nodes

    def build(self, features: int, classes: int) -> Graph:
        """The graph; post-activation blocks are those of He et al. 2015, pre-activation blocks those of He et al. 2016."""
        nodes = _Nodes(self, (features, *self.hidden, classes))
        if not self.span:
            for layer in range(1, self.depth):
                nodes.dense(layer)
                nodes.unit(layer)
        elif self.skip_order == "pre":
            nodes.dense(1)
            for first in range(2, self.depth, self.span):
                nodes.pre_block(first)
            nodes.unit(self.depth - 1)
        else:
            nodes.dense(1)
            nodes.unit(1)
            for first in range(2, self.depth, self.span):
                nodes.post_block(first)
        nodes.dense(self.depth)
        return Graph(tuple(nodes.found))


class _Nodes:
    """Nodes one after the other, each reading the last one's result."""

    def __init__(self, mlp: MLP, widths: tuple[int, ...]) -> None:
        self.mlp, self.widths = mlp, widths
        self.found: list[Node] = []
        self.end = INPUT

    def dense(self, layer: int, last_of_branch: bool = False) -> None:
        """Weight layer `layer`."""
        mlp, fan_in = self.mlp, self.widths[layer - 1] * (self.mlp.mirrors if layer > 1 else 1)
        mirrored = mlp.mirror == "looks_linear" and layer > 1
        self._add(Dense(f"dense{layer}", (self.end,), self.widths[layer], fan_in, mlp.start(layer, last_of_branch), mirrored))

    def norm(self, layer: int) -> None:
        """The normalization behind weight layer `layer`, where the network has any."""
        mlp = self.mlp
        if mlp.norm != "none":
            width = self.widths[layer] * (mlp.mirrors if mlp.norm_at == "after" else 1)
            self._add(Normalize(f"norm{layer}", (self.end,), width, mlp.norm, mlp.eps, mlp.momentum, mlp.groups))

    def act(self, layer: int) -> None:
        """The activation behind weight layer `layer`, of what the layer gives or of that and its mirror image."""
        width = self.widths[layer] * self.mlp.mirrors
        if self.mlp.mirror != "none":
            self._add(Mirror(f"mirror{layer}", (self.end,), width))
        self._add(Activate(f"act{layer}", (self.end,), width, self.mlp.act))

    def unit(self, layer: int) -> None:
        """What follows weight layer `layer`: normalization and activation, in the network's order."""
        parts = (self.norm, self.act) if self.mlp.norm_at == "before" else (self.act, self.norm)
        for part in parts:
            part(layer)

    def pre_block(self, first: int) -> None:
        """x ↦ keep · x + scale · body(x), the body beginning with normalization and activation."""
        stream, last = self.end, first + self.mlp.span - 1
        for layer in range(first, last + 1):
            self.unit(layer - 1)
            self.dense(layer, last_of_branch=layer == last)
        self._sum(stream, last)

    def post_block(self, first: int) -> None:
        """The same, with activation (and normalization, where it stands after that) behind the sum."""
        stream, last, inside = self.end, first + self.mlp.span - 1, self.mlp.norm_at == "before"
        for layer in range(first, last):
            self.dense(layer)
            self.unit(layer)
        self.dense(last, last_of_branch=True)
        if inside:
            self.norm(last)
        self._sum(stream, last)
        self.act(last)
        if not inside:
            self.norm(last)

    def _sum(self, stream: str, last: int) -> None:
        mlp, width = self.mlp, self.widths[last]
        if mlp.branch == "rezero":
            self._add(Multiply(f"branch{last}", (self.end,), width))
        keep, scale = (2**-0.5, 2**-0.5) if mlp.branch == "root2" else (1.0, mlp.blocks**-0.5 if mlp.branch == "depth" else 1.0)
        self._add(Sum(f"sum{last}", (stream, self.end), width, keep, scale))

    def _add(self, node: Node) -> None:
        self.found.append(node)
        self.end = node.name
