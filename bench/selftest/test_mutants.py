"""Mutants of the judges: which modules are looked at, what counts as another program, and who is killed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from bench.selftest import mutants as subject
from bench.selftest.mutants import MODULES, TESTS, Mutant, Outcome, path_of, read, run, table

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("bench/judging", "bench/checks", "bench/baselines", "bench/compare")
APART = {"bench.judging.tolerance", "bench.baselines.executions", "bench.compare.page", "bench.compare.__main__"}
"""Numbers whose calibration has tests of its own, and what only draws or reads options."""


def test_every_module_that_judges_is_mutated_by_tests_that_exist() -> None:
    files = [
        path.relative_to(ROOT).with_suffix("") for folder in FOLDERS for path in (ROOT / folder).glob("*.py") if path.stat().st_size > 200
    ]
    modules = {".".join(path.parts).removesuffix(".__init__") for path in files}
    assert modules - APART <= set(MODULES)
    assert all(path_of(module).is_file() for module in MODULES)
    assert all((ROOT / TESTS.format(name)).is_file() for names in MODULES.values() for name in names)


@pytest.mark.parametrize(
    ("changed", "another"),
    [("def f(x: int) -> str:\n    return x + 1", False), ("def f(x):\n    return x - 1", True), ("def f(x):\n    return (x + 1)", False)],
)
def test_annotations_make_no_other_program(changed: str, another: bool) -> None:
    assert (subject._program(changed) != subject._program("def f(x: float):\n    return x + 1")) == another


def test_a_mutant_is_killed_and_the_module_as_it_is_is_not() -> None:
    source = path_of("bench.judging.verdict").read_text(encoding="utf-8")
    mutated = source.replace("outside = sum(not f.within for f in findings)", "outside = 0")
    assert mutated != source
    assert run("bench.judging.verdict", mutated, 300).killed
    assert not run("bench.judging.verdict", source, 300).killed


def test_one_that_never_ends_is_killed() -> None:
    source = path_of("bench.judging.verdict").read_text(encoding="utf-8")
    assert run("bench.judging.verdict", f"{source}\nwhile True:\n    pass\n", 3).killed


@pytest.mark.skipif(importlib.util.find_spec("cosmic_ray") is None, reason="Cosmic Ray is in tox -e mutation alone")
def test_mutants_are_other_programs_and_each_is_drawn_once() -> None:
    found = subject.mutants("bench.judging.place")
    assert len({mutant.source for mutant in found}) == len(found) > 20


def test_the_committed_table_names_every_survivor() -> None:
    frame = read()
    assert (frame["killed"] + frame["equivalent"] <= frame["drawn"]).all() and set(frame.columns) == set(table([]).columns)
    assert frame.loc[frame["killed"] + frame["equivalent"] < frame["drawn"], "survived"].astype(bool).all()


def test_a_mutant_that_changes_nothing_is_named_with_a_reason_and_any_other_survivor_is_told() -> None:
    module, reads = sorted(subject.equivalent())[0]
    known, other = (Mutant("operator", 1, text, "") for text in (reads, "another line"))
    frame = table([(module, 9, [(known, Outcome(False, 1.0)), (other, Outcome(False, 1.0)), (other, Outcome(True, 1.0))])])
    assert frame[["drawn", "killed", "equivalent", "survived"]].values.tolist() == [[3, 1, 1, "1 `another line`"]]
    assert {name for name, _ in subject.equivalent()} <= set(MODULES)
