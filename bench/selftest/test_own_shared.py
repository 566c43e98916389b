"""Models, optimizers and rates that a user makes once: every call of the factory begins as the first one did."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.judging.verdict import FAILED, PASSED
from bench.selftest.studies.own_models import GAUGES, evidence, verdicts
from models.backends.registry import backend_module
from models.own.address import OwnModel, own_models
from models.own.gauge import OwnError

SHARED = {"torch": ("model", "bound", "returned", "rate"), "keras": ("optimizer", "compiled", "model")}
CASES = [(backend, name) for backend, names in SHARED.items() for name in names]


@pytest.fixture(autouse=True)
def imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(GAUGES))


def as_module(backend: str, name: str) -> OwnModel:
    """By its module, which is imported once for all calls; a file is read again for each model."""
    return own_models([f"shared_{backend}:{name}"], GAUGES)[0]


@pytest.mark.parametrize(("backend", "name"), CASES)
def test_steps_of_shared_parts_are_right(backend: str, name: str) -> None:
    for _ in range(2):  # the second time in the same process
        seen = verdicts(evidence(backend, f"{GAUGES}/shared_{backend}.py:{name}"))
        assert [(check, verdict.worst) for check, verdict in seen.items() if verdict.status == FAILED] == []
        if (backend, name) != ("keras", "model"):
            assert seen["update"].status == PASSED
        else:
            assert "build it in the factory" in seen["gradient_parity"].reason


@pytest.mark.parametrize(("backend", "name"), CASES)
def test_every_seed_of_a_training_begins_anew(backend: str, name: str) -> None:
    train: Any = backend_module(backend).train_own
    histories = [train(as_module(backend, name), seed, False, "cpu") for seed in (0, 1, 0)]
    assert histories[0].losses == histories[2].losses
    assert np.array_equal(histories[0].gradient_norms, histories[2].gradient_norms)


def test_an_optimizer_that_cannot_be_made_again_is_one_sentence() -> None:
    train: Any = backend_module("keras").train_own
    train(as_module("keras", "unsaved"), 0, False, "cpu")
    with pytest.raises(OwnError, match=r"an optimizer that an earlier call has used.*: make it in the factory\.$"):
        train(as_module("keras", "unsaved"), 1, False, "cpu")
