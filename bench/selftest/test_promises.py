"""The table of promises: every law and case is there, every entry point exists, nothing stands twice, README's coverage is fresh."""

from __future__ import annotations

import importlib
import inspect
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bench.metamorphic import EQUALITIES, promised
from bench.promises import AREAS, promises
from bench.promises.__main__ import coverage, listed, main
from bench.promises.promise import Promise, laws
from models.backends.registry import Absent
from models.matrix import networks
from models.spec import Spec
from models.worker.tasks import scenarios as taken

README = Path(__file__).parents[1] / "promises" / "README.md"
LISTED = {name for name, function in inspect.getmembers(promised, inspect.isfunction) if name in EQUALITIES and function}


@pytest.mark.parametrize("framework", AREAS)
def test_no_promise_stands_twice(framework: str) -> None:
    rows = [(promise.entry, promise.sentence) for promise in promises(framework)]
    assert sorted(row for row in set(rows) if rows.count(row) > 1) == []


@pytest.mark.parametrize("framework", AREAS)
def test_every_law_and_every_network_exists(framework: str) -> None:
    judged = {spec.id for spec in networks("full")}
    for promise in promises(framework):
        assert not promise.law or promise.name in laws(), f"{promise.law} of {promise.entry} is no law"
        assert not promise.network or Spec.parse(promise.network, features=64).id in judged, f"{promise.law} judges no network of any set"
        assert promise.page.startswith(("https://docs.pytorch.org/", "https://keras.io/"))
        assert promise.sentence.endswith("."), promise.sentence


@cache
def cases(framework: str, law: str) -> list[str]:
    """What a law's scenario tells of, as its findings name it: the case, and each of its ways."""
    told = taken.take(framework, law, {})
    return [f"{case}: {way}" for case, seen in told.items() for way in seen["ways"]]


CASES = [
    pytest.param(framework, law, marks=[pytest.mark.slow] if framework == "keras" else [], id=f"{framework}-{law}")
    for framework in AREAS
    for law in sorted({promise.name for promise in promises(framework) if promise.name in LISTED})
]


@pytest.mark.parametrize(("framework", "law"), CASES)
def test_every_case_exists(framework: str, law: str) -> None:
    try:
        told = cases(framework, law)
    except Absent as absent:
        pytest.skip(str(absent))
    missing = [p.law for p in promises(framework) if p.name == law and not any(case.startswith(p.case) for case in told)]
    assert missing == []


@pytest.mark.parametrize("framework", AREAS)
def test_every_entry_point_is_in_the_installed_framework(framework: str) -> None:
    pytest.importorskip(framework)
    missing = [promise.entry for promise in promises(framework) if not _found(promise.entry)]
    assert missing == []


def _found(entry: str) -> bool:
    first, *names = entry.split(".")
    owner: Any = importlib.import_module(first)
    path = first
    for name in names:
        path = f"{path}.{name}"
        if hasattr(owner, name):
            owner = getattr(owner, name)
            continue
        try:
            owner = importlib.import_module(path)
        except ImportError:
            return False
    return True


def test_the_coverage_in_the_readme_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    shown = re.search(r"<!-- coverage -->\n(.*?)\n<!-- end -->", README.read_text(encoding="utf-8"), re.DOTALL)
    assert shown is not None
    assert shown[1] == coverage()
    assert main([]) == 0
    assert capsys.readouterr().out.strip() == coverage()


@pytest.mark.parametrize("framework", AREAS)
def test_at_least_nine_of_ten_promises_have_a_law(framework: str) -> None:
    rows = promises(framework)
    tested = sum(promise.tested_on(framework) for promise in rows)
    assert tested >= 150
    assert tested / len(rows) >= 0.9


def test_a_row_has_a_law_or_a_reason() -> None:
    with pytest.raises(ValueError, match="it has neither"):
        Promise("torch.nn.ReLU", "is zero below zero.", "https://docs.pytorch.org/")
    with pytest.raises(ValueError, match="it has both"):
        Promise("torch.nn.ReLU", "is zero below zero.", "https://docs.pytorch.org/", "counted", "because")


def test_what_has_no_law_is_listed_with_its_reason() -> None:
    lines = "\n".join(listed("torch", uncovered=True))
    assert "torch.optim.LBFGS" in lines
    assert "no law: its line search has no rule" in lines
    assert "torch.optim.Adam:" not in lines
    assert "torch.optim.Adam: follows its documented algorithm.\n    update@optimizer=adam" in "\n".join(listed("torch", uncovered=False))
