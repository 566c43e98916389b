"""Keras on each library is a column of its own, in a process of its own; what is not installed is one sentence."""

from __future__ import annotations

import importlib.util
import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.evidence.collect import trainings
from bench.report.record_file import read
from fixtures.data.datasets import load
from models.backends import registry, usual
from models.backends.protocol import Backend, Build, BuildForEpochs, EpochNetwork, Network
from models.backends.registry import BACKENDS, BackendError, backend_module, info, lacking, named
from models.observation import Job, Observation
from models.spec import Spec
from models.worker.process import Worker, environment

ROOT = Path(__file__).resolve().parents[2]
NEEDS_JAX = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed here: tox -e backends has it")
OTHERS = ["keras-torch", pytest.param("keras-jax", marks=NEEDS_JAX)]


def only(*installed: str) -> Any:
    return lambda name: name if name in installed else None


@pytest.mark.parametrize(
    ("named", "installed", "expected"),
    [
        (None, ("torch", "keras", "tensorflow", "jax"), ["torch", "keras"]),
        (None, ("torch", "keras", "jax"), ["torch", "keras-jax"]),
        (None, ("torch", "keras"), ["torch", "keras-torch"]),
        ("jax", ("torch", "keras", "tensorflow", "jax"), ["torch", "keras-jax"]),
        ("tensorflow", ("torch", "keras", "jax"), ["torch", "keras"]),
    ],
)
def test_keras_runs_on_what_is_there_and_says_so(named: Any, installed: tuple[str, ...], expected: list[str], monkeypatch: Any) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", only(*installed))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if named:
        monkeypatch.setenv("KERAS_BACKEND", named)
    assert usual.usual() == expected
    why = "KERAS_BACKEND says so" if named else "TensorFlow is not installed here"
    stand_in = f"Keras runs on {info(expected[1]).library} in this run ({expected[1]}), because {why}."
    assert usual.stand_in(expected) == ("" if expected[1] == "keras" else stand_in)


@pytest.mark.parametrize(
    ("backend", "installed", "package"),
    [("keras-jax", ("keras", "torch"), "jax"), ("keras", ("keras", "jax"), "tensorflow"), ("torch", ("jax",), "torch")],
)
def test_a_missing_package_is_one_sentence(backend: str, installed: tuple[str, ...], package: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", only(*installed))
    assert lacking(backend) == package
    with pytest.raises(BackendError, match=f"--backend={backend} needs the package {package}, which is not installed here"):
        named(backend)


def parameters(function: Callable[..., object]) -> list[str]:
    """The names of what a function or a class takes, without `self`."""
    return [name for name in inspect.signature(function).parameters if name != "self"]


@pytest.mark.parametrize("backend", ["torch", "keras", "numpy"])
def test_a_package_offers_the_protocol_as_it_is_declared(backend: str) -> None:
    """A type checker holds the packages that are here; this holds any, in the process that runs it."""
    offered = backend_module(backend)
    trained = offered.EpochNetwork, offered.MemoryNetwork
    for protocol, thing in ((Backend, offered), (Network, offered.Network), *((EpochNetwork, each) for each in trained)):
        for name, member in vars(protocol).items():
            if inspect.isfunction(member) and not name.startswith("_"):
                assert parameters(getattr(thing, name)) == parameters(member), f"{name} of {backend}"
    for build, thing in ((Build, offered.Network), *((BuildForEpochs, each) for each in trained)):
        assert set(parameters(thing)) == set(parameters(build.__call__)), f"{thing} of {backend}"


def test_a_type_checker_holds_every_package_against_the_protocol() -> None:
    held = re.findall(r": Backend = (\w+)$", Path(registry.__file__).read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert {f"models.backends.{name}" for name in held} == {row.module for row in BACKENDS.values()}


def test_a_column_runs_on_its_own_library_whatever_the_user_s_variable_says(monkeypatch: Any) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    seen = {backend: environment(backend, "cpu")["KERAS_BACKEND"] for backend in ("keras", "keras-jax", "keras-torch")}
    assert seen == {"keras": "tensorflow", "keras-jax": "jax", "keras-torch": "torch"}


@pytest.mark.parametrize("backend", OTHERS)
def test_two_libraries_are_judged_side_by_side(backend: str, tmp_path: Path) -> None:
    chosen = [f"--backend=keras,{backend}", "--network=depth=2", "--seeds=1", "--deterministic", f"--record-dir={tmp_path}"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *chosen]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    record = read(tmp_path / "latest.json")
    assert record.backends == ["keras", backend]
    assert list(record.versions[backend])[:2] == ["keras", info(backend).library]
    assert len({name for name, megabytes in record.peak_memory_mb.items() if megabytes}) >= 4, "judge, two workers, and together"
    checks = [{verdict.check for verdict in record.verdicts if verdict.backend == name} for name in record.backends]
    assert checks[0] == checks[1] >= {"reproducible", "gradient_parity", "update", "backward_gain", "training"}
    assert record.environment["deterministic kernels"] == "asked for"


@pytest.mark.parametrize("backend", OTHERS)
def test_norms_of_vanishing_gradients_are_seen_on_every_library(backend: str) -> None:
    spec, data = Spec.parse("depth=8,init=small_normal"), load()
    norms = []
    for name in ("keras", backend):
        worker = Worker(name)
        job = Job(name, spec, trainings=trainings(spec, data, [0]), x_test=data.x_test, labels_test=data.y_test)
        free = job.trainings[0]
        free.places, free.schedule = free.places[:3], free.schedule[:3]
        norms.append(worker.call("observe", Observation, job=job).trainings[0].gradient_norms)
        worker.close()
    assert 0 < norms[0].min() < 1e-8
    np.testing.assert_allclose(norms[1], norms[0], rtol=1e-4)
