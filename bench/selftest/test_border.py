"""Left of `Observation` frameworks exist, right of it nothing imports one; and workers survive what frameworks do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from bench.evidence.pool import ObservationPool
from fixtures.data.datasets import load
from models.observation import ForcedStep, Job, Observation, Training
from models.own.address import OwnModel
from models.own.observation import OwnJob
from models.spec import Spec
from models.worker import messages
from models.worker.process import Worker, WorkerDied, WorkerError, WorkerHung
from models.worker.watchdog import longest

ROOT = Path(__file__).resolve().parents[2]
FRAMEWORKS = ("torch", "torchvision", "tensorflow", "keras", "jax")


def test_judges_and_command_line_import_no_framework() -> None:
    code = f"""
import sys
import tomllib
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {FRAMEWORKS!r}:
            raise AssertionError(f"{{name}} imported")
sys.meta_path.insert(0, Refuse())
import pkgutil, importlib, bench, fixtures
for package in (bench, fixtures):
    for module in pkgutil.walk_packages(package.__path__, f"{{package.__name__}}."):
        if not any(part in module.name for part in ("selftest", "__main__", ".test_")):
            importlib.import_module(module.name)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_package_has_its_layer() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = [name for layer in settings["contracts"][0]["layers"] for name in layer.strip("()").replace(" ", "").split("|")]
    for package in settings["root_packages"]:
        for path in (ROOT / package).iterdir():
            name = f"{package}.{path.stem}"
            if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").exists():
                assert any(layer == name or layer.startswith(f"{name}.") for layer in layers), f"{name} is in no layer of pyproject.toml"


def test_arrays_and_dataclasses_travel_unchanged() -> None:
    job = Job(
        "torch",
        Spec.of(depth=4),
        forced_steps=[ForcedStep({"dense1.weight": np.arange(6, dtype=np.float32).reshape(2, 3)}, np.eye(2), np.array([1, 0]))],
    )
    back = messages.as_kind(messages.decode(messages.encode(job)), Job)
    assert back.spec == job.spec
    np.testing.assert_array_equal(back.forced_steps[0].weights["dense1.weight"], job.forced_steps[0].weights["dense1.weight"])
    assert back.forced_steps[0].weights["dense1.weight"].dtype == np.float32
    with pytest.raises(TypeError, match="does not travel"):
        messages.encode({"a": object()})


def test_an_array_that_a_message_holds_twice_travels_once() -> None:
    x, other = np.arange(1000.0), np.arange(1000.0)
    once, twice = (messages.encode([x, other, *more]) for more in ([], [x, {"x": x}, other]))
    assert len(twice) < len(once) + 100
    back = messages.decode(twice)
    for place, array in enumerate((x, other, x, back[3]["x"], other)):
        np.testing.assert_array_equal(array, back[place] if place != 3 else x)
    assert back[0] is back[2] is back[3]["x"] and back[1] is back[4] is not back[0]


@pytest.fixture(scope="module")
def worker() -> Any:
    started = Worker("torch")
    yield started
    started.close()


def test_a_failure_in_the_worker_is_its_own_words_and_the_worker_lives_on(worker: Worker) -> None:
    with pytest.raises(WorkerError, match="depth=1 must be"):
        worker.call("observe", Observation, job={"backend": "torch", "spec": {"arch": {"family": "mlp", "depth": 1}}})
    assert "torch" in worker.call("versions")


def test_a_killed_worker_is_a_finding_with_its_signal() -> None:
    doomed = Worker("torch")
    doomed._process.kill()
    with pytest.raises(WorkerDied, match="SIGKILL"):
        doomed.call("versions")
    doomed.close()


def test_a_worker_that_is_stopped_is_killed_and_told_and_its_successor_answers(monkeypatch: Any) -> None:
    pool = ObservationPool(load(), device="cpu", threads=1, seeds=[0])
    monkeypatch.setattr(pool, "start", lambda backend: Worker(backend, silent=3.0))
    first, spec = pool.get("torch"), Spec.of(depth=2)
    first.call("versions")
    os.kill(first.pid, signal.SIGSTOP)
    with pytest.raises(
        WorkerHung, match=r"torch worker hung for \d+ s without using a processor in observe_seeds \(depth=2\) and was killed"
    ):
        pool.run("torch", spec)
    with pytest.raises(WorkerHung):
        pool.run("torch", spec)  # not waited for again
    assert pool.run("torch", Spec.of(depth=3)).seen.versions["torch"]
    assert pool.get("torch").pid != first.pid
    pool.close()


def test_a_worker_that_works_for_ever_is_killed_at_its_deadline() -> None:
    worker = Worker("torch", deadline=20.0)
    data = load()
    given = {"mode": "", "device": "cpu", "x": data.x_train[:64], "labels": data.y_train[:64]}
    worker.call("prepare", name="a case", spec="depth=2", **given)
    worker._deadline = 2.0
    with pytest.raises(WorkerHung, match=r"torch worker took more than 2 s of a processor in block \(a case\) and was killed"):
        worker.call("block", name="a case", steps=10**9)
    assert not worker.alive
    worker.close()


def test_a_task_may_last_as_long_as_its_training() -> None:
    places = np.zeros((2000, 1), int)
    long = Job("torch", Spec.of(depth=2), trainings=[Training(0, {}, np.zeros((1, 1)), np.zeros(1, int), places, np.ones(2000))])
    assert longest({"jobs": [long, long]}) == 2 * longest(long) == 4000
    assert longest({}) == longest(Job("torch", Spec.of(depth=2))) == 600
    assert longest({"own": OwnJob(OwnModel("net", "gauge", "net", ""))}) == 3600


def test_closing_leaves_no_process_behind() -> None:
    worker = Worker("torch")
    pending = worker.submit("versions")
    worker.close()
    assert worker._process.poll() is not None
    with pytest.raises((WorkerDied, CancelledError)):
        pending.result(timeout=5)


def test_an_interrupt_while_a_worker_starts_leaves_no_process_behind(monkeypatch: Any) -> None:
    """Popen waits for the new program to begin, which takes long on a busy machine, and is then interrupted inside."""
    begun, popen = [], subprocess.Popen

    def interrupted(*words: Any, **options: Any) -> subprocess.Popen[bytes]:
        begun.append(popen(*words, **options))
        os.kill(os.getpid(), signal.SIGINT)
        return begun[0]

    monkeypatch.setattr("models.worker.process.subprocess.Popen", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Worker("numpy")
    assert begun[0].poll() is not None
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_worker_that_works_for_ever_ends_with_a_judge_that_is_killed() -> None:
    code = """
from fixtures.data.datasets import load
from models.worker.process import Worker
worker, data = Worker("numpy"), load()
given = {"mode": "", "device": "cpu", "x": data.x_train[:64], "labels": data.y_train[:64]}
worker.call("prepare", name="a case", spec="depth=2", **given)
worker.submit("block", name="a case", steps=10**9)
print(worker.pid, flush=True)
input()
"""
    judge = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert judge.stdout is not None
    worker = psutil.Process(int(judge.stdout.readline()))
    judge.kill()
    judge.communicate()
    worker.wait(timeout=10)
