"""Equalities of trainings as scripts in a framework's own words: each can be written, passes where it holds, and fails on its fault."""

from __future__ import annotations

import pytest

from bench.metamorphic import EQUALITIES
from bench.metamorphic.promised import LAWS
from bench.selftest.faults.plant import patching
from bench.selftest.test_equalities import BROKEN, Broken
from bench.selftest.test_scripts import LONGEST, status
from models.backends.registry import info
from models.scripts.shown import SHOWN
from models.worker.tasks import scripts

WRONG_NOW = {
    "torch": {
        "implementations: ASGD foreach float64",
        *(f"gradients_kept: SGD nesterov foreach {kind}" for kind in ("float32", "float64")),
    },
    "keras": {
        "micro_batches_schedule: micro-batches", "micro_batches_average: micro-batches", "initializer_shared: unseeded",
        "extreme_gradients: clip=global gradient 1e+30",
    },
}  # fmt: skip
"""Places that are known to fail in today's frameworks."""
SLOW = {"reported_fit", "steps_per_execution", "early_stopping_again", "micro_batches_average", "penalty_once", "loss_scaling"}
"""Scripts of Keras that take seconds, left to `tox -e slow`."""
FEW = 4
"""Cases of a law that are run at once, besides those that are known to fail; some have fifty, one for each optimizer."""
CASES = [
    pytest.param(framework, law, marks=[pytest.mark.slow] if framework == "keras" and law in SLOW else [], id=f"{framework}-{law}")
    for framework, laws in SHOWN.items()
    for law in sorted(laws)
]
UNLIKE = {
    "fused dropped in silence beside foreach": "the script compares what foreach does",
    "foreach NAdam looks ahead with a momentum too many (PyTorch 1.13)": "the script's steps are too few to see a momentum that decays",
}
"""Faults that another case of the same equality sees, with what the script looks at."""


def _spoken_of(broken: Broken, named: list[str]) -> list[str]:
    """The cases of the optimizer or layer that a fault is in, or all where its place names none."""
    return [case for case in named if case.split()[0] in broken.where.split()] or named


def cases(framework: str, law: str) -> list[str]:
    """The places of a script's law."""
    return [each.case for each in scripts.relations(framework)[law]()]


@pytest.mark.parametrize("framework", SHOWN)
def test_what_is_listed_is_there(framework: str) -> None:
    pytest.importorskip(framework)
    assert set(scripts.relations(framework)) == SHOWN[framework]
    assert not SHOWN[framework] & LAWS
    assert all(EQUALITIES[law].applies(info(framework)) for law in SHOWN[framework])


@pytest.mark.parametrize(("framework", "law"), CASES)
def test_a_script_passes_but_where_a_framework_is_known_to_fail(framework: str, law: str) -> None:
    pytest.importorskip(framework)
    named = cases(framework, law)
    for case in [each for place, each in enumerate(named) if place < FEW or f"{law}: {each}" in WRONG_NOW[framework]]:
        text = scripts.write(framework, law, "The law", f"{case}: layer  1 weight", 10.0)
        assert len(text.splitlines()) <= LONGEST
        assert status(text) == int(f"{law}: {case}" in WRONG_NOW[framework]), case


@pytest.mark.parametrize(
    "broken",
    [pytest.param(broken, id=broken.name) for broken in BROKEN["torch"] if broken.equality in SHOWN["torch"] and broken.name not in UNLIKE],
)
def test_a_script_fails_on_the_fault_of_its_equality(broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    texts = [
        scripts.write("torch", broken.equality, "The law", case, 10.0)
        for case in _spoken_of(broken, cases("torch", broken.equality))
        if f"{broken.equality}: {case}" not in WRONG_NOW["torch"]
    ]
    broken.plant(patching(monkeypatch))
    assert 1 in [status(text) for text in texts]
