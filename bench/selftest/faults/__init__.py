"""The fault catalogue: plausible broken frameworks, by the backend they are planted in and the part that is broken.

A row says which network shows it, which check must catch it, and where. A new fault is one row; `python -m
bench.selftest.kill_grid` then writes down who catches it.
"""

from __future__ import annotations

from bench.selftest.faults.convolutional import KERAS_CONVOLUTIONAL, TORCH_CONVOLUTIONAL
from bench.selftest.faults.exact import KERAS_EXACT, TORCH_EXACT
from bench.selftest.faults.guises import KERAS_GUISES, TORCH_GUISES
from bench.selftest.faults.healed import KERAS_HEALED, TORCH_HEALED
from bench.selftest.faults.of_precision import KERAS_PRECISION, TORCH_PRECISION
from bench.selftest.faults.on_keras import KERAS
from bench.selftest.faults.on_torch import TORCH
from bench.selftest.faults.plant import Fault
from bench.selftest.faults.recurrent import KERAS_RECURRENT, TORCH_RECURRENT
from bench.selftest.faults.remedies import KERAS_REMEDIES, TORCH_REMEDIES

FAULTS: dict[str, dict[str, tuple[Fault, ...]]] = {
    "torch": TORCH
    | {
        "exact laws": (*TORCH_EXACT, *TORCH_GUISES),
        "precision": TORCH_PRECISION,
        "controls": TORCH_HEALED,
        "recurrent": TORCH_RECURRENT,
        "convolutional": TORCH_CONVOLUTIONAL,
        "remedies": TORCH_REMEDIES,
    },
    "keras": KERAS
    | {
        "exact laws": (*KERAS_EXACT, *KERAS_GUISES),
        "precision": KERAS_PRECISION,
        "controls": KERAS_HEALED,
        "recurrent": KERAS_RECURRENT,
        "convolutional": KERAS_CONVOLUTIONAL,
        "remedies": KERAS_REMEDIES,
    },
}


def catalogue() -> list[tuple[str, str, Fault]]:
    """Every fault with its backend and its part."""
    return [(backend, part, fault) for backend, parts in FAULTS.items() for part, faults in parts.items() for fault in faults]
