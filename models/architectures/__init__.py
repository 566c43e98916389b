"""Families of networks: one file a family, which builds the graph of a network."""

from __future__ import annotations

from functools import lru_cache

from models.architectures import mlp
from models.graph import Graph
from models.spec import Spec


@lru_cache(maxsize=1024)
def graph(spec: Spec) -> Graph:
    """The nodes of `spec`."""
    return mlp.build(spec)
