"""Scenarios: ways of calling a framework that must lead to the same result, as users call it.

Each backend's `SCENARIOS` has functions of the same names; each returns NumPy arrays and plain numbers. What a framework does not have
(PyTorch has no `fit`) is absent there, and the relation that needs it is not collected.
"""

from __future__ import annotations

from typing import Any

from models.backends.registry import Absent, backend_module


def take(backend: str, scenario: str, arguments: dict[str, Any]) -> Any:
    """Call `scenario` of `backend`; raises Absent for one that the framework does not have."""
    scenarios = backend_module(backend).SCENARIOS
    if scenario not in scenarios:
        raise Absent(f"{backend} has no scenario named {scenario}")
    return scenarios[scenario](**arguments)
