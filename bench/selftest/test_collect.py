"""What a check needs is all that it reads, and nothing else is asked of a backend."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.checks import CHECKS, applies
from bench.evidence.collect import Request
from bench.evidence.pool import ObservationPool
from bench.judging.check import Need
from bench.judging.verdict import Verdict, judge
from bench.report import record_file, summary
from bench.report.record import NotApplicable
from bench.selftest.kills import data, seen
from models.spec import Spec

ROOT = Path(__file__).resolve().parents[2]
NETWORKS = ("depth=8,width=16,batch=16", "depth=4,width=16,norm=batch,clip=global,precision=mixed_float16", "depth=8,width=16,act=rrelu")


def outcome(verdict: Verdict) -> tuple[str, str, list[tuple[str, float]]]:
    return verdict.status, verdict.reason, [(str(f.where), f.value) for f in verdict.findings]


@pytest.mark.parametrize("network", NETWORKS)
def test_a_check_says_the_same_where_only_what_it_needs_was_collected(network: str) -> None:
    whole, narrow = seen("torch", network, trains=True), {}
    for check in CHECKS.values():
        if applies(check, whole.spec, "torch"):
            needs = frozenset(check.needs | check.also)
            narrow[needs] = narrow.get(needs) or seen("torch", network, trains=True, needs=needs)
            assert outcome(judge(check, narrow[needs])) == outcome(judge(check, whole)), check.name
    assert len(narrow) > 4


def test_a_run_for_one_check_asks_for_nothing_else() -> None:
    job = Request(Spec(), "torch", data(), CHECKS["gradient_parity"].needs).job()
    assert len(job.forced_steps) == 3 and not (job.trainings or job.relations or job.scaled) and job.x_test is None
    job = Request(Spec(), "torch", data(), CHECKS["training"].needs).job()
    assert job.trainings and not (job.forced_steps or job.relations)
    assert Request(Spec(), "torch", data(), CHECKS["activation"].needs).answer.forced_steps == []


def test_what_a_network_does_not_have_is_named() -> None:
    spec = Spec.parse("input=shifted")
    missing = {name: check.missing(spec, Request(spec, "torch", data()).wanted) for name, check in CHECKS.items()}
    assert missing["gradient_parity"] == ""
    assert missing["signal_gain"] == Need.THEORY.value
    assert missing["training"] == missing["evaluation"] == Need.TRAININGS.value
    assert missing["clipping"] == "gradient clipping"


def test_reasons_stand_in_one_line_the_most_frequent_first() -> None:
    absent = [NotApplicable(backend, "clipping", f"a part {n}", n) for backend in ("torch", "keras") for n in range(1, 8)]
    (line,) = summary.not_applicable(absent)
    assert line.startswith("not applicable: 14 × needs a part 7 · 12 × needs a part 6 · ") and line.endswith(" · 2 more reasons")
    assert summary.not_applicable([]) == []


def test_a_run_says_what_does_not_apply_and_what_it_leaves_out(tmp_path: Path) -> None:
    words = ["--backend=torch", "--network=depth=2,width=16,input=shifted", f"--record-dir={tmp_path}"]
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "not applicable: 2 × needs " in done.stdout
    assert "--network leaves out equalities and step times: pytest bench/test_equalities.py " in done.stdout
    absent = record_file.read(tmp_path / "latest.json").not_applicable
    assert NotApplicable("torch", "training", Need.TRAININGS.value, 1) in absent
    assert not {each.check for each in absent} & {"gradient_parity", "update"}


def test_a_worker_that_died_is_replaced_wherever_it_trained() -> None:
    pool, spec = ObservationPool(data(), device="cpu", threads=1, seeds=(1000,)), Spec.parse("depth=2,width=4")
    try:
        before = pool.elsewhere("numpy", spec)
        pool._elsewhere["numpy"].close()
        assert [each.losses.tolist() for each in pool.elsewhere("numpy", spec)] == [each.losses.tolist() for each in before]
    finally:
        pool.close()
