"""The fault catalogue: plausible broken frameworks, by the backend they are planted in.

A row says which network shows it, which check must catch it, and where.
"""

from __future__ import annotations

from bench.selftest.faults.exact import KERAS_EXACT, TORCH_EXACT
from bench.selftest.faults.on_keras import KERAS
from bench.selftest.faults.on_torch import TORCH
from bench.selftest.faults.plant import Fault

FAULTS: dict[str, tuple[Fault, ...]] = {"torch": TORCH + TORCH_EXACT, "keras": KERAS + KERAS_EXACT}
