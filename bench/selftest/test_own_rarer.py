"""Users' models that do what few do are judged whole, by every check, and are not blamed."""

from __future__ import annotations

from typing import Any

import pytest

from bench.judging.verdict import FAILED, PASSED
from bench.selftest.faults.of_own_models import of_float32
from bench.selftest.faults.plant import Fault, one
from bench.selftest.studies.own_models import GAUGES, evidence, found, verdicts

RARER = {
    "torch": ("variational", "quantized", "taught", "routed", "causal", "sparse", "packed", "penalized"),
    "keras": ("variational", "quantized"),
}
ALWAYS = ("finite", "reproducible", "forward_parity", "gradient_parity", "derivative", "evaluation")


@pytest.mark.parametrize(("backend", "model"), [(backend, model) for backend, models in RARER.items() for model in models])
def test_a_rarer_model_is_judged_whole_and_healthy(backend: str, model: str) -> None:
    seen = verdicts(evidence(backend, f"{GAUGES}/rarer_{backend}.py:{model}"))
    assert [(name, verdict.worst) for name, verdict in seen.items() if verdict.status == FAILED] == []
    assert {name: seen[name].reason for name in ALWAYS if seen[name].status != PASSED or not seen[name].judged} == {}


def _sharper(original: Any, q: Any, k: Any, v: Any, **named: Any) -> Any:
    return original(q * 1.001, k, v, **named)


@pytest.mark.parametrize(
    ("model", "check", "symbol", "change"),
    [
        ("causal", "forward_parity", "torch.nn.functional.scaled_dot_product_attention", _sharper),
        ("variational", "evaluation", "torch.nn.functional.softplus", lambda original, x, *rest: original(x, *rest) * 1.0001),
        ("quantized", "derivative", "torch.cdist", None),
    ],
)
def test_what_is_held_or_replayed_hides_no_fault(model: str, check: str, symbol: str, change: Any) -> None:
    network = f"{GAUGES}/rarer_torch.py:{model}"
    if change is None:  # where nothing is held, differences of the loss see that the gradient goes straight past the codes
        from models.backends.torch.own import stopped

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stopped, "_stops", lambda func, given: False)
            assert verdicts(evidence("torch", network))[check].status == FAILED
        return
    caught, seen = found("torch", Fault("planted", network, check, "", one(symbol, of_float32(change))))
    assert caught, seen[check].reason
