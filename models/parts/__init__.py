"""What a network is made of: tables of rows, each the written-out law beside the two frameworks' own parts.

A row is the one place to add a part. Its mathematics is NumPy; `torch` and `keras` are functions that receive the
framework's namespace, so that nothing here imports a framework.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

Namespace = ModuleType
"""A framework's namespace, such as `torch.nn`."""
Native = Any
"""What a framework makes: a layer, loss or optimizer of its own. No one type holds for all frameworks, and none is imported here."""
