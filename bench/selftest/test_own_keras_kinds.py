"""Users' Keras models with names given twice, in half precision and with parts that only training has are judged whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.judging.verdict import FAILED, PASSED
from bench.selftest.studies.own_models import GAUGES, evidence, verdicts
from models.backends.registry import backend_module
from models.own.address import own_models
from models.own.gauge import OwnError
from models.own.loading import Home
from models.own.training import OwnHistory, OwnTraining
from models.worker.tasks.own import train

pytest.importorskip("tensorflow")
KINDS = f"{GAUGES}/keras_kinds.py"
ALWAYS = ("finite", "reproducible", "forward_parity", "gradient_parity", "derivative", "evaluation", "update", "execution")


def trained(name: str, moved: bool = False) -> OwnHistory:
    (model,) = own_models([f"{KINDS}:{name}"], Path.cwd())
    (history, *_) = train(backend_module("keras"), OwnTraining(model, [0], moved))
    return history


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ("namesakes", {"dense.kernel", "dense.bias", "dense#2.kernel", "dense#2.bias"}),
        ("frozen_namesakes", {"dense#2.kernel", "dense#2.bias"}),
        ("two_weights", {"two_weights.w", "two_weights.w#2"}),
        ("blocks", {f"{layer}.{each}" for layer in ("dense", "dense#2", "dense#3") for each in ("kernel", "bias")}
         | {f"{layer}.{each}" for layer in ("norm", "norm#2") for each in ("gamma", "beta")}),
    ],
)  # fmt: skip
def test_what_has_one_name_twice_is_judged_twice(model: str, names: set[str]) -> None:
    found = evidence("keras", f"{KINDS}:{model}")
    assert {each.name for each in found.seen.gradients if each.kind == "gradient"} == names
    seen = verdicts(found)
    assert [(name, verdict.worst) for name, verdict in seen.items() if verdict.status == FAILED] == []
    assert {name: seen[name].reason for name in ALWAYS if seen[name].status != PASSED or not seen[name].judged} == {}


def test_a_training_from_moved_weights_moves_what_has_one_name_twice() -> None:
    history = trained("namesakes_on_data", moved=True)
    assert len(set(history.names)) == 4 and np.isfinite(history.losses).all()


def test_a_loss_scale_begins_again_as_it_was() -> None:
    found = evidence("keras", f"{KINDS}:half")
    seen = verdicts(found)
    assert [(name, verdict.worst) for name, verdict in seen.items() if verdict.status == FAILED] == []
    assert seen["finite"].status == seen["reproducible"].status == PASSED and "half precision" in found.seen.no_twin


def test_what_only_training_has_is_judged_from_where_it_began() -> None:
    found = evidence("keras", f"{KINDS}:auxiliary")
    seen = verdicts(found)
    assert {each.name for each in found.seen.gradients if each.kind == "gradient"} >= {"dense_2.kernel", "batch_normalization.beta"}
    assert [(name, verdict.worst) for name, verdict in seen.items() if verdict.status == FAILED] == []
    assert {name: seen[name].reason for name in ALWAYS if seen[name].status != PASSED or not seen[name].judged} == {}


def test_building_what_only_training_has_moves_nothing() -> None:
    from models.backends.keras.own.collections import factory
    from models.backends.keras.own.network import OwnModelOfKeras

    (model,) = own_models([f"{KINDS}:auxiliary"], Path.cwd())
    own = OwnModelOfKeras(Home(model, factory), 0)
    (mean,) = [v for v in own.model.variables if v.path.endswith("moving_mean")]
    assert np.array_equal(np.array(mean), np.zeros(1))


def test_data_with_weights_of_samples_are_refused_in_one_sentence() -> None:
    said = "has data whose batches have 3 parts: make them .inputs, targets., without weights of samples"
    with pytest.raises(OwnError, match=said):
        evidence("keras", f"{KINDS}:weighted")
    for model in ("weighted", "weighted_late"):
        with pytest.raises(OwnError, match=said):
            trained(model)


@pytest.mark.parametrize("model", ["scaled", "scaled_by_a_factor"])
def test_gradients_of_a_scaled_loss_are_judged_without_the_scale(model: str) -> None:
    seen = verdicts(evidence("keras", f"{KINDS}:{model}"))
    assert [(name, verdict.worst) for name, verdict in seen.items() if verdict.status == FAILED] == []
    assert {name: seen[name].reason for name in ALWAYS if seen[name].status != PASSED or not seen[name].judged} == {}
