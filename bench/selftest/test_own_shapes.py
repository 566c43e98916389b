"""Models of shapes that users have are judged whole and not blamed: experts, graphs, teachers, pairs, own steps, own losses."""

from __future__ import annotations

import pytest

from bench.judging.verdict import FAILED, PASSED
from bench.selftest.studies.own_models import GAUGES, evidence, verdicts
from models.own.gauge import OwnError

SHAPES = {"torch": ("experts", "graph", "teacher", "pairs", "branching"), "keras": ("stepping", "adding")}
ALWAYS = ("finite", "reproducible", "forward_parity", "gradient_parity", "derivative", "evaluation")


@pytest.mark.parametrize(("backend", "model"), [(backend, model) for backend, models in SHAPES.items() for model in models])
def test_a_model_of_a_users_shape_is_judged_whole(backend: str, model: str) -> None:
    seen = evidence(backend, f"{GAUGES}/shapes_{backend}.py:{model}")
    said = verdicts(seen)
    assert [(name, verdict.worst) for name, verdict in said.items() if verdict.status == FAILED] == []
    assert {name: said[name].reason for name in ALWAYS if said[name].status != PASSED or not said[name].judged} == {}
    if model == "stepping":
        assert "its own train_step computes another loss" in next(
            variant.absent for variant in seen.seen.variants if variant.name == "train_on_batch"
        )


def test_a_step_of_its_own_without_a_loss_is_one_sentence() -> None:
    with pytest.raises(OwnError, match=r"has a train_step of its own and no loss to ask for: return that loss, or write compute_loss\.$"):
        evidence("keras", f"{GAUGES}/shapes_keras.py:without_loss")
