"""Trainings of users' own models are recorded beside the model, and what changes them later is red."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.baselines import own as own_baselines
from bench.baselines.own import OwnRecording
from bench.baselines.samples import BaselineError
from bench.checks.own import OWN_CHECKS
from bench.evidence.own import OwnEvidence, OwnTrained
from bench.judging.tolerance import FALLBACK_WIDENING
from bench.judging.verdict import FAILED, NO_BASELINE, NOT_APPLICABLE, NOT_JUDGED, PASSED, Verdict, judge
from models.backends.registry import backend_module
from models.own.address import own_models
from models.own.gauge import OwnError
from models.own.observation import OwnObservation
from models.own.training import OwnHistory, OwnTraining
from models.worker.tasks.own import train

ROOT = Path(__file__).resolve().parents[2]
GAUGES = Path(__file__).parent / "gauges"
SEEDS = list(range(3))


def trained(backend: str, name: str, seeds: list[int], moved: bool = False) -> list[OwnHistory]:
    model = own_models([f"trained_{backend}.py:{name}"], GAUGES)[0]
    return train(backend_module(backend), OwnTraining(model, seeds, moved))


def judged(backend: str, histories: list[OwnHistory], recording: OwnRecording | None) -> Verdict:
    training = OwnTrained(histories, recording, Path("gradgauge_baselines.json"))
    return judge(OWN_CHECKS["training"], OwnEvidence("net", backend, OwnObservation("net", {}), training=training))


@pytest.fixture(scope="module")
def recordings() -> dict[str, OwnRecording]:
    return {
        backend: own_baselines.recorded(trained(backend, "net", SEEDS, moved=True), why="first", date="", environment={}, model="net")
        for backend in ("torch", "keras")
    }


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_a_training_repeats_what_was_recorded(backend: str, recordings: dict[str, OwnRecording]) -> None:
    then = recordings[backend]
    assert set(then.samples) >= {"accuracy", "loss", "mean loss", "gradient layer 1", "early gradient layer 1"}
    assert all(len(rows) == len(SEEDS) and all(len(row) == 2 for row in rows) for rows in then.samples.values())
    assert min(min(row) for row in then.samples["accuracy"]) > 0.5, "it learns"
    verdict = judged(backend, trained(backend, "net", SEEDS[:2]), then)
    assert verdict.status == PASSED, verdict.worst


def test_a_recording_also_begins_one_unit_in_the_last_place_away() -> None:
    usual, moved = trained("torch", "net", [0], moved=True)
    assert (usual.moved, moved.moved) == (False, True)
    assert usual.losses != moved.losses
    np.testing.assert_allclose(usual.losses[:5], moved.losses[:5], rtol=1e-4)


FAULTS = (
    ("torch", "late", "loss"), ("torch", "dropped", "steps"), ("torch", "repeated", "gradient layer 1"), ("keras", "late", "loss"),
    ("keras", "dropped", "steps"),
)  # fmt: skip


@pytest.mark.parametrize(("backend", "fault", "place"), FAULTS)
def test_what_changes_a_training_is_red(backend: str, fault: str, place: str, recordings: dict[str, OwnRecording]) -> None:
    verdict = judged(backend, trained(backend, fault, SEEDS[: 1 if place == "steps" else 3]), recordings[backend])
    assert verdict.status == FAILED
    assert place in {finding.place.quantity for finding in verdict.findings if not finding.within}


def test_what_was_not_recorded_is_counted_and_not_red(recordings: dict[str, OwnRecording]) -> None:
    histories = [OwnHistory(99, [1.0], np.ones((1, 1)), ["a"])]
    assert judged("torch", histories, None).status == NO_BASELINE
    assert judged("torch", histories, recordings["torch"]).status == NOT_JUDGED
    without = judge(OWN_CHECKS["training"], OwnEvidence("net", "torch", OwnObservation("net", {})))
    assert without.status == NOT_APPLICABLE and without.reason == "needs data and an optimizer to train with"


def test_a_metric_that_is_gone_is_no_pass(recordings: dict[str, OwnRecording]) -> None:
    histories = trained("torch", "net", [0])
    histories[0].score = float("nan")
    verdict = judged("torch", histories, recordings["torch"])
    assert verdict.status == FAILED and [each.where for each in verdict.findings if not each.within] == ["accuracy"]


@pytest.mark.parametrize(("name", "said"), [("once", "can be gone through once"), ("unscored", "return a share between 0 and 1")])
def test_what_cannot_be_trained_is_one_sentence(name: str, said: str) -> None:
    with pytest.raises(OwnError, match=said):
        trained("torch", name, [0])


def test_a_file_keeps_what_other_models_have_and_refuses_what_it_is_not(tmp_path: Path, recordings: dict[str, OwnRecording]) -> None:
    path = tmp_path / own_baselines.NAME
    own_baselines.write(path, {"a on torch": recordings["torch"]})
    own_baselines.write(path, {"b on keras": recordings["keras"]})
    assert list(own_baselines.read(path)) == ["a on torch", "b on keras"]
    assert own_baselines.read(path)["a on torch"].samples == recordings["torch"].samples
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 9'))
    with pytest.raises(BaselineError, match="has schema 9"):
        own_baselines.read(path)
    path.write_text("{")
    with pytest.raises(BaselineError, match="is no recording of own models"):
        own_baselines.read(path)


def test_files_of_one_name_are_kept_apart_in_one_recording_and_those_of_before_are_found(
    tmp_path: Path, recordings: dict[str, OwnRecording]
) -> None:
    shared, beside = tmp_path / "shared.json", tmp_path / "a" / own_baselines.NAME
    models = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "gauge.py").write_text("import torch\n")
        models += own_models([f"{folder}/gauge.py:net"], tmp_path)
    assert [own_baselines.key(model, "torch", shared) for model in models] == ["a/gauge.py:net on torch", "b/gauge.py:net on torch"]
    assert own_baselines.key(models[0], "torch", beside) == "gauge.py:net on torch"
    assert own_baselines.key(own_models(["torchvision:resnet18"], tmp_path)[0], "torch", shared) == "torchvision:resnet18 on torch"
    own_baselines.write(shared, {"gauge.py:net on torch": recordings["torch"]})
    assert own_baselines.recording_of(models[1], "torch", shared) is not None, "of before"
    own_baselines.write(shared, {"a/gauge.py:net on torch": recordings["keras"]})
    found = own_baselines.recording_of(models[0], "torch", shared)
    assert found is not None and found.samples == recordings["keras"].samples


def test_a_recording_of_another_kind_of_device_judges_by_wider_intervals(recordings: dict[str, OwnRecording]) -> None:
    then = recordings["torch"]
    assert own_baselines.widening(then, "cpu") == own_baselines.widening(None, "cuda") == 1.0
    assert own_baselines.widening(then, "cuda:1") == FALLBACK_WIDENING
    histories, widths = trained("torch", "net", SEEDS), []
    for widening in (1.0, FALLBACK_WIDENING):
        training = OwnTrained(histories, then, Path("gradgauge_baselines.json"), widening)
        verdict = judge(OWN_CHECKS["training"], OwnEvidence("net", "torch", OwnObservation("net", {}), training=training))
        widths.append({finding.place: finding.high - finding.low for finding in verdict.findings})
    assert all(widths[1][place] > width for place, width in widths[0].items() if place.quantity != "steps")


@pytest.mark.slow
def test_a_run_records_beside_the_model_and_judges_by_it(tmp_path: Path) -> None:
    gauge = tmp_path / "gauge.py"
    gauge.write_text((GAUGES / "trained_torch.py").read_text())

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "pytest",
            f"--model={gauge}:net",
            "-k",
            "training",
            f"--record-dir={tmp_path}",
            "-p",
            "no:cacheprovider",
        ]
        return subprocess.run(
            [*command, *arguments], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=600, check=False
        )

    before = run()
    assert "1 no baseline" in before.stdout and "--update-baselines" in before.stdout, before.stdout
    recorded = run("--update-baselines=first", "--seeds=4")
    assert recorded.returncode == 0, recorded.stdout
    assert list(own_baselines.read(tmp_path / own_baselines.NAME)) == ["gauge.py:net on torch"]
    assert run().returncode == 0
    gauge.write_text(gauge.read_text().replace("decay(30)", "decay(36)"))
    changed = run()
    assert changed.returncode == 1 and "seed by seed, those that were recorded" in changed.stdout, changed.stdout
