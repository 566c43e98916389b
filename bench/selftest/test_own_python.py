"""A backend may have a Python of its own, in which its CUDA libraries are whole; no environment for a GPU takes a build for the CPU."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from bench.timing.duet import sides
from bench.versions import environments
from bench.versions.environments import Interpreter, build
from bench.versions.requirements import GPU, GPU_KERAS, GPU_TORCH, Wanted, group
from models.backends import usual
from models.backends.registry import PYTHON_OF, lacking, python_of
from models.worker.process import Worker

ROOT = Path(__file__).resolve().parents[2]


def own_python(folder: Path, name: str = "python") -> str:
    """This Python by another name, which leaves a trace."""
    script = folder / name
    script.write_text(f'#!/bin/sh\ntouch "{folder}/used"\nexec "{sys.executable}" "$@"\n')
    script.chmod(0o755)
    return str(script)


def test_a_worker_runs_in_its_backend_s_own_python(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv(f"{PYTHON_OF}NUMPY", python := own_python(tmp_path))
    assert python_of("numpy") == python
    worker = Worker("numpy")
    try:
        assert worker.call("versions")["numpy"]
        assert (tmp_path / "used").exists()
        assert PYTHON_OF.encode() not in Path(f"/proc/{worker.pid}/environ").read_bytes(), "it would look for itself elsewhere"
    finally:
        worker.close()


def test_a_backend_that_is_installed_elsewhere_is_there(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(usual.importlib.util, "find_spec", lambda name: None)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    assert lacking("keras-jax") == "keras"
    monkeypatch.setenv(f"{PYTHON_OF}KERAS_JAX", own_python(tmp_path))
    assert lacking("keras-jax") == ""
    assert usual.usual() == ["torch", "keras-jax"]
    monkeypatch.setenv(f"{PYTHON_OF}KERAS_JAX", "/nowhere/python")
    assert lacking("keras-jax") == "python that GRADGAUGE_PYTHON_KERAS_JAX=/nowhere/python names"


@pytest.mark.parametrize("name", [GPU_TORCH, GPU_KERAS])
def test_an_environment_for_a_gpu_takes_no_build_for_the_cpu(name: str) -> None:
    wanted = {requirement.name: requirement for requirement in group(name)}
    if name == GPU_TORCH:
        assert all(not wanted[package].specifier.contains(f"{version}+cpu") for package, version in pinned(wanted).items())
        assert wanted["torch"].specifier.contains("2.13.0+cu130")
        assert "tensorflow" not in wanted
    else:
        assert wanted["tensorflow"].extras == {"and-cuda"}
        assert not {"torch", "tensorflow-cpu"} & set(wanted)


def pinned(wanted: dict[str, Requirement]) -> dict[str, str]:
    return {name: str(wanted[name].specifier).split("==")[1].split(",")[0] for name in ("torch", "torchvision")}


def test_the_two_are_never_one_environment() -> None:
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
    assert "worker-!tensorflow220: tensorflow-gpu" in tox
    assert "gpu-!tensorflow220: tensorflow-gpu" not in tox.replace("worker-!tensorflow220", "")


def test_sides_of_a_duet_have_builds_for_its_device() -> None:
    assert sides.parse("keras==3.12.0 tensorflow==2.20.0", "cuda:1").wanted.group == GPU_KERAS
    assert sides.parse("torch==2.12.0", "cuda").wanted.group == GPU_TORCH
    assert sides.parse("torch==2.12.0").wanted.group == "cpu"


def test_a_side_without_requirements_runs_in_its_backend_s_own_python(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv(f"{PYTHON_OF}KERAS", own_python(tmp_path))
    monkeypatch.setattr(environments, "IMPORTABLE", "import importlib.util as u; print()")
    side = sides.parse("keras")
    assert sides.parse(sys.executable).backends == ("keras",)
    asked: list[str] = []
    monkeypatch.setattr(sides, "Worker", lambda backend, python, **_: asked.append(python))
    sides.Variant(side, Interpreter(sys.executable), "keras", "jit").worker()
    sides.Variant(side, Interpreter("/another/python"), "keras", "jit").worker()
    assert asked == ["", "/another/python"], "no Python means the backend's own"


def test_a_set_of_requirements_on_a_gpu_is_two_environments(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(environments, "_virtual_environment", lambda wanted, folder: f"{folder}/{wanted.group}/python")
    found = build(Wanted("tensorflow==2.20.0", GPU), tmp_path)
    assert found == Interpreter(f"{tmp_path}/gpu-torch/python", keras=f"{tmp_path}/gpu-keras/python")
    assert found.variables()[f"{PYTHON_OF}KERAS"] == f"{tmp_path}/gpu-keras/python"
    assert f"{PYTHON_OF}KERAS" not in Interpreter("python").variables() or os.environ.get(f"{PYTHON_OF}KERAS")
