"""The script for a GPU machine goes on where it was cut off, ends what takes too long, and says what did not run."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

from bench.selftest import device_faults
from bench.selftest.faults import FAULTS

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / ".ci" / "gpu"


@pytest.fixture(scope="module")
def script() -> Any:
    loader = SourceFileLoader("ci_gpu", str(SCRIPT))
    module = module_from_spec(spec_from_loader("ci_gpu", loader))
    sys.modules["ci_gpu"] = module  # where dataclasses look for their module
    loader.exec_module(module)
    return module


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], cwd=ROOT, capture_output=True, text=True)


def test_a_stage_that_ended_is_not_repeated(tmp_path: Path) -> None:
    words = "--device=cpu", "--backend=numpy", "--only=doctor", f"--out={tmp_path}"
    first = run(*words)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "doctor       green" in (tmp_path / "table.txt").read_text()
    assert "Fit for a run." in first.stdout
    written = (tmp_path / "doctor.log").stat().st_mtime_ns
    again = run(*words)
    assert "doctor       green" in again.stdout
    assert (tmp_path / "doctor.log").stat().st_mtime_ns == written


def test_what_found_no_time_is_told_and_runs_the_next_time(tmp_path: Path) -> None:
    done = run("--device=cpu", "--backend=numpy", "--only=doctor,smoke", f"--out={tmp_path}", "--seconds=1")
    assert done.returncode == 1
    assert (tmp_path / "table.txt").read_text().count("did not run") == 2


def test_a_stage_whose_time_is_up_is_ended_with_all_that_it_began(tmp_path: Path, script: Any) -> None:
    stage = script.Stage("slow", 1.0, ("-c", "import time; print('begun', flush=True); time.sleep(60)"))
    result = script.run(stage, 1.0, tmp_path, dict(os.environ))
    assert (result.status, result.line) == (124, "begun")
    assert "time was up" in script.table([stage], {"slow": result})
    assert script.read(tmp_path / "results.json") == {}


def test_a_status_is_right_where_it_is_the_expected_one(script: Any) -> None:
    stage = script.Stage("planted", 1.0, (), right=10)
    assert "green" in script.table([stage], {"planted": script.Result("planted", 10, 1.0, "slower")})
    assert "status 0" in script.table([stage], {"planted": script.Result("planted", 0, 1.0, "same")})


def test_every_stage_is_a_command_that_takes_its_options(script: Any, tmp_path: Path) -> None:
    planned = script.stages("cuda", ["torch", "keras-jax"], tmp_path)
    assert {"doctor", "smoke", "precision", "faults", "equalities", "determinism", "step-times", "duet-planted", "overhead", "spread"} <= {
        stage.name for stage in planned
    }
    assert any("precision=tf32" in word for stage in planned for word in stage.words)
    assert not any("tf32" in word for stage in script.stages("cpu", ["torch"], tmp_path) for word in stage.words)
    for stage in planned:
        for path in (word for word in stage.words if word.startswith("bench/")):
            assert (ROOT / path).exists()


def test_ten_faults_and_more_of_every_part_are_planted_on_a_device() -> None:
    faults = device_faults.chosen("torch", 12)
    assert len({fault.name for fault in faults}) == 12
    assert len({part for part, rows in FAULTS["torch"].items() if set(rows) & set(faults)}) >= 8
    assert not any(fault.trains for fault in faults)


def test_faults_on_a_device_that_is_not_there_are_one_sentence(capsys: Any) -> None:
    assert device_faults.main(["--device=gpu"]) == 14
    assert "--device=gpu is not known" in capsys.readouterr().err
