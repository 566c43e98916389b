"""Scenarios: ways of calling a framework that must lead to the same result, as users call it.

Each backend's folder has a `scenarios` package with functions of the same names; each returns NumPy arrays and plain numbers. What a
framework does not have (PyTorch has no `fit`) is absent there, and the relation that needs it is not collected.
"""

from __future__ import annotations

import importlib
from typing import Any


def take(backend: str, scenario: str, arguments: dict[str, Any]) -> Any:
    """Call `scenario` of `backend`; raises LookupError for one that the framework does not have."""
    module = importlib.import_module(f"models.backends.{backend.partition('-')[0]}.scenarios")
    if scenario not in module.SCENARIOS:
        raise LookupError(f"{backend} has no scenario named {scenario}: use one of {', '.join(module.SCENARIOS)}.")
    return module.SCENARIOS[scenario](**arguments)
