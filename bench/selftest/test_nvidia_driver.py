"""What the driver does not tell is left out and takes nothing else with it; a GPU is the one that CUDA_VISIBLE_DEVICES means."""

from __future__ import annotations

from typing import Any

import pytest

from bench.selftest.made_up_gpus import Card, plant
from fixtures.machine import gpu_lock, nvidia_driver
from fixtures.machine.fingerprint import device_class, fingerprint
from fixtures.machine.nvidia_driver import EXCLUSIVE, Driver, Gpu
from fixtures.plugin import xdist_support
from models.worker import devices

QUESTIONS = {
    "nvmlDeviceGetName": "name", "nvmlDeviceGetUUID": "uuid", "nvmlDeviceGetMemoryInfo": "total",
    "nvmlDeviceGetCudaComputeCapability": "capability", "nvmlDeviceGetComputeMode": "mode", "nvmlDeviceGetMigMode": "mig",
    "nvmlDeviceGetComputeRunningProcesses": "processes",
}  # fmt: skip
WHOLE = Gpu("NVIDIA H100 80GB HBM3", "GPU-a", 16384, 8192, (9, 0), processes={4711: 9000.0}, mode=EXCLUSIVE)
H100 = {
    "torch": ["cpu", "cuda:0 NVIDIA H100 80GB HBM3"],
    "keras": ["cpu", "cuda:0 /physical_device:GPU:0"],
    "keras-jax": ["cpu", "cuda:0 NVIDIA H100 80GB HBM3"],
    "keras-torch": ["cpu", "cuda:0 NVIDIA H100 80GB HBM3"],
}
"""What each backend's worker lists; this TensorFlow does not know the name."""


def show(named: str | None, monkeypatch: Any) -> None:
    monkeypatch.delenv(devices.VISIBLE, raising=False)
    if named is not None:
        monkeypatch.setenv(devices.VISIBLE, named)


def test_a_driver_is_read_whole(monkeypatch: Any) -> None:
    plant(monkeypatch, Card(processes=[{4711}], mode=3), version="550.54", cuda=12040)
    assert nvidia_driver.ask() == Driver("550.54", (12, 4), (WHOLE,))
    plant(monkeypatch)
    assert nvidia_driver.ask().problem == nvidia_driver.ABSENT


@pytest.mark.parametrize(("question", "lost"), QUESTIONS.items())
def test_a_question_that_is_refused_leaves_the_rest(question: str, lost: str, monkeypatch: Any) -> None:
    """Memory under unified memory, processes under WSL, and most of it in containers that hold a part of a GPU are refused."""
    plant(monkeypatch, Card(processes=[{4711}], mode=3, refuses=(question,)), Card("GPU-b"))
    driver = nvidia_driver.ask()
    assert not driver.problem
    differing = {name for name in vars(WHOLE) if getattr(driver.gpus[0], name) != getattr(WHOLE, name)}
    assert differing == {lost, *(("free",) if lost == "total" else ())} - {"mig"}
    assert xdist_support.count() == 2
    assert gpu_lock.identity("cuda:1") == "GPU-b"


def test_a_gpu_that_may_not_be_opened_is_none(monkeypatch: Any) -> None:
    show(None, monkeypatch)
    plant(monkeypatch, Card("GPU-a", refuses=("nvmlDeviceGetHandleByIndex",)), Card("GPU-b"))
    assert [gpu.uuid for gpu in nvidia_driver.ask().gpus] == ["GPU-b"]
    plant(monkeypatch, Card(refuses=("nvmlDeviceGetHandleByIndex",)))
    assert "does not answer (Insufficient Permissions)" in nvidia_driver.ask().problem


@pytest.mark.parametrize(
    ("named", "device", "uuid"),
    [
        (None, "cuda", "GPU-a"), (None, "cuda:1", "GPU-b"), ("1", "cuda", "GPU-b"), ("1,0", "cuda:1", "GPU-a"), ("GPU-b", "cuda", "GPU-b"),
        ("MIG-b2", "cuda", "GPU-b"), ("MIG-GPU-b/1/0", "cuda", "GPU-b"), ("GPU-c", "cuda", None), ("", "cuda", None), ("0", "cuda:1", None),
        ("7", "cuda", None), (None, "cpu", None),
    ],
)  # fmt: skip
def test_a_gpu_is_the_one_that_a_process_sees(named: str | None, device: str, uuid: str | None, monkeypatch: Any) -> None:
    show(named, monkeypatch)
    plant(monkeypatch, Card("GPU-a"), Card("GPU-b", parts=("MIG-b1", "MIG-b2")))
    gpu = nvidia_driver.ask().gpu(device)
    assert (gpu and gpu.uuid) == uuid


def test_parts_of_a_gpu_are_named(monkeypatch: Any) -> None:
    plant(monkeypatch, Card(parts=("MIG-1", "MIG-2")))
    assert nvidia_driver.ask().gpus[0].instances == ("MIG-1", "MIG-2")
    show("MIG-1,MIG-2", monkeypatch)
    assert xdist_support.count() == 2
    assert gpu_lock.identity("cuda:1") == "MIG-2"


def test_a_gpu_is_one_class_for_all_frameworks(monkeypatch: Any) -> None:
    show(None, monkeypatch)
    plant(monkeypatch, Card(), Card("GPU-b", "Tesla T4"))
    assert {device_class("cuda", names) for names in H100.values()} == {"h100-80gb-hbm3"}
    assert device_class("cuda:1", H100["torch"]) == "tesla-t4"
    plant(monkeypatch)
    assert device_class("cuda", H100["torch"]) == "h100-80gb-hbm3"
    assert device_class("cpu", ["cpu"]) == "cpu"


def test_a_record_names_gpu_driver_and_capability(monkeypatch: Any) -> None:
    show(None, monkeypatch)
    plant(monkeypatch, Card(), Card("GPU-b", "Tesla T4", (7, 5)))
    seen = fingerprint("cuda:1", 1)
    assert (seen["GPU"], seen["compute capability"], seen["NVIDIA driver"]) == ("Tesla T4", "7.5", "580.95.05, runs CUDA up to 13.0")
    assert not {"GPU", "compute capability", "NVIDIA driver"} & set(fingerprint("cpu", 1))
