"""A run spread over processes judges what one judges; workers take turns on devices; timing has its device alone; skips are no success."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.report.record_file import read
from fixtures.machine import gpu_lock, nvidia_driver
from fixtures.machine.gpu_lock import Busy, GpuLock
from fixtures.plugin import xdist_support
from models.worker import devices
from models.worker.devices import DeviceError

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str, record: Path, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--backend=torch", f"--record-dir={record}", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True)


def test_two_processes_judge_what_one_does_and_leave_times_out(tmp_path: Path) -> None:
    done = run("-n", "2", "--seeds=1", "--network=depth=2", "--network=init=default,depth=2", record=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert xdist_support.LEFT_OUT in done.stdout
    record = read(tmp_path / "latest.json")
    assert {verdict.subject for verdict in record.verdicts} == {"depth=2", "depth=2,init=default"}
    assert all("@" not in verdict.rerun for verdict in record.verdicts)
    assert "torch" in record.versions["torch"]
    assert record.peak_memory_mb["torch"] > 0
    assert not record.timings


def test_a_network_and_the_equalities_of_a_backend_stay_with_one_process(tmp_path: Path) -> None:
    networks = [f"--network=depth=2,width={width}" for width in (4, 5, 6, 7)]
    done = run("-n", "2", "-v", "-k", "parity or finite or sum_rules", "--seeds=1", *networks, record=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    where: dict[str, set[str]] = {}
    for process, width in re.findall(r"^\[(gw\d+)\].*-depth=2,width=(\d)\]", done.stdout, re.MULTILINE):
        where.setdefault(width, set()).add(process)
    assert len(where) == 4 and all(len(processes) == 1 for processes in where.values()), where
    assert len(set.union(*where.values())) == 2, "both processes work"


def test_what_several_processes_recorded_is_what_one_records(tmp_path: Path) -> None:
    """Every worker sends its samples, and one process writes them. It runs in copies of the suite, whose recordings stay as they are."""
    files = []
    for name, spread in (("one", ()), ("several", ("-n", "2"))):
        for part in ("bench", "models", "fixtures", "baselines"):
            shutil.copytree(ROOT / part, tmp_path / name / part, ignore=shutil.ignore_patterns("__pycache__", "selftest", "experiments"))
        for part in ("conftest.py", "pyproject.toml"):
            shutil.copy(ROOT / part, tmp_path / name)
        networks = "--network=depth=2,width=32", "--network=depth=3,width=32", "bench/test_training.py"
        done = run(*spread, *networks, "--seeds=3", "--update-baselines=why", record=tmp_path, root=tmp_path / name)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "digits/depth=2,width=32/accuracy: (none) →" in done.stdout
        recorded = max((tmp_path / name / "baselines").glob("torch-cpu*.json"), key=lambda path: path.stat().st_mtime)
        files.append(msgspec.json.decode(recorded.read_bytes()))
    one, several = files
    assert one["samples"] == several["samples"] and one["seeds"] == several["seeds"]
    assert several["recordings"][-1]["networks"] == 2


def test_a_run_in_which_all_was_skipped_fails(tmp_path: Path) -> None:
    done = run("--network=depth=2", "bench/test_step_time.py", record=tmp_path)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "Every test of this run was skipped, so it fails" in done.stdout


@pytest.mark.parametrize(
    ("named", "device", "shown"),
    [
        (None, "cuda:1", "1"),
        ("4,7", "cuda:1", "7"),
        ("GPU-a,GPU-b", "cuda:0", "GPU-a"),
        ("2", "cpu", ""),
        (None, "cuda", "0"),
        ("4,7", "cuda", "4"),
    ],
)
def test_a_worker_sees_its_own_device_alone(named: str | None, device: str, shown: str, monkeypatch: Any) -> None:
    _show(named, monkeypatch)
    assert devices.variables(device)[devices.VISIBLE] == shown
    assert devices.kind(device) in ("cpu", "cuda")
    _show("", monkeypatch)
    assert devices.VISIBLE not in devices.variables("cuda"), "what hides every GPU is left for the doctor to name"


def test_a_device_beyond_the_visible_ones_is_one_sentence(monkeypatch: Any) -> None:
    _show("4,7", monkeypatch)
    with pytest.raises(DeviceError, match="cuda:2 was asked for, but CUDA_VISIBLE_DEVICES shows 2"):
        devices.variables("cuda:2")


def test_what_the_user_set_is_left_alone(monkeypatch: Any) -> None:
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "false")
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=x")
    asked = devices.variables("cuda", deterministic=True)
    assert asked["TF_FORCE_GPU_ALLOW_GROWTH"] == "false"
    assert asked["XLA_FLAGS"] == "--xla_dump_to=x --xla_gpu_deterministic_ops=true"
    assert asked["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


@pytest.mark.parametrize(("named", "gpus"), [("4,7", 2), ("", 1), (None, 3)])
def test_workers_take_turns_on_the_visible_devices(named: str | None, gpus: int, monkeypatch: Any) -> None:
    gpu = nvidia_driver.Gpu("H200", "GPU-a", 140000, 140000, (9, 0))
    monkeypatch.setattr(nvidia_driver, "ask", lambda: nvidia_driver.Driver("580.1", (13, 0), (gpu,) * 3))
    _show(named, monkeypatch)
    assert xdist_support.count() == gpus
    assert [xdist_support.device_of(f"gw{n}", 3) for n in range(4)] == ["cuda:0", "cuda:1", "cuda:2", "cuda:0"]


def test_judging_shares_a_device_and_timing_has_it_alone(tmp_path: Path) -> None:
    one, other, clock = (GpuLock("cuda:0", tmp_path) for _ in range(3))
    one.shared()
    other.shared(wait=0.1)
    with pytest.raises(Busy, match="Another run has held cuda:0"):
        clock.alone(wait=0.1)
    other.end()
    one.alone(wait=0.1)  # lets go of its own share first
    with pytest.raises(Busy):
        other.shared(wait=0.1)
    GpuLock("cuda:1", tmp_path).alone(wait=0.1)
    one.end()
    clock.alone(wait=0.1)
    clock.end()


def test_a_device_is_the_same_whatever_a_process_calls_it(monkeypatch: Any) -> None:
    gpus = tuple(nvidia_driver.Gpu("H200", uuid, 140000, 140000, (9, 0)) for uuid in ("GPU-a", "GPU-b"))
    monkeypatch.setattr(nvidia_driver, "ask", lambda: nvidia_driver.Driver("580.1", (13, 0), gpus))
    _show(None, monkeypatch)
    assert gpu_lock.identity("cuda:1") == "GPU-b"
    _show("1", monkeypatch)
    assert gpu_lock.identity("cuda") == gpu_lock.identity("cuda:0") == "GPU-b"
    _show("GPU-b", monkeypatch)
    assert gpu_lock.identity("cuda") == "GPU-b"


def _show(named: str | None, monkeypatch: Any) -> None:
    monkeypatch.delenv(devices.VISIBLE, raising=False)
    if named is not None:
        monkeypatch.setenv(devices.VISIBLE, named)
