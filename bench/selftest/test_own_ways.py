"""Other ways to take a step of a user's model: in half precision under autocast, by Keras's `fit`, and operation by operation."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from bench.checks.own import OWN_CHECKS
from bench.evidence.own import OwnEvidence
from bench.judging.verdict import FAILED, PASSED, Verdict, judge
from bench.selftest.studies.own_models import GAUGES
from models.backends.registry import backend_module
from models.own.address import own_models
from models.own.observation import OwnJob, OwnObservation
from models.worker.tasks.own import examine


def seen(backend: str, model: str, tmp_path: Any) -> tuple[OwnObservation, Verdict]:
    """What one model does in every way, and what `execution` says of it."""
    found = examine(backend_module(backend), OwnJob(own_models([f"{GAUGES}/{model}"], tmp_path)[0], compiled=True))
    return found, judge(OWN_CHECKS["execution"], OwnEvidence(model, backend, found))


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch, "compile", lambda model: model)


@pytest.mark.usefixtures("uncompiled")
def test_a_gradient_that_is_wrong_in_half_precision_alone_is_named(tmp_path) -> None:
    found, verdict = seen("torch", "half_torch.py:wrong", tmp_path)
    red = [finding.where for finding in verdict.findings if not finding.within]
    assert verdict.status == FAILED and red == ["autocast 2.weight"]
    assert judge(OWN_CHECKS["gradient_parity"], OwnEvidence("wrong", "torch", found)).status == PASSED


@pytest.mark.usefixtures("uncompiled")
def test_a_healthy_model_is_judged_under_autocast(tmp_path) -> None:
    found, verdict = seen("torch", "half_torch.py:right", tmp_path)
    assert verdict.status == PASSED
    scoped = [finding for finding in verdict.findings if finding.where.startswith("autocast")]
    assert len(scoped) == 8  # loss, outputs, six parameters
    assert max(finding.value for finding in scoped) < 3
    assert max(each.rounding / each.size for each in found.variants[-1].deviations) > 1e-3  # in roundings of bfloat16


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(
    ("model", "kind", "words"),
    [
        ("narrow", "absent", "it does not run under autocast: TypeError: this layer takes float32"),
        ("wide", "absent", "autocast computes nothing of it in half precision"),
    ],
)
def test_what_autocast_does_not_take_is_said(model: str, kind: str, words: str, tmp_path) -> None:
    found, verdict = seen("torch", f"half_torch.py:{model}", tmp_path)
    assert verdict.status != FAILED
    assert words in getattr(next(each for each in found.variants if each.name == "autocast"), kind)


def test_keras_fits_and_steps_operation_by_operation_as_it_trains_on_a_batch(tmp_path) -> None:
    found, verdict = seen("keras", "of_keras.py:sensors", tmp_path)
    assert verdict.status == PASSED
    taken = {each.name: len(each.deviations) for each in found.variants}
    assert taken["fit"] == taken["run_eagerly"] == taken["train_on_batch"] > 3


@pytest.mark.parametrize(("way", "steps"), [("fit", "fit"), ("run_eagerly", "train_on_batch")])
def test_a_fault_of_one_way_alone_is_named(way: str, steps: str, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    keras = pytest.importorskip("keras")
    healthy = getattr(keras.Model, steps)

    def doubled(model, x, y, *args, **kwargs):
        wrong = way == "fit" or model.run_eagerly
        return healthy(model, x, y * 2.0 if wrong else y, *args, **kwargs)

    monkeypatch.setattr(keras.Model, steps, doubled)
    _, verdict = seen("keras", "of_keras.py:regression", tmp_path)
    assert verdict.status == FAILED
    assert {finding.where.split()[0] for finding in verdict.findings if not finding.within} == {way}


@pytest.mark.usefixtures("uncompiled")
def test_a_recurrent_layer_is_judged_by_what_its_kernel_computes(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In half precision one kernel computes it, which float64 has in parts. Where they are not known every operation is rounded."""
    found, verdict = seen("torch", "half_torch.py:recurrent", tmp_path)
    assert verdict.status == PASSED and next(each for each in found.variants if each.name == "autocast").deviations
    half = importlib.import_module("models.backends.torch.own.half")
    monkeypatch.setattr(half, "OF_KERNELS", {})
    found, verdict = seen("torch", "half_torch.py:recurrent", tmp_path)
    assert verdict.status == PASSED and next(each for each in found.variants if each.name == "autocast").deviations
