"""Known failures: what is excused, where, by how much, and which entries are stale."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import numpy as np
import pytest

from bench.baselines import known_failures
from bench.baselines.samples import BaselineError
from bench.checks import CHECKS
from bench.evidence.excuses import excuse
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.verdict import FAILED, KNOWN, PASSED, Excuse, Verdict, judge
from bench.report import summary
from bench.selftest.kills import seen, verdicts
from fixtures.plugin.terminal import Terminal


def entry(**changes: Any) -> known_failures.KnownFailure:
    fields = {
        "backend": "keras*",
        "check": "update",
        "network": "ref*",
        "where": "step 1*",
        "package": "keras",
        "versions": ">=3.0,<3.9",
        "reason": "r",
        "link": "https://example.org",
        "most": 10.0,
    }
    return known_failures.KnownFailure(**(fields | changes))


def verdict(*findings: Finding) -> Verdict:
    status = PASSED if all(f.within for f in findings) else FAILED
    return Verdict("update", "reference", "law", "keras", "reference", status, findings=list(findings))


def test_a_known_failure_is_excused_only_where_and_when_it_is_known() -> None:
    bad_there, bad_elsewhere = Finding(Place("step 1 layer 2"), 2, 0, 1), Finding(Place("step 0 layer 2"), 2, 0, 1)
    for findings, versions, status in (
        ([bad_there], "3.5", KNOWN),
        ([bad_there], "3.9", FAILED),
        ([bad_there, bad_elsewhere], "3.5", FAILED),
    ):
        judged = verdict(*findings)
        known_failures.apply(judged, [entry()], {"keras": versions})
        assert judged.status == status
    healthy = verdict(Finding(Place("step 1 layer 2"), 0, 0, 1))
    assert known_failures.apply(healthy, [entry()], {"keras": "3.5"}) == {entry(): PASSED}
    assert known_failures.stale({entry(): [healthy.status]}) == [entry()]


@pytest.mark.parametrize(("value", "low", "status"), [
    (1.5, 0, KNOWN), (2.5, 0, FAILED), (float("nan"), 0, FAILED), (0.4, 0.5, KNOWN), (-0.6, 0.5, FAILED),
])  # fmt: skip
def test_a_known_failure_explains_no_number_further_beyond_its_bound_than_it_says(value: float, low: float, status: str) -> None:
    judged = verdict(Finding(Place("step 1 layer 2"), value, low, 1))
    known_failures.apply(judged, [msgspec.structs.replace(entry(), most=1.0)], {"keras": "3.5"})
    assert judged.status == status


@pytest.mark.parametrize(("nan", "status"), [(False, FAILED), (True, KNOWN)])
def test_nan_is_explained_only_by_a_known_failure_that_names_it(nan: bool, status: str) -> None:
    judged = verdict(Finding(Place("step 1 layer 2"), float("nan"), 0, 1))
    known_failures.apply(judged, [msgspec.structs.replace(entry(), nan=nan)], {"keras": "3.5"})
    assert judged.status == status


def test_a_known_failure_of_nan_alone_has_no_size_to_tell() -> None:
    judged = verdict(Finding(Place("step 1 layer 2"), float("nan"), 0, 1))
    known_failures.apply(judged, [entry(most=None, nan=True)], {"keras": "3.5"})
    assert (judged.status, judged.excuses) == (KNOWN, [Excuse("r (https://example.org), mended in keras 3.9", 1, 0.0, 0.0)])


def test_a_known_failure_says_what_it_excused_and_what_it_could_not() -> None:
    judged = verdict(Finding(Place("step 1 layer 2"), 2.5, 0, 1), Finding(Place("step 1 layer 3"), 2, 0, 1))
    known_failures.apply(judged, [entry()], {"keras": "3.5"})
    assert judged.excuses == [Excuse("r (https://example.org), mended in keras 3.9", 2, 1.5, 10.0)]
    lines = summary.counted([judged])
    assert lines == [
        "1 × keras known failure: r (https://example.org), mended in keras 3.9: 2 numbers excused, "
        "the furthest 1.5 beyond its bound, of 10 that are known"
    ]
    far = verdict(Finding(Place("step 1 layer 2"), 2.5, 0, 1), Finding(Place("step 1 layer 3"), 20, 0, 1))
    known_failures.apply(far, [entry()], {"keras": "3.5"})
    assert (far.status, far.reason) == (FAILED, "further off than the 10 that are known: r (https://example.org)")


def test_a_number_is_explained_where_it_is_within_its_bound_beside_a_reference_that_shares_the_fault() -> None:
    shared, asked = entry(most=None, shared="activation"), list[frozenset[str]]()

    def judged(left: float, known: list[known_failures.KnownFailure]) -> Verdict:
        found = verdict(Finding(Place("step 1 layer 2"), 1e9, 0, 1))
        again = [Finding(Place("step 1 layer 2"), left, 0, 1), Finding(Place("step 7"), 5, 0, 1)]
        known_failures.apply(found, known, {"keras": "3.5"}, lambda faults: asked.append(faults) or again)  # type: ignore[func-returns-value]
        return found

    assert judged(0.9, [shared]).status == KNOWN and asked == [frozenset({"activation"})]
    off = judged(1.1, [shared])
    assert (off.status, off.reason) == (FAILED, "further off than a reference that shares what is known: r (https://example.org)")
    assert judged(1.1, [shared, entry(reason="another", most=0.2)]).status == KNOWN
    assert judged(1.1, [shared, entry(reason="another", most=0.05)]).status == FAILED
    assert judged(0.9, [entry(most=1.0)]).status == FAILED and len(asked) == 4  # nothing can be shared: not judged again


def test_a_fault_that_a_reference_shares_explains_nothing_without_one_and_is_not_asked_for_in_health() -> None:
    shared = entry(most=None, shared="activation")
    bad = verdict(Finding(Place("step 1 layer 2"), 2, 0, 1))
    known_failures.apply(bad, [shared], {"keras": "3.5"})
    assert bad.status == FAILED
    healthy = verdict(Finding(Place("step 1 layer 2"), 0, 0, 1))
    assert known_failures.apply(healthy, [shared], {"keras": "3.5"}, lambda faults: pytest.fail("judged again")) == {shared: PASSED}


AMPLIFIED = (
    "depth=12,width=4,batch=7,act=gelu_tanh,norm=rms,norm_at=after,groups=2,skip=two,skip_order=pre,init=default,bias=normal,"
    "clip=variable,clip_at=0.1,optimizer=lion,lr=30,schedule=exponential,loss=binary_cross_entropy_of_probabilities,precision=float64"
)
"""After steps of 30 gradients are off by 3e-5, a thousand times what the float32 constant is."""


@pytest.mark.parametrize(
    ("backend", "network", "shows"),
    [
        ("keras", AMPLIFIED, "gradient_parity"),
        ("keras", "depth=6,width=8,batch=8,act=gelu,l2=0.01,precision=float64", "gradient_parity"),
        ("torch", "depth=4,width=8,batch=8,act=hardsigmoid,precision=float64", "gradient_parity"),
        ("torch", "depth=4,width=32,batch=8,act=softplus,input=far,precision=float64", "gradient_parity"),
        ("keras", "depth=6,width=8,batch=8,act=leaky_relu,norm=batch,l1=0.1,input=huge,precision=float64", "forward_parity"),
    ],
)
def test_a_constant_s_own_error_is_known_however_far_a_network_amplifies_it_and_hides_no_other(
    backend: str, network: str, shows: str
) -> None:
    evidence = seen(backend, network, trains=False)
    assert [name for name, found in verdicts(evidence).items() if found.status == FAILED] == []
    judged = judge(CHECKS[shows], evidence)
    assert judged.status == FAILED
    excuse(judged, CHECKS[shows], evidence, known_failures.read())
    assert judged.status == KNOWN
    step = evidence.seen.forced_steps[0]
    step.loss *= 1 + 1e-12
    step.gradients = {key: g * (1 + 1e-10) for key, g in step.gradients.items()}
    judged = judge(CHECKS[shows], evidence)
    excuse(judged, CHECKS[shows], evidence, known_failures.read())
    assert judged.status == FAILED and "shares what is known" in judged.reason


@pytest.mark.parametrize(
    ("backend", "network", "check"),
    [
        ("torch", "depth=4,width=1,batch=2,act=hardsigmoid,precision=float64", "gradient_bound"),
        ("torch", "depth=3,width=16,batch=16,act=softplus,bias=normal,input=shifted,precision=float64", "sum_rules"),
        ("torch", "depth=3,width=16,batch=16,act=softplus,norm=batch,norm_at=after,input=shifted,precision=float64", "normalization_state"),
        ("keras", "rnn,width=3,length=4,batch=4,recurrent=identity,radius=0.1,direction=both", "recurrent_start"),
    ],
)
def test_what_a_fault_does_to_other_laws_is_known(backend: str, network: str, check: str) -> None:
    evidence = seen(backend, network, trains=False)
    judged = judge(CHECKS[check], evidence)
    assert judged.status == FAILED
    excuse(judged, CHECKS[check], evidence, known_failures.read())
    assert judged.status == KNOWN
    assert [name for name, found in verdicts(evidence).items() if found.status == FAILED] == []


def test_a_start_at_another_matrix_than_the_identity_is_no_lost_radius() -> None:
    evidence = seen("keras", "rnn,width=3,length=4,batch=4,recurrent=identity,radius=0.1,direction=both", trains=False)
    weight = next(w for name, w in evidence.native.weights.items() if name.endswith("recurrent_weight"))
    weight *= 1.01
    judged = judge(CHECKS["recurrent_start"], evidence)
    excuse(judged, CHECKS["recurrent_start"], evidence, known_failures.read())
    assert judged.status == FAILED


def test_zeros_of_a_slope_that_is_taken_from_a_rounded_output_are_known_and_those_of_another_cause_are_not() -> None:
    evidence = seen("keras", "depth=4,width=32,batch=16,act=elu,input=shifted,init=he_normal,precision=mixed_bfloat16", trains=False)
    judged = judge(CHECKS["underflow"], evidence)
    assert judged.status == FAILED
    excuse(judged, CHECKS["underflow"], evidence, known_failures.read())
    assert judged.status == KNOWN
    gradients = evidence.seen.forced_steps[0].gradients
    gradients["dense2.weight"] = np.where(np.arange(32) % 2, gradients["dense2.weight"], 0)
    judged = judge(CHECKS["underflow"], evidence)
    excuse(judged, CHECKS["underflow"], evidence, known_failures.read())
    assert judged.status == FAILED


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"most": None}, "has no size"), ({"most": 0}, "most"), ({"most": -1}, "most"), ({"reason": ""}, "reason"),
        ({"reason": " "}, "reason"), ({"link": ""}, "link"), ({"link": "see below"}, "link"), ({"versions": ""}, "versions"),
        ({"versions": "newer than 3"}, "no range of versions"), ({"network": "*", "where": "*"}, "every network in every place"),
        ({"network": "*", "where": "step [1-9]*"}, "every network in every place"), ({"backend": "*"}, "every backend"),
        ({"shared": "activation"}, "two sizes"), ({"most": None, "shared": "momentum"}, "shared"),
        ({"check": "*"}, "check"), ({"package": ""}, "package"), ({"size": 3}, "size"),
    ],
)  # fmt: skip
def test_a_known_failure_without_limits_is_refused_when_it_is_read(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = tmp_path / "known.json"
    path.write_text(json.dumps([msgspec.to_builtins(entry()) | change]))
    with pytest.raises(BaselineError, match=words) as refused:
        known_failures.read(path)
    assert "\n" not in str(refused.value)


def test_known_failures_cover_a_verdict_together_and_each_answers_for_its_own_places() -> None:
    first, last, nowhere = entry(reason="first"), entry(where="step 9*", reason="last"), entry(where="step 5*")
    judged = verdict(
        Finding(Place("step 1 layer 2"), 2, 0, 1), Finding(Place("step 9 layer 2"), 2, 0, 1), Finding(Place("step 5 layer 2"), 0, 0, 1)
    )
    assert known_failures.apply(judged, [first, last, nowhere], {"keras": "3.5"}) == {first: KNOWN, last: KNOWN, nowhere: PASSED}
    assert judged.status == KNOWN and "first" in judged.reason and "last" in judged.reason
    half = verdict(Finding(Place("step 1 layer 2"), 2, 0, 1), Finding(Place("step 9 layer 2"), 2, 0, 1))
    assert known_failures.apply(half, [first, nowhere], {"keras": "3.5"}) == {first: FAILED}


def test_a_known_failure_of_places_that_a_network_lacks_is_not_stale_there() -> None:
    healthy = verdict(Finding(Place("step 1 layer 2"), 0, 0, 1))
    assert known_failures.apply(healthy, [entry(where="* new *embeddings")], {"keras": "3.5"}) == {}
    assert known_failures.apply(verdict(), [entry()], {"keras": "3.5"}) == {entry(): PASSED}


def test_a_known_failure_is_stale_when_its_cause_shows_in_no_check() -> None:
    elsewhere = msgspec.structs.replace(entry(), check="gradient_parity")
    assert known_failures.stale({entry(): [PASSED], elsewhere: [PASSED, KNOWN]}) == []
    assert known_failures.stale({entry(): [PASSED], elsewhere: [PASSED, PASSED]}) == [entry(), elsewhere]
    assert known_failures.stale({entry(): []}) == []
    assert known_failures.stale({entry(machines="CPUs without bfloat16 instructions"): [PASSED]}) == []


@pytest.mark.parametrize(
    ("chosen", "told"), [({}, True), ({"named": True}, False), ({"cases": "smoke"}, False), ({"keyword": "parity"}, False)]
)
def test_a_run_of_a_few_networks_calls_nothing_stale(chosen: dict[str, Any], told: bool, tmp_path: Path) -> None:
    option = argparse.Namespace(**{"named": False, "cases": "core", "keyword": "", "markexpr": ""} | chosen)
    terminal = Terminal(cast(pytest.Config, SimpleNamespace(option=option)), {}, {}, tmp_path, page=False)
    terminal.wanted, terminal.concerned = True, {entry(): [PASSED]}
    reporter = SimpleNamespace(section=lambda title: None, lines=[])
    reporter.write_line = reporter.lines.append
    terminal.pytest_terminal_summary(cast(pytest.TerminalReporter, reporter))
    assert any("stale known failure" in line for line in reporter.lines) is told


def test_the_committed_list_is_valid() -> None:
    assert known_failures.read()
    assert json.loads(known_failures.PATH.read_text())
