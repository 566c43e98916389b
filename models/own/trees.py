"""Inputs and outputs of a model as trees: tensors in tuples, lists, dicts, named tuples, dataclasses and mappings, in any nesting."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Tree = Any
"""A tensor of some framework, a plain value, or a container of trees, which only the user's model can type."""


def leaves(tree: Tree, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf with its path, such as `0.hidden`; empty for a tree that is one leaf."""
    parts = _parts(tree)
    if parts is None:
        yield path, tree
        return
    for name, part in parts.items():
        yield from leaves(part, f"{path}.{name}" if path else str(name))


def mapped(change: Callable[[Any], Any], tree: Tree) -> Tree:
    """The same tree with every leaf changed; mappings become dicts."""
    parts = _parts(tree)
    if parts is None:
        return change(tree)
    changed = {name: mapped(change, part) for name, part in parts.items()}
    if isinstance(tree, tuple):
        return type(tree)(*changed.values()) if hasattr(tree, "_fields") else tuple(changed.values())
    if isinstance(tree, list):
        return list(changed.values())
    if dataclasses.is_dataclass(tree) and not isinstance(tree, (Mapping, type)):
        return dataclasses.replace(tree, **changed)
    return changed


def _parts(tree: Tree) -> Mapping[Any, Any] | None:
    """What a container holds, by name or number; None for a leaf."""
    if isinstance(tree, Mapping):
        return tree
    if isinstance(tree, (tuple, list)):
        names = getattr(tree, "_fields", range(len(tree)))
        return dict(zip(names, tree, strict=True))
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        return {field.name: getattr(tree, field.name) for field in dataclasses.fields(tree)}
    return None
