"""The same bits are the same bits; what promises nothing is not judged; the switch reaches both frameworks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bench.checks.reproducible import reproducible
from bench.evidence.pool import ObservationPool
from bench.judging.check import Check
from bench.judging.verdict import judge
from fixtures.data.datasets import load
from models.observation import StepResult
from models.worker.tasks.observe import differing

ROOT = Path(__file__).resolve().parents[2]
CHECK = Check(reproducible, "itself")


def step(loss: float, *entries: float) -> StepResult:
    values = np.array(entries, np.float32)
    return StepResult(loss, {"dense3.weight": values}, {}, {"dense3.weight": values}, {})


@pytest.mark.parametrize(
    ("again", "counts"),
    [
        (step(1.5, 1.0, np.nan, 0.0), [0, 0, 0]),
        (step(1.5, np.nextafter(np.float32(1), np.float32(2)), np.nan, 0.0), [0, 1, 1]),
        (step(1.5, 1.0, np.nan, -0.0), [0, 1, 1]),
        (step(np.nextafter(1.5, 2), 1.0, 2.0, 0.0), [1, 1, 1]),
    ],
)
def test_bits_are_compared_and_not_numbers(again: StepResult, counts: list[int]) -> None:
    found = differing([step(1.5, 1.0, np.nan, 0.0)], [again])
    assert [(each.step, each.array, each.name) for each in found] == [
        (0, "loss", ""),
        (0, "gradient of", "dense3.weight"),
        (0, "new", "dense3.weight"),
    ]
    assert [each.entries for each in found] == counts
    verdict = judge(CHECK, SimpleNamespace(seen=SimpleNamespace(repeated=found), backend="torch", network="reference"))
    assert verdict.outside == sum(count > 0 for count in counts)
    assert "step 0 gradient of layer  3 weight" in {finding.where for finding in verdict.findings}


def test_what_is_not_promised_is_not_judged() -> None:
    verdict = judge(CHECK, SimpleNamespace(seen=SimpleNamespace(repeated=[]), backend="torch", network="reference"))
    assert verdict.status == "not judged"
    assert "--deterministic" in verdict.reason


@pytest.mark.parametrize(
    ("device", "threads", "deterministic", "promised"),
    [("cpu", 1, False, True), ("cpu", 2, False, False), ("cuda", 1, False, False), ("cuda", 1, True, True), ("cpu", 2, True, True)],
)
def test_one_cpu_thread_or_deterministic_kernels_promise(device: str, threads: int, deterministic: bool, promised: bool) -> None:
    pool = ObservationPool(load(), device=device, threads=threads, seeds=[0], deterministic=deterministic)
    assert pool.repeats is promised


@pytest.mark.parametrize(
    ("module", "asked"),
    [
        ("models.backends.torch", "import torch; print(torch.are_deterministic_algorithms_enabled())"),
        ("models.backends.keras", "from tensorflow.python.framework import config; print(config.is_op_determinism_enabled())"),
    ],
)
def test_the_switch_reaches_the_framework(module: str, asked: str) -> None:
    for deterministic in (True, False):
        code = f"import {module} as module; module.configure(1, {deterministic}); {asked}"
        variables = {**os.environ, "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=variables)
        assert done.stdout.strip() == str(deterministic), done.stderr
