"""Roads: ways of calling a framework that must lead to the same result, as users call it.

`on_torch` and `on_keras` hold functions of the same names; each returns NumPy arrays and plain numbers. What a framework
does not have (PyTorch has no `fit`) is absent there, and the equality that needs it is not collected.
"""

from __future__ import annotations

import importlib
from typing import Any


def take(backend: str, road: str, arguments: dict[str, Any]) -> Any:
    """Call `road` of `backend`; raises LookupError for one that the framework does not have."""
    module = importlib.import_module(f"models.roads.on_{backend.partition('-')[0]}")
    if road not in module.ROADS:
        raise LookupError(f"{backend} has no road named {road}: use one of {', '.join(module.ROADS)}.")
    return module.ROADS[road](**arguments)
