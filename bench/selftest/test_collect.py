"""What a check needs is all that it reads, and nothing else is asked of a backend."""

from __future__ import annotations

import pytest

from bench.checks import CHECKS, applies
from bench.evidence.collect import Request
from bench.judging.check import Need
from bench.judging.verdict import Verdict, judge
from bench.selftest.kills import data, seen
from models.spec import Spec

NETWORKS = (
    "reference",
    "depth=4,width=16,norm=batch,clip=global",
    "depth=4,width=16,precision=mixed_float16",
    "depth=8,width=16,act=rrelu",
)


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
