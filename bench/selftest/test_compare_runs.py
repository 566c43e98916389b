"""Two real runs, the second with a fault planted into PyTorch: the comparison names framework, check and layer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from bench.exit_status import Status

ROOT = Path(__file__).resolve().parents[2]
FAULT = """
import sys
if "models.worker.server" in sys.orig_argv:
    import torch
    true = torch.nn.functional.layer_norm
    def layer_norm(x, shape, weight=None, bias=None, eps=1e-5):
        return true(x, shape, weight, bias, 0.01)
    torch.nn.functional.layer_norm = layer_norm
"""
"""Layer normalization with another epsilon, planted where the worker's interpreter starts."""


def trained(record: Path, fault: str = "") -> Path:
    """The record of one small network, with a fault in the worker if there is one."""
    record.mkdir()
    (record / "sitecustomize.py").write_text(fault)
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--backend=torch", "--network=depth=4,norm=layer", "--seeds=2"]
    subprocess.run([*words, f"--record-dir={record}"], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(record)}, capture_output=True)
    return record / "latest.json"


def compared(old: Path, new: Path) -> tuple[int, dict]:
    words = [sys.executable, "-m", "bench.compare", str(old), str(new), "--format=json"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    return done.returncode, json.loads(done.stdout)


def test_a_fault_in_the_newer_framework_is_named_and_its_absence_is_silent(tmp_path: Path) -> None:
    healthy, again = trained(tmp_path / "healthy"), trained(tmp_path / "again")
    broken = trained(tmp_path / "broken", FAULT)
    status, told = compared(healthy, broken)
    assert status == Status.WORSE
    worse = [(c["backend"], c["subject"], c["metric"]) for c in told["changes"] if c["verdict"] == "worse"]
    assert "gradient_parity" in {metric for *_, metric in worse}
    assert {(backend, network) for backend, network, _ in worse} == {("torch", "depth=4,norm=layer")}
    assert compared(healthy, again)[0] == Status.SAME
