"""The reference as a backend: the whole pipeline without any framework, and what it lacks is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.backends.registry import Absent, BackendError, backend_module
from models.spec import Spec

ROOT = Path(__file__).resolve().parents[2]
ABSENT = """
from importlib.machinery import PathFinder
found = PathFinder.find_spec
def find_spec(cls, name, path=None, target=None):
    return None if name.partition(".")[0] in ("torch", "torchvision", "keras", "tensorflow", "jax") else found(name, path, target)
PathFinder.find_spec = classmethod(find_spec)
"""


DEEPER = "--network=norm=batch,skip=two,skip_order=pre,optimizer=adam,depth=8"


@pytest.mark.parametrize("words", [["--cases=smoke"], [DEEPER], ["bench/test_equalities.py"]])
def test_the_whole_pipeline_runs_without_a_framework(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(ABSENT, encoding="utf-8")
    variables = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--backend=numpy", f"--record-dir={tmp_path}", *words]
    refused = subprocess.run([*command, "--backend=torch"], cwd=ROOT, env=variables, capture_output=True, text=True)
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "--backend=torch needs the package torch, which is not installed here" in refused.stderr + refused.stdout
    record = json.loads((tmp_path / "latest.json").read_text(encoding="utf-8"))
    statuses = {verdict["check"]: verdict["status"] for verdict in record["verdicts"]}
    reasons = {verdict["reason"] for verdict in record["verdicts"] if verdict["status"] == "not applicable"}
    if words == ["--cases=smoke"]:
        assert [timing["backend"] for timing in record["timings"]] == ["numpy"]
    if "equalities" in words[0]:
        passed = {verdict["subject"] for verdict in record["verdicts"] if verdict["status"] == "passed"}
        assert {"micro_batches", "micro_batches_schedule", "duplicated_batch", "extreme_gradients"} <= passed
        assert any(reason.startswith("numpy has no scenario named freeze") for reason in reasons)
    else:
        assert {statuses[name] for name in ("forward_parity", "gradient_parity", "update", "evaluation", "signal_gain")} == {"passed"}
        assert statuses["training"] == "no baseline"


def test_what_it_lacks_is_said() -> None:
    build = backend_module("numpy").Network
    with pytest.raises(Absent, match="no mixed precision"):
        build(Spec(precision="mixed_bfloat16"))
    with pytest.raises(Absent, match="no randomized slopes"):
        build(Spec.of(act="rrelu"))
    with pytest.raises(BackendError, match="use --device=cpu"):
        build(Spec(), device="cuda")
