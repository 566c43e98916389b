"""The doctor names the cause of every way to fall back to the CPU, runs where there is no GPU, and does not call a fallback fit."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
import types
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import doctor
from bench.doctor import FrameworkReport, causes, gpu_problems, problem, step_problems
from bench.doctor.__main__ import described, described_framework, main
from bench.doctor.step_causes import STEP_CAUSES
from bench.exit_status import Status
from fixtures.machine import nvidia_driver
from fixtures.machine.nvidia_driver import Driver, Gpu
from models.worker.process import WorkerDied
from models.worker.tasks import device_probe
from models.worker.tasks.device_probe import DeviceProbe, StepProbe
from models.worker.tasks.shared_libraries import owned_twice, shadowed

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
    ("torch", SEES_NONE, OLD, {"CUDA_VISIBLE_DEVICES": "1"}, "", "choose out of 0, by"),
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


STEPS = [
    ("InternalError: libdevice not found at ./libdevice.10.bc [Op:__inference_one_step_on_data_1]", "libdevice"),
    ("INTERNAL: Couldn't get ptxas/nvlink version string: Failed to launch subprocess", "ptxas"),
    ("CUDA_ERROR_UNSUPPORTED_PTX_VERSION: the provided PTX was compiled with an unsupported toolchain.", "newer than this driver reads"),
    ("RuntimeError: Cannot find a working triton installation. Either the package is not installed", "Triton"),
    ("InductorError: RuntimeError: Failed to find C compiler. Please specify via CC environment variable", "no C and C++ compiler"),
    ("BackendCompilerFailed: InvalidCxxCompiler: No working C++ compiler found", "no C and C++ compiler"),
    ("main.c:5:10: fatal error: Python.h: No such file or directory", "Python's headers"),
    ("CUDA error: CUDA_ERROR_MPS_CONNECTION_FAILED", "process sharing (MPS)"),
    ("AcceleratorError: CUDA error: CUDA-capable device(s) is/are busy or unavailable", "alone"),
    ("Loaded runtime CuDNN library: 9.1.0 but source was compiled with: 9.3.0. CuDNN library needs to have matching version", "cuDNN"),
    ("RESOURCE_EXHAUSTED: Failed to allocate request for 1.0GiB", "memory is taken"),
    ("\n  KeyError: a thing\nmore", "KeyError: a thing"),
]


@pytest.mark.parametrize(("message", "cause"), STEPS)
def test_every_step_that_fails_has_its_cause_and_a_remedy(message: str, cause: str) -> None:
    report = FrameworkReport("keras", ON_GPU, steps=[StepProbe("eager", 1.0), StepProbe("jit", 1.0, message)])
    (told,) = step_problems(report)
    assert told.startswith("keras takes no step in mode jit: ")
    assert cause in told
    assert "Remedy: " in told


def test_every_cause_of_a_step_has_a_case() -> None:
    found = {next((row for row in STEP_CAUSES if re.search(row.pattern, message)), None) for message, _ in STEPS}
    assert found == {*STEP_CAUSES, None}


def test_a_step_that_cannot_be_compiled_or_ends_its_process_is_seen(monkeypatch: Any) -> None:
    def network(spec: Any, **_: Any) -> Any:
        raise RuntimeError("libdevice not found at ./libdevice.10.bc")

    assert "libdevice" in device_probe.probe_step(types.SimpleNamespace(Network=network), "jit", "cuda").error

    class Dying:
        backend, alive = "keras", True

        def call(self, do: str, kind: Any, **given: Any) -> Any:
            if do == "probe_device":
                return ON_GPU
            assert given["device"] == "cuda"
            if given["mode"] != "compiled":
                return StepProbe(given["mode"], 0.5)
            self.alive = False
            raise WorkerDied("the keras worker was killed by SIGABRT")

        def last_output(self) -> str:
            return "F0000 Can't find libdevice directory"

        def close(self) -> None:
            self.alive = False

    monkeypatch.setattr(doctor, "Worker", lambda backend, device: Dying())
    report = doctor.examine("keras")
    assert [(step.mode, bool(step.error)) for step in report.steps] == [("train_on_batch", False), ("compiled", True)]
    assert "XLA does not find libdevice" in step_problems(report)[0]
    assert "train_on_batch 0.5 s · compiled fails" in described_framework(report)


def test_who_may_compute_on_a_gpu_and_with_whose_libraries_is_told(monkeypatch: Any) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    alone = Driver("580.1", (13, 0), (dataclasses.replace(GPU, mode=nvidia_driver.EXCLUSIVE),))
    mixed = dataclasses.replace(ON_GPU, owned_twice=["a and b own 2 files of nvidia/cudnn/lib"])
    both = [FrameworkReport("torch", ON_GPU), FrameworkReport("keras", mixed)]
    assert len(gpu_problems(HEALTHY, {}, both[:1])) == 0
    assert "exclusive mode" in gpu_problems(alone, {}, both)[0]
    assert not gpu_problems(alone, {}, both[:1]), "one framework alone may"
    nobody = Driver("580.1", (13, 0), (dataclasses.replace(GPU, mode=nvidia_driver.PROHIBITED),))
    assert "PROHIBITED" in gpu_problems(nobody, {}, both[:1])[0]
    assert "unset NVIDIA_TF32_OVERRIDE" in gpu_problems(HEALTHY, {"NVIDIA_TF32_OVERRIDE": "1"}, both[:1])[0]
    assert "keras may load another framework's libraries: a and b own 2 files" in gpu_problems(HEALTHY, {}, both)[0]


def test_files_that_two_distributions_own_are_found(tmp_path: Path) -> None:
    for name, digest in (("nvidia-cudnn-cu12", "AAAA"), ("nvidia-cudnn-cu13", "BBBB"), ("other", "AAAA")):
        info = tmp_path / f"{name}-9.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9\n")
        folder = "nvidia/nccl" if name == "other" else "nvidia/cudnn"
        files = [f"{folder}/lib/libcudnn.so.9", f"{folder}/lib/libcudnn_ops.so.9", f"{folder}/include/cudnn.h"]
        (info / "RECORD").write_text("".join(f"{file},sha256={digest},1\n" for file in files))
    found = owned_twice(metadata.distributions(path=[str(tmp_path)]))
    assert found == ["nvidia-cudnn-cu12 and nvidia-cudnn-cu13 own 2 files of nvidia/cudnn/lib"]


def test_a_library_in_the_place_of_a_wheel_s_own_is_found(tmp_path: Path) -> None:
    own = tmp_path / "nvidia" / "cudnn" / "lib" / "libcudnn.so.9"
    own.parent.mkdir(parents=True)
    own.touch()
    line = "7f00-7f01 r-xp 00000000 08:01 42                         "
    assert shadowed(f"{line}{own}\n{line}/usr/lib/libcuda.so.1\n{line}/usr/lib/libc.so.6", tmp_path) == []
    assert shadowed(f"{line}/usr/local/cuda/lib64/libcudnn.so.9\n", tmp_path) == ["/usr/local/cuda/lib64/libcudnn.so.9"]
    assert "LD_LIBRARY_PATH): /usr/lib/libcudnn.so.9" in described_framework(
        FrameworkReport("torch", dataclasses.replace(ON_GPU, shadowed=["/usr/lib/libcudnn.so.9"]))
    )


def test_parts_and_shared_memory_are_described() -> None:
    divided = Gpu("NVIDIA GB10", "GPU-x", capability=(12, 1), mig=True, instances=("MIG-1",))
    text = "\n".join(described(Driver("580.1", (13, 0), (divided,)), {"TF_CLI_CONFIG_FILE": "terraform"}))
    assert "memory shared with the processor, or not told" in text
    assert "MIG-1" in text
    assert "terraform" not in text


def test_it_runs_anywhere_and_demands_a_gpu_only_if_asked(capsys: Any) -> None:
    assert main(["--backend=numpy", "--steps"]) == Status.SAME
    told = capsys.readouterr().out
    assert "Fit for a run." in told
    assert "first steps: eager " in told
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
