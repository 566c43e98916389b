"""Where a number was seen: the step, the node and what of it, as data with a text form."""

from __future__ import annotations

import string

import msgspec

from models.graph import describe


class Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a finding's number was seen; two runs are joined on it.

    `quantity` is what was measured ("drift", "∂b against Σδ"). `node` and `parameter` name a part of the network. `step` is a training
    step. `scope` says which pass, seed, region or setting ("own weights", "micro-batches:"). `array` is what of the node, read before
    it ("gradient of", "∂L/∂z"). `over` is the node that a ratio is taken to.
    """

    quantity: str = ""
    node: str = ""
    parameter: str = ""
    step: int | None = None
    scope: str = ""
    array: str = ""
    over: str = ""

    @classmethod
    def of(cls, name: str, quantity: str = "", *, step: int | None = None, scope: str = "", array: str = "") -> Place:
        """The place of a parameter by its name, such as `dense5.weight`."""
        node, _, parameter = name.rpartition(".")
        return cls(quantity, node, parameter, step, scope, array)

    @property
    def name(self) -> str:
        """The name of the node or parameter: `dense5`, `dense5.weight`."""
        return f"{self.node}.{self.parameter}" if self.parameter else self.node

    def __str__(self) -> str:
        """`step 0 layer  5 weight drift`."""
        parts = (
            self.scope,
            "" if self.step is None else f"step {self.step}",
            self.array,
            describe(self.name).rstrip() if self.node else "",
            f"over {self.over.strip(string.ascii_letters)}" if self.over else "",
            self.quantity,
        )
        return " ".join(filter(None, parts))
