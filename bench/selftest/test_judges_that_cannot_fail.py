"""The ways in which a judge silently passes everything, each tried on this suite's own judges with a real run in hand."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from bench.checks import CHECKS
from bench.evidence.evidence import Evidence
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.verdict import FAILED, NOT_JUDGED, PASSED, Verdict, judge
from bench.selftest.kills import seen, verdicts

ROOT = Path(__file__).resolve().parents[2]
NETWORK = "depth=4,width=16"


@cache
def _healthy() -> Evidence:
    return seen("torch", NETWORK, trains=False)


@pytest.fixture
def run() -> Evidence:
    """A healthy run that a test may spoil."""
    return copy.deepcopy(_healthy())


def verdict(check: str, run: Evidence) -> Verdict:
    return judge(CHECKS[check], run)


def test_the_run_is_healthy_before_it_is_spoilt(run: Evidence) -> None:
    assert {v.status for v in verdicts(run).values()} == {PASSED}


def test_a_difference_that_is_nan_is_not_small(run: Evidence) -> None:
    run.seen.forced_steps[0].gradients["dense2.weight"][0, 0] = np.nan
    assert verdict("gradient_parity", run).status == FAILED


def test_a_metric_that_vanished_is_missed(run: Evidence) -> None:
    del run.seen.forced_steps[1].gradients["dense2.bias"]
    with pytest.raises(AssertionError, match=r"2\.bias"):
        verdict("gradient_parity", run)


def test_a_weight_that_vanished_is_missed(run: Evidence) -> None:
    del run.seen.forced_steps[1].weights["dense2.bias"]
    with pytest.raises(AssertionError, match=r"2\.bias"):
        verdict("update", run)


def test_nan_on_both_sides_is_not_equal(run: Evidence) -> None:
    assert run.seen.shared
    run.seen.shared.pre_activations["dense2"][:] = np.nan
    run.reference.exact[0].pre_activations["dense2"][:] = np.nan
    assert verdict("forward_parity", run).status in (FAILED, NOT_JUDGED)
    assert verdict("finite", run).status == FAILED


def test_no_tolerance_admits_a_number_that_is_off_by_its_own_size(run: Evidence) -> None:
    for name in ("forward_parity", "gradient_parity", "update", "sum_rules", "homogeneity"):
        for finding in verdict(name, run).findings:
            assert finding.high < 0.1, f"{name} {finding.where} may be off by {finding.high:.0%}"


def test_rounding_that_would_excuse_anything_is_not_judged(run: Evidence) -> None:
    for near in run.reference.rounded[0]:
        near.gradients["dense2.weight"] = near.gradients["dense2.weight"] * 2
    assert verdict("gradient_parity", run).status == NOT_JUDGED


@pytest.mark.parametrize("step", [0, 1, 2])
def test_an_error_in_any_step_is_seen_not_only_in_the_last(run: Evidence, step: int) -> None:
    run.seen.forced_steps[step].gradients["dense2.weight"] *= 1.001
    found = verdict("gradient_parity", run)
    assert [f.where for f in found.findings if not f.within] == [f"step {step} layer  2 weight"]


def test_a_tolerance_does_not_grow_with_the_number_of_elements() -> None:
    bounds = {}
    for width in (16, 64):
        found = judge(CHECKS["gradient_parity"], seen("torch", f"depth=4,width={width}", trains=False))
        bounds[width] = np.median([f.high for f in found.findings if f.where.endswith("weight")])
    assert bounds[64] < 3 * bounds[16], "16 times the elements; rounding of a sum grows with the root of its terms"


@pytest.mark.parametrize(
    "network", ["skip=two,depth=6", "skip=two,skip_order=pre,norm=layer,depth=6", "bottleneck=4,skip=two,skip_order=pre,depth=6"]
)
def test_no_bound_is_lost_inside_blocks(network: str) -> None:
    for name, found in verdicts(seen("torch", network, trains=False)).items():
        unbound = [f.where for f in found.findings if not np.isfinite([f.low, f.high]).all()]
        assert not unbound, f"{name} judges {unbound} against nothing"


def test_the_largest_of_errors_does_not_swallow_nan() -> None:
    findings = [Finding(Place("a"), 0.1, 0, 1), Finding(Place("b"), float("nan"), 0, 1), Finding(Place("c"), 0.2, 0, 1)]
    for order in ((0, 1, 2), (1, 0, 2), (2, 0, 1)):
        chosen = [findings[place] for place in order]
        found = Verdict("", "", "", "", "", FAILED, findings=chosen)
        assert found.worst is findings[1]


def test_an_oracle_that_overflows_passes_nobody(run: Evidence) -> None:
    run.reference.exact[0].gradients["dense2.weight"][:] = np.inf
    run.seen.forced_steps[0].gradients["dense2.weight"][:] = np.inf
    assert verdict("gradient_parity", run).status in (FAILED, NOT_JUDGED)
    assert verdict("finite", run).status == FAILED


def test_a_missing_step_is_not_a_short_comparison(run: Evidence) -> None:
    run.seen.forced_steps.pop()
    with pytest.raises(ValueError, match="zip"):
        verdict("gradient_parity", run)


def _pytest(
    tmp_path: Path, *words: str, network: str = NETWORK, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--record-dir={tmp_path}", f"--network={network}", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)


def test_a_run_that_selects_no_test_or_only_declines_is_red(tmp_path: Path) -> None:
    assert _pytest(tmp_path, "bench/test_parity.py", "-k", "nothing_is_called_so").returncode == pytest.ExitCode.NO_TESTS_COLLECTED
    words = ["--backend=keras", "bench/test_itself.py", "-k", "clipping"]
    done = _pytest(tmp_path, *words, network="clip=global,optimizer=adam")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "1 not judged" in done.stdout
    assert "This run judged nothing, so it fails" in done.stdout


def test_a_crash_does_not_leave_the_last_run_to_be_read_as_this_one(tmp_path: Path) -> None:
    (tmp_path / "latest.json").write_text(json.dumps({"schema": 1, "verdicts": ["of yesterday"]}))
    crashing = tmp_path / "crashing.py"
    crashing.write_text("import os, models.backends.torch.network as m\nm.Network.step = lambda *a: os._exit(7)\n")
    done = _pytest(tmp_path, "--backend=torch", "bench/test_itself.py", environment=_crashing_worker(tmp_path, crashing))
    assert done.returncode != 0
    assert "exited with status 7" in done.stdout
    assert "of yesterday" not in (tmp_path / "latest.json").read_text()


def _crashing_worker(folder: Path, module: Path) -> dict[str, str]:
    """An environment in which every Python process that imports models.backends.torch.network loses its step: through sitecustomize."""
    (folder / "sitecustomize.py").write_text(
        "import sys\nif 'models.worker.server' in sys.orig_argv:\n    sys.path.insert(0, '.')\n    exec(open("
        + repr(str(module))
        + ").read())\n"
    )
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))}


def test_fields_of_an_observation_are_all_judged_by_someone() -> None:
    names = {field.name for field in dataclasses.fields(_healthy().seen)}
    judged = {"native", "shared", "forced_steps", "relations", "scaled", "evaluation", "repeated", "trainings"}
    facts = {"backend", "device", "versions", "fused"}  # what was asked, of which releases, and how it was compiled
    assert names == judged | facts, "say which check judges the new field"
