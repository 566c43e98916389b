"""Each planted fault is caught by the check it names, where it names, and blames only the framework it was planted in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from bench.checks import CHECKS
from bench.judging.verdict import FAILED, KNOWN, PASSED
from bench.report import failure
from bench.selftest.faults import Fault, catalogue
from bench.selftest.kill_grid import PATH, read, row
from bench.selftest.kills import broken, catchers, healthy
from models.parts.losses import LOSSES
from models.parts.optimizers import OPTIMIZERS
from models.spec import Spec

ALONE_IN = {"gradient": "layer  5", "optimizer": "layer  3"}
"""Where faults of one weight are planted, by part: what is wrong there shows in no other layer."""


def cases() -> Iterator[Any]:
    """Every fault; all but one of each backend, part and check are slow, and left to `tox -e slow` and the kill grid.

    The one is the shallowest that nothing else catches, or the shallowest where there is none, or where it would take half a minute.
    """
    quick = {(line.backend, line.fault) for line in read() if len(line.caught) == 1 and Spec.parse(line.network).arch.depth < 64}
    planted = set()
    for backend, part, fault in sorted(
        catalogue(), key=lambda each: ((each[0], each[2].name) not in quick, Spec.parse(each[2].network).arch.depth)
    ):
        again = (backend, part, fault.check) in planted
        planted.add((backend, part, fault.check))
        yield pytest.param(backend, part, fault, id=f"{backend}-{fault.name}", marks=[pytest.mark.slow] if again else [])


def has(framework: str, network: str) -> bool:
    """Whether a framework has the network's loss and optimizer."""
    spec = Spec.parse(network)
    return all(getattr(row, framework) for row in (LOSSES[spec.loss], OPTIMIZERS[spec.optimizer]))


OWNERS = r"https://github\.com/(keras-team/keras(-core)?|tensorflow/tensorflow|pytorch/pytorch)/(issues|pull)/\d+"

pytestmark = pytest.mark.filterwarnings(
    "ignore:Gradients do not exist:UserWarning",  # Keras's own words on planted faults
    'ignore:"`sparse_categorical_crossentropy` received `from_logits=:UserWarning',
)


@pytest.mark.parametrize(("backend", "part", "fault"), list(cases()))
def test_fault_is_caught_where_it_is_and_blamed_on_whom_it_is(backend: str, part: str, fault: Fault) -> None:
    other = "keras" if backend == "torch" else "torch"
    both = has(other, fault.network)
    for framework in (backend, other) if both else (backend,):
        for name, verdict in healthy(framework, fault.network, fault.trains).items():
            assert verdict.status != FAILED, f"{name} of {framework} is red without a fault: {verdict.worst}"
    run, verdicts = broken(backend, fault)
    verdict = verdicts[fault.check]
    assert verdict.status == FAILED, f"{fault.check} missed it; caught by {catchers(verdicts)}"
    assert fault.where, "a fault that names no place would be found anywhere"
    assert any(fault.where in finding.where for finding in verdict.findings if not finding.within), verdict.worst
    if ALONE_IN.get(part, "nowhere") in fault.where:
        assert {f.where for f in verdict.findings if not f.within and ALONE_IN[part] not in f.where} == set()
    verdict.rerun = "pytest"
    text = failure.of_network(verdict, run, [healthy(other, fault.network, fault.trains)[fault.check]] if both else [], {})
    assert not both or f"so this is {backend}'s" in text
    assert verdict.law in text
    assert row(backend, part, fault, catchers(verdicts)) in read(), f"{PATH.name} is stale: python -m bench.selftest.kill_grid"


def test_healthy_networks_pass_and_do_not_only_decline() -> None:
    assert {verdict.status for verdict in healthy("torch", "reference").values()} == {PASSED}


def test_every_check_has_a_fault_that_only_it_catches() -> None:
    alone = {caught[0] for caught in (line.caught for line in read()) if len(caught) == 1}
    assert alone == set(CHECKS)


def test_the_catalogue_is_large_and_names_each_fault_once() -> None:
    names = [(backend, fault.name) for backend, _, fault in catalogue()]
    assert len(names) == len(set(names))
    assert len(names) >= 60
    assert not [fault.name for _, _, fault in catalogue() if not fault.where], "a fault must name a place"


def test_the_grid_says_of_every_fault_that_the_check_it_names_catches_it() -> None:
    lines = [(line.backend, line.part, line.fault, line.network, *line.caught[:1]) for line in read()]
    assert lines == [(backend, part, fault.name, fault.network, fault.check) for backend, part, fault in catalogue()], (
        "python -m bench.selftest.kill_grid"
    )


@pytest.mark.parametrize("network", ["act=gelu", "act=leaky_relu"])
def test_what_tensorflow_gets_wrong_today_is_seen_and_known(network: str) -> None:
    """Constants held in float32, which float64 shows: PyTorch has them right on the same network."""
    found = healthy("keras", network)["activation"]
    assert found.status == KNOWN
    assert {f.where.split()[0] for f in found.findings if not f.within} == {"float64"}
    assert healthy("torch", network)["activation"].status == PASSED


@pytest.mark.parametrize("fault", [fault for _, _, fault in catalogue() if fault.link], ids=lambda fault: fault.name)
def test_what_really_happened_says_where(fault: Fault) -> None:
    assert re.fullmatch(OWNERS, fault.link)
