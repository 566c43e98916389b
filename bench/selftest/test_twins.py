"""No false alarm on a made-up GPU, however it multiplies and sums, and planted faults are seen on it; TF32 that is not TF32 is red."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.checks import invariants
from bench.checks.precision import COARSE, _share_of_tf32
from bench.judging.verdict import FAILED, Verdict
from bench.selftest import twin_grid
from bench.selftest.kills import catchers, seen, verdicts
from bench.selftest.twins import TWINS, compiling_as_on_a_gpu, multiplying

ROOT = Path(__file__).resolve().parents[2]
QUICK = {
    "float32 split in four": ("reference",),
    "float32 one by one": ("depth=4,norm=batch",),
    "TF32 to nearest": ("precision=tf32",),
    "TF32 cut": ("precision=tf32", "precision=tf32,skip=two"),
    "TF32 cut, sums cut": (
        "precision=tf32", "depth=4,init=orthogonal,precision=tf32", "depth=4,skip=two,skip_order=pre,branch=zero,precision=tf32",
    ),
}  # fmt: skip
"""One network or two a twin, for every run of the self-tests; cut operands turned gradients of skip connections most."""
COMPILED_QUICK = "depth=2,norm=layer,norm_at=after"


def green(found: dict[str, Verdict]) -> None:
    assert {name: str(verdict.worst) for name, verdict in found.items() if verdict.status == FAILED} == {}
    assert any(verdict.judged for verdict in found.values())


@pytest.mark.parametrize(("name", "network"), [(name, network) for name, networks in QUICK.items() for network in networks])
def test_no_check_is_red(name: str, network: str) -> None:
    with multiplying(TWINS[name]):
        run = seen("torch", network, trains=False)
    green(verdicts(run))


@pytest.mark.slow
@pytest.mark.parametrize("backend", twin_grid.BACKENDS_WITH_TWINS)
def test_nothing_healthy_is_red_and_no_fault_is_missed_on_any_twin(backend: str) -> None:
    """In a process of its own, whose Keras has the right library."""
    words = "-m", "bench", "twins", f"--backend={backend}", "--check"
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_committed_grid_is_of_what_there_is_and_nothing_in_it_is_wrong() -> None:
    rows = twin_grid.read()
    known = {cell for backend in twin_grid.BACKENDS_WITH_TWINS for cell in twin_grid.cells(backend)}
    assert {row.cell for row in rows} <= known
    assert [row.cell for row in rows if row.wrong] == []
    assert all(row.judged and bool(row.red) == (row.kind == "fault") for row in rows)
    assert {row.twin for row in rows} >= {*twin_grid.MULTIPLYING, twin_grid.COMPILED}, "a twin without a row"


def test_the_readme_shows_the_committed_grid() -> None:
    assert twin_grid.summary(twin_grid.read()) in (ROOT / "bench" / "selftest" / "README.md").read_text(encoding="utf-8")


def test_a_red_row_says_what_and_a_missed_fault_by_which_check() -> None:
    rows = [
        twin_grid.Row("torch", "TF32 cut", "network", "reference", 1000, 0.0, "gradient_parity", "gradient_parity: far"),
        twin_grid.Row("torch", "TF32 cut", "fault", "a sign", 100, 0.0, "update", "missed by gradient_parity"),
    ]
    assert "| torch, TF32 cut | 1 | 0 | 1,000 | 0% | 1 | 1 | 0 |" in twin_grid.summary(rows)


def test_products_of_twins_are_what_they_are_said_to_be() -> None:
    """Each differs from float64 by what its operands and sums lose, and a cut one towards zero."""
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand(32, 64, generator=generator), torch.rand(64, 32, generator=generator)
    exact = a.double() @ b.double()
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("high")
        off = {name: ((twin.product(a, b).double() - exact) / exact).numpy() for name, twin in TWINS.items()}
    finally:
        torch.set_float32_matmul_precision(before)
    size = {name: float(np.sqrt(np.mean(values**2))) for name, values in off.items()}
    assert max(size[name] for name in ("float32 split in four", "float32 one by one", "no TF32")) < 2**-21
    assert 2**-14 > size["TF32 to nearest"] > 2**-17
    assert 2**-10 > size["TF32 cut"] > 2**-12
    assert (off["TF32 cut, sums cut"] < 0).all()
    assert off["TF32 cut, sums cut"].mean() < off["TF32 cut"].mean() < 0


def test_a_device_without_tf32_is_red_where_tf32_was_asked() -> None:
    with multiplying(TWINS["no TF32"]):
        run = seen("torch", "precision=tf32", trains=False)
    assert catchers(verdicts(run)) == ["precision"]
    assert _share_of_tf32(run) < COARSE / 30


def test_a_device_without_tf32_is_red_where_branches_begin_at_zero() -> None:
    with multiplying(TWINS["no TF32"]):
        run = seen("torch", "depth=4,skip=two,skip_order=pre,branch=zero,precision=tf32", trains=False)
    assert catchers(verdicts(run)) == ["precision"]


def test_what_tf32_may_cut_off_does_not_hide_a_start_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    drawn = torch.nn.init.orthogonal_
    monkeypatch.setattr(torch.nn.init, "orthogonal_", lambda w, *given, **named: drawn(w, *given, **named).data.mul_(1.01))
    with multiplying(TWINS["TF32 cut, sums cut"]):
        run = seen("torch", "depth=4,init=orthogonal,precision=tf32", trains=False)
    assert "signal_gain" in catchers(verdicts(run))


def test_a_lost_gradient_is_seen_through_tf32() -> None:
    fault = twin_grid.faults_on("torch", "TF32 cut")[0]
    row = twin_grid.judge("torch", "TF32 cut", "fault", fault.name)
    assert (row.wrong, fault.check in row.red.split()) == ("", True)


def test_a_step_that_is_compiled_as_beside_a_gpu_says_so_and_is_judged_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras compiles by XLA where TensorFlow lists a GPU: its steps then round on their own."""
    with compiling_as_on_a_gpu():
        run = seen("keras", COMPILED_QUICK, trains=False)
    assert (run.step, run.apart) == ("fused", True)
    green(verdicts(run))
    whole = verdicts(run)["sum_rules"]
    monkeypatch.setattr(invariants, "may_turn", lambda *_: True)
    turned = verdicts(run)["sum_rules"]
    assert "within rounding of its kink" in turned.reason and 0 < len(turned.findings) < len(whole.findings)
    assert seen("keras", "depth=2", trains=False).step == "compiled"
