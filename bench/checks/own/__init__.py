"""The checks of users' own models and published networks: the laws of the matrix that hold for any model, under the same names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.checks import BASELINE, CHECKS
from bench.checks.own import laws
from bench.checks.own.aligned import ALIGNED_CHECKS
from bench.checks.own.trained import training
from bench.evidence.own import NEEDS, OwnEvidence
from bench.judging.check import ANY, Check, Need
from models.own.address import OwnModel

REFERENCE, ITSELF = "reference", "itself"
STEPS = frozenset({Need.STEPS})
TWIN = STEPS | {Need.REFERENCE}

OWN_CHECKS: dict[str, Check[OwnEvidence]] = {
    check.name: check
    for check in (
        Check(laws.finite, ITSELF, STEPS),
        Check(laws.reproducible, ITSELF, STEPS),
        Check(laws.forward_parity, REFERENCE, TWIN),
        Check(laws.gradient_parity, REFERENCE, TWIN),
        Check(laws.derivative, ITSELF, TWIN),
        Check(laws.update, REFERENCE, STEPS, also={Need.REFERENCE}),
        Check(laws.normalization_state, REFERENCE, TWIN),
        Check(laws.evaluation, REFERENCE, STEPS, also={Need.REFERENCE}),
        Check(laws.execution, REFERENCE, TWIN),
        Check(training, BASELINE, STEPS),
    )
}


def table(model: OwnModel) -> Mapping[str, Check[Any]]:
    """The checks that judge a model: of a user's own and of published ones, or of one that both frameworks hold."""
    return ALIGNED_CHECKS if model.aligned else OWN_CHECKS


def lacking_of(model: OwnModel) -> dict[str, str]:
    """What checks that do not judge a model need, by name, in words that complete "needs …"."""
    if not model.aligned:
        return absent()
    names = dict.fromkeys((*CHECKS, *OWN_CHECKS))
    return {name: "a network of one framework" for name in names if name not in ALIGNED_CHECKS}


def absent() -> dict[str, str]:
    """What checks of the matrix, by name, need that no own model has, in words that complete "needs …"."""
    found = {}
    for name, check in CHECKS.items():
        if name not in OWN_CHECKS:
            lacking = [need.value for need in Need if need in check.needs and need not in NEEDS]
            parts = "parts that the law knows" if check.only is ANY else check.only.part
            found[name] = lacking[0] if lacking else parts
    return found
