"""Users' models with hooks, losses that hold modules, lazy layers, masks and draws are judged whole, and faults in them are named."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from bench.judging.verdict import FAILED, PASSED, Verdict
from bench.selftest.studies.own_models import GAUGES, evidence, verdicts
from models.own.gauge import OwnError

ALWAYS = ("finite", "reproducible", "forward_parity", "gradient_parity", "evaluation", "update")
WHOLE = (
    "logged", "decayed", "decayed_in_part", "learned_loss", "own_method", "taught", "remembered", "lazy", "lazy_and_shared", "forces",
    "gumbel", "drawn_slopes", "infinite_logits", "on_a_plateau",
)  # fmt: skip
CHOSEN = {
    "clipped": "a hook changes the gradient of",
    "afterwards": "a hook changes the gradient of",
    "of_a_module": "a hook of 1 changes the gradient on its way",
    "on_its_way": "a hook of Halved.forward.<locals>.<lambda> changes the gradient on its way",
}


def seen(model: str) -> dict[str, Verdict]:
    return verdicts(evidence("torch", f"{GAUGES}/tried_torch.py:{model}"))


def red(found: dict[str, Verdict]) -> list[str]:
    return [name for name, verdict in found.items() if verdict.status == FAILED]


def outside(found: dict[str, Verdict], names: Iterable[str]) -> set[str]:
    return {finding.where for name in names for finding in found[name].findings if not finding.within}


@pytest.mark.parametrize("model", WHOLE)
def test_a_healthy_model_is_judged_whole(model: str) -> None:
    found = seen(model)
    assert red(found) == []
    assert {name: found[name].reason for name in (*ALWAYS, "derivative") if found[name].status != PASSED or not found[name].judged} == {}


@pytest.mark.parametrize("model", [*CHOSEN, "masked", "scaled_by_itself"])
def test_a_gradient_that_a_hook_changes_is_its_authors_choice(model: str) -> None:
    found = seen(model)
    assert red(found) == []
    assert {name: found[name].reason for name in ALWAYS if found[name].status != PASSED or not found[name].judged} == {}
    if model in CHOSEN:
        assert CHOSEN[model] in found["derivative"].reason and not found["derivative"].judged
    else:  # one parameter has a hook, and all others are judged
        assert "a hook changes the gradient of" in found["derivative"].reason and found["derivative"].judged == 3


def test_parameters_that_step_by_themselves_are_no_alarm() -> None:
    found = seen("stepping")
    assert red(found) == [] and found["forward_parity"].status == PASSED


@pytest.mark.parametrize(
    ("model", "check", "where"),
    [
        ("wrong_function", "derivative", "2.weight along its gradient"),
        ("wrong_teacher", "derivative", "2.weight along its gradient"),
        ("wrong_hook", "gradient_parity", "2.weight"),
    ],
)
def test_a_gradient_that_is_off_by_a_thousandth_is_named(model: str, check: str, where: str) -> None:
    found = seen(model)
    assert check in red(found) and outside(found, [check]) == {where}


def test_an_optimizer_in_half_precision_is_judged_by_its_roundings() -> None:
    found = seen("muon")
    assert red(found) == [] and found["update"].status == found["gradient_parity"].status == PASSED


@pytest.mark.filterwarnings("ignore")  # of PyTorch's own
def test_derivatives_in_forward_mode_have_no_twin() -> None:
    found = seen("forward_mode")
    assert red(found) == [] and "derivatives in forward mode" in found["gradient_parity"].reason
    assert found["finite"].judged and found["reproducible"].judged


def test_schedules_in_a_list_are_told_in_one_sentence() -> None:
    with pytest.raises(OwnError, match=r"gave list, which has no step\(\): return one scheduler"):
        seen("schedules_in_a_list")
