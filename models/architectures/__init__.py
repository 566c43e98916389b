"""Families of networks: one file a family, with the record of a network and the graph it builds.

To add a family: write its record and give it a row in `FAMILIES`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from models.architectures.convolutional import CNN
from models.architectures.dynamical import ODE
from models.architectures.mlp import MLP
from models.architectures.recurrent import RNN
from models.graph import Graph

if TYPE_CHECKING:
    from models.spec import Spec

Architecture = MLP | RNN | CNN | ODE
"""A record of any family."""
FAMILIES: dict[str, type[MLP] | type[RNN] | type[CNN] | type[ODE]] = {"mlp": MLP, "rnn": RNN, "conv": CNN, "ode": ODE}
"""Families by the word with which an id begins; ids without one are of the first."""


@lru_cache(maxsize=1024)
def graph(spec: Spec) -> Graph:
    """The nodes of `spec`."""
    return spec.arch.build(spec.features, spec.classes)
