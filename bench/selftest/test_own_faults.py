"""Faults in models that nobody here wrote are found by the check, and in the parameter, that the table names."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bench.judging.verdict import FAILED
from bench.selftest.faults.of_own_models import OWN_FAULTS
from bench.selftest.faults.plant import Fault
from bench.selftest.studies.own_models import MODELS, SLOW, evidence, found, read, verdicts

ONE_PARAMETER = re.compile(r"^[\w.]+\.(weight|in_proj_weight|weight_hh_l\d|kernel)$")
"""Places of faults in one layer's gradient: no other parameter is red then."""
SHOWN = {"a feed-forward weight's gradient", "an LSTM's recurrent weight's gradient", "a convolution's gradient", "evaluation trains"}
"""What is planted in a quick run; the rest is slow and stands in the table of `python -m bench own-models`."""


def cases() -> list[Any]:
    return [
        pytest.param(backend, fault, id=f"{backend}-{fault.name}", marks=[] if fault.name in SHOWN else [pytest.mark.slow])
        for backend, faults in OWN_FAULTS.items()
        for fault in faults
    ]


@pytest.mark.parametrize(("backend", "fault"), cases())
def test_a_fault_is_found_where_it_is(backend: str, fault: Fault) -> None:
    if fault.network not in SLOW:
        assert [name for name, verdict in verdicts(evidence(backend, fault.network)).items() if verdict.status == FAILED] == []
    caught, seen = found(backend, fault)
    verdict = seen[fault.check]
    assert caught, f"{fault.check} is {verdict.status} {verdict.reason}: {verdict.worst}"
    if backend == "torch" and ONE_PARAMETER.match(fault.where):
        assert {finding.where for finding in verdict.findings if not finding.within} == {fault.where}


def test_the_table_has_found_every_fault_and_raised_no_alarm() -> None:
    rows = read()
    assert [(row["backend"], row["model"]) for row in rows] == [(backend, model) for backend, models in MODELS.items() for model in models]
    for row in rows:
        assert int(row["planted"]) == sum(fault.network == row["model"] for fault in OWN_FAULTS[row["backend"]]), row
    for row in rows:
        assert int(row["alarms"]) == 0 and row["found"] == row["planted"], row
        assert float(row["caught_worst"]) < 1e-2 and float(row["largest"]) < 10, row
