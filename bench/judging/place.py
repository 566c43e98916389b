"""Where a number was seen: the step, the node and what of it, as data with a text form."""

from __future__ import annotations

import msgspec

from models.naming import describe, kind_of, layer_of, node_of


class Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a finding's number was seen; two runs are joined on it.

    `quantity` is what was measured ("drift", "∂b against Σδ"). `node` and `parameter` name a part of the network; a parameter without a
    node is a name of the user's own, which is written as it is. `step` is a training step. `scope` says which pass, seed, region or
    setting ("own weights", "micro-batches:"). `array` is what of the node, read before it ("gradient of", "∂L/∂z"). `over` is the node
    that a ratio is taken to. `time` is the time step of a sequence, counted from 1.
    """

    quantity: str = ""
    node: str = ""
    parameter: str = ""
    step: int | None = None
    scope: str = ""
    array: str = ""
    over: str = ""
    time: int | None = None

    @classmethod
    def of(cls, name: str, quantity: str = "", *, step: int | None = None, scope: str = "", array: str = "") -> Place:
        """The place of a parameter by its name, such as `dense5.weight`."""
        return cls(quantity, node_of(name), kind_of(name), step, scope, array)

    @property
    def name(self) -> str:
        """The name of the node or parameter: `dense5`, `dense5.weight`."""
        return ".".join(filter(None, (self.node, self.parameter)))

    def __str__(self) -> str:
        """`step 0 layer  5 weight drift`."""
        parts = (
            self.scope,
            "" if self.step is None else f"step {self.step}",
            self.array,
            describe(self.name) if self.node else self.parameter,
            "" if self.time is None else f"time {self.time}",
            f"over {layer_of(self.over) or self.over}" if self.over else "",
            self.quantity,
        )
        return " ".join(filter(None, parts))
