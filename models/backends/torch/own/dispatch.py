"""What PyTorch hands to a mode that every operation, or every function, passes through."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

Types = Collection[type]
"""Classes of tensors with operations of their own."""
Arguments = tuple[Any, ...]
"""Arguments by place: only the schema of each operation says which are tensors, lists or numbers."""
Named = Mapping[str, object]
"""Arguments by name."""
