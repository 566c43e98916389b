"""What fails in one way to train a user's model is told, and takes nothing else away."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bench.baselines.own import OwnRecording
from bench.baselines.own import read as read_recordings
from bench.baselines.samples import BaselineError
from bench.checks.own.trained import training
from bench.judging.finding import Finding
from bench.judging.verdict import FAILED, NOT_APPLICABLE, PASSED, Verdict
from bench.selftest.studies.own_models import GAUGES, evidence, verdicts
from models.backends.registry import backend_module
from models.own.address import own_models
from models.own.gauge import OwnError
from models.own.training import OwnHistory


def seen(model: str) -> dict[str, Verdict]:
    return verdicts(evidence("torch", f"{GAUGES}/failing_torch.py:{model}"))


@pytest.mark.parametrize(
    ("model", "words"),
    [("broken_fused", "fused: .*the fused kernel is broken"), ("broken_channels_last", "channels_last: .*this convolution is broken")],
)
def test_a_variant_that_raises_is_told(model: str, words: str) -> None:
    execution = seen(model)["execution"]
    assert execution.status == PASSED and execution.judged, "the other variants are judged"
    assert re.search(words, execution.reason), execution.reason


def test_an_optimizer_that_float64_cannot_run_takes_no_other_check_away() -> None:
    found = seen("only_float32")
    assert {name for name, verdict in found.items() if verdict.status == NOT_APPLICABLE} <= {"update", "normalization_state", "training"}
    assert "its optimizer does not run in float64" in found["update"].reason and "its loss" not in found["update"].reason
    assert all(found[name].judged for name in ("forward_parity", "gradient_parity", "derivative", "execution"))


def history(seed: int, names: list[str], score: float = float("nan")) -> OwnHistory:
    return OwnHistory(seed, [1.0, 0.5], np.ones((2, len(names))), names, score=score)


def judged(now: list[OwnHistory], then: dict[str, list[list[float]]]) -> list[Finding]:
    recording = OwnRecording("why", "2026-01-01", {}, 2, [1000, 1001], {name: rows * 2 for name, rows in then.items()})
    trained = SimpleNamespace(recording=recording, histories=now, path=Path("it.json"), widening=1.0)
    return list(training(SimpleNamespace(training=trained)))  # type: ignore[arg-type]


def test_a_metric_that_one_side_lacks_is_red_by_name() -> None:
    then = {name: [[1.0, 1.0]] for name in ("loss", "mean loss", "gradient layer 1", "early gradient layer 1", "gradient layer 3")}
    red = {finding.place.quantity: finding.note for finding in judged([history(1000, ["a"], 0.5)], then) if not finding.within}
    assert "was recorded and is not: if the model changed, record anew" in red["gradient layer 3"]
    assert "is and was not recorded" in red["accuracy"]


def test_rows_of_several_lengths_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    path.write_text(
        '{"schema": 1, "recordings": {"net": {"why": "w", "date": "2026-01-01", "environment": {}, "seeds": [1000, 1001], "steps": 2,'
        ' "samples": {"loss": [[1.0, 1.0], [1.0, 1.0, 1.0]]}}}}'
    )
    with pytest.raises(BaselineError, match="net has seeds with more loss than others: delete it and record anew"):
        read_recordings(path)


def test_infinities_of_a_buffer_are_a_mask_in_half_precision_as_well() -> None:
    found = seen("masked")
    assert found["finite"].status == found["gradient_parity"].status == PASSED


def test_a_twin_without_a_number_accuses_nobody() -> None:
    """Distances of a sample to itself are 0 in float64 and a rounding in float32, whose square root has a gradient."""
    found = seen("hardest")
    assert [name for name, verdict in found.items() if verdict.status == FAILED] == []
    assert "is no number in float64 where float32 has one" in found["gradient_parity"].reason


def test_a_batch_of_no_samples_is_no_crash() -> None:
    assert [name for name, verdict in seen("empty").items() if verdict.status == FAILED] == []


@pytest.mark.parametrize("model", ["complex_and_whole", "second_order"])
def test_models_of_other_numbers_and_optimizers_of_other_kinds_are_trained(model: str) -> None:
    address = own_models([f"{GAUGES}/failing_torch.py:{model}"], GAUGES)[0]
    usual, moved = (backend_module("torch").train_own(address, 0, moved, "cpu") for moved in (False, True))
    assert len(usual.losses) == 4 and np.isfinite(usual.losses).all() and np.isfinite(usual.gradient_norms).all()
    assert not np.array_equal(usual.gradient_norms, moved.gradient_norms) and np.allclose(usual.losses, moved.losses, rtol=0.05)


def test_weights_of_samples_are_refused_and_inputs_alone_are_taken() -> None:
    weighted, alone = own_models([f"{GAUGES}/failing_torch.py:{name}" for name in ("weighted", "inputs_alone")], GAUGES)
    with pytest.raises(OwnError, match=r"batches have 3 parts: make them \(inputs, targets\), without weights of samples"):
        backend_module("torch").train_own(weighted, 0, False, "cpu")
    assert len(backend_module("torch").train_own(alone, 0, False, "cpu").losses) == 4
    assert [name for name, verdict in seen("inputs_alone").items() if verdict.status == FAILED] == []
