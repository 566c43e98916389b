"""The doctor names the cause of every way to fall back to the CPU, runs where there is no GPU, and does not call a fallback fit."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.doctor import FrameworkReport, causes, problem
from bench.doctor.__main__ import described, main
from bench.exit_status import Status
from fixtures.machine import nvidia_driver
from fixtures.machine.nvidia_driver import Driver, Gpu
from models.worker.tasks import device_probe
from models.worker.tasks.device_probe import DeviceProbe

ROOT = Path(__file__).resolve().parents[2]
GPU = Gpu("NVIDIA H200", "GPU-aaaa", 143771, 140000, (9, 0), processes={4711: 9000.0})
HEALTHY = Driver("580.95.05", (13, 0), (GPU, GPU))
CPU_ONLY = DeviceProbe({"torch": "2.13.0+cpu"}, "", ["cpu"], "cpu")
SEES_NONE = DeviceProbe({"torch": "2.13.0"}, "CUDA 13.0", ["cpu"], "cpu")
ON_GPU = DeviceProbe({"torch": "2.13.0"}, "CUDA 13.0", ["cpu", "cuda:0 NVIDIA H200"], "cuda:0")
NO_CODE = DeviceProbe({}, "CUDA 13.0", ["cpu", "cuda:0"], "", 0, "CUDA error: no kernel image is available")
NO_ROOM = DeviceProbe({}, "CUDA 13.0", ["cpu", "cuda:0"], "", 0, "OutOfMemoryError: CUDA out of memory")
OLD = Driver("535.1", (12, 2), (GPU,))

FALLBACKS: list[tuple[str, DeviceProbe, Driver, dict[str, str], str, str]] = [
    ("torch", CPU_ONLY, HEALTHY, {}, "", "this torch was built for the CPU alone"),
    ("keras", CPU_ONLY, HEALTHY, {}, "", "this tensorflow was built for the CPU alone"),
    ("numpy", CPU_ONLY, HEALTHY, {}, "", "it has no GPU build: use --device=cpu, or choose another --backend"),
    ("torch", SEES_NONE, HEALTHY, {"CUDA_VISIBLE_DEVICES": ""}, "", "CUDA_VISIBLE_DEVICES='' hides every GPU"),
    ("keras", SEES_NONE, HEALTHY, {"CUDA_VISIBLE_DEVICES": "-1"}, "", "hides every GPU"),
    ("keras-jax", SEES_NONE, HEALTHY, {"JAX_PLATFORMS": "cpu"}, "", "JAX_PLATFORMS='cpu' leaves JAX no GPU"),
    ("torch", SEES_NONE, HEALTHY, {"CUDA_VISIBLE_DEVICES": "2"}, "", "begins with 2, which the driver does not have"),
    ("torch", SEES_NONE, HEALTHY, {"CUDA_VISIBLE_DEVICES": "GPU-bbbb"}, "", "begins with GPU-bbbb"),
    ("torch", SEES_NONE, Driver(problem=nvidia_driver.ABSENT), {}, "", "no NVIDIA driver is here"),
    ("torch", SEES_NONE, OLD, {}, "", "driver 535.1 runs CUDA up to 12.2, and this torch was built for CUDA 13.0"),
    ("keras", SEES_NONE, HEALTHY, {}, "W0000 Cannot dlopen some GPU libraries. Please make sure", "CUDA's libraries are not all found"),
    ("torch", NO_CODE, HEALTHY, {}, "", "NVIDIA H200 (sm_90)"),
    ("torch", NO_ROOM, HEALTHY, {}, "", "memory is taken"),
    ("torch", SEES_NONE, HEALTHY, {}, "a line\nCUDA unknown error - this may be due to", "CUDA unknown error"),
    ("torch", SEES_NONE, HEALTHY, {}, "", "lists no GPU and does not say why"),
]  # fmt: skip


@pytest.mark.parametrize(("backend", "seen", "asked", "variables", "words", "cause"), FALLBACKS, ids=[case[-1][:30] for case in FALLBACKS])
def test_every_fallback_has_its_cause_and_a_remedy(
    backend: str, seen: DeviceProbe, asked: Driver, variables: dict[str, str], words: str, cause: str
) -> None:
    told = problem(FrameworkReport(backend, seen, words), asked, variables, require_gpu=True)
    assert cause in told
    assert told.startswith(backend)
    assert "Remedy: " in told


def test_every_cause_has_a_case() -> None:
    found = {
        next((cause for cause in causes.CAUSES if cause(causes.Case(backend, seen, asked, variables, words))), None)
        for backend, seen, asked, variables, words, _ in FALLBACKS
    }
    assert found == {*causes.CAUSES, None}


def test_what_computes_on_the_gpu_is_fit_and_what_computes_wrongly_is_not() -> None:
    assert not problem(FrameworkReport("torch", ON_GPU), HEALTHY, {}, require_gpu=True)
    assert not problem(FrameworkReport("torch", CPU_ONLY), HEALTHY, {}, require_gpu=False)
    wrong = DeviceProbe({}, "CUDA 13.0", ["cpu", "cuda:0"], "cuda:0", wrong=3)
    assert "3 entries" in problem(FrameworkReport("torch", wrong), HEALTHY, {}, require_gpu=False)
    assert "does not start: exited with status 1" in problem(
        FrameworkReport("keras", DeviceProbe(), "", "exited with status 1"), HEALTHY, {}, False
    )


@pytest.mark.parametrize(
    ("place", "is_gpu"),
    [("cpu", False), ("cuda:0", True), ("/job:localhost/replica:0/task:0/device:GPU:0", True), ("{CudaDevice(id=0)}", True),
     ("/job:localhost/replica:0/task:0/device:CPU:0", False), ("{CpuDevice(id=0)}", False)],
)  # fmt: skip
def test_a_place_is_read_in_every_framework_s_words(place: str, is_gpu: bool) -> None:
    assert DeviceProbe(place=place).on_gpu is is_gpu


def test_a_framework_that_multiplies_wrongly_or_not_at_all_is_seen() -> None:
    module = types.SimpleNamespace(versions=dict, built_for=str, devices=list, multiplied=lambda m: ("cpu", (m @ m) + np.eye(len(m))))
    assert device_probe.probe_device(module).wrong == device_probe.SIZE
    module.multiplied = lambda m: 1 / 0
    assert device_probe.probe_device(module).error == "ZeroDivisionError: division by zero"


def test_a_driver_is_described_with_who_else_uses_it() -> None:
    text = "\n".join(described(HEALTHY, {"CUDA_VISIBLE_DEVICES": "0"}))
    for words in ("NVIDIA 580.95.05, runs CUDA up to 13.0", "140,000 of 143,771 MB free", "4711", "9,000 MB", "CUDA_VISIBLE_DEVICES=0"):
        assert words in text


def test_it_runs_anywhere_and_demands_a_gpu_only_if_asked(capsys: Any) -> None:
    assert main(["--backend=torch"]) == Status.SAME
    assert "Fit for a run." in capsys.readouterr().out
    done = subprocess.run(
        [sys.executable, "-m", "bench.doctor", "--require-gpu", "--backend=torch"], cwd=ROOT, capture_output=True, text=True
    )
    if "product on cuda" not in done.stdout:
        assert done.returncode == Status.ENVIRONMENT
        assert "torch falls back to the CPU: " in done.stdout


def test_an_unknown_backend_is_one_sentence(capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--backend=kears"])
    assert ended.value.code == Status.BAD_INPUT
    assert "--backend=kears is not known" in capsys.readouterr().err
