"""Real issues are found by own models: the page is that of its record, and today's releases do what the record says of them."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from bench.baselines.samples import FOLDER as BASELINES
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.verdict import FAILED, KNOWN, PASSED, Verdict
from bench.releases import own
from bench.releases.__main__ import main as releases
from bench.releases.issues import ELSEWHERE, GAUGES, ISSUES, TRACKERS, Cell, Issue
from bench.releases.own import Ran, Red
from bench.report.record import Error, Record
from bench.report.record_file import read
from bench.versions.requirements import group

ROOT = Path(__file__).resolve().parents[2]
PINNED = {str(requirement) for name in ("torch", "keras", "jax-cpu", "tensorflow-cpu") for requirement in group(name)}
TODAY = [(issue, cell) for issue in ISSUES for cell in issue.cells if set(cell.requirements.split()) <= PINNED]
NEEDS = {"keras-jax": "jax", "keras-torch": "torch", "keras": "tensorflow", "torch": "torch"}


def record(verdicts: list[Verdict], errors: list[Error]) -> Record:
    return Record(
        started="", environment={"keras": "3.9.2"}, options={}, versions={}, exit_status=1, seconds=0.0, errors=errors, verdicts=verdicts
    )


def verdict(status: str, *findings: Finding) -> Verdict:
    outside = sum(not finding.within for finding in findings)
    return Verdict("execution", "reference", "law", "keras", "net", status, judged=len(findings), outside=outside, findings=list(findings))


def test_the_page_is_that_of_the_record() -> None:
    assert (BASELINES / f"{own.NAME}.md").read_text(encoding="utf-8") == own.page(own.read())


@pytest.mark.parametrize("issue", ISSUES, ids=lambda issue: issue.number)
def test_every_issue_is_red_in_releases_that_have_it_and_green_in_others(issue: Issue) -> None:
    found = own.read()
    assert [own.otherwise(issue, cell, found[cell.name]) for cell in issue.cells] == [""] * len(issue.cells)


def test_at_least_six_issues_are_found_and_silent_elsewhere() -> None:
    assert sum(bool(issue.red) and (bool(issue.green) or bool(issue.around)) for issue in ISSUES) >= 6
    assert all(bool(issue.by) == bool(issue.red) for issue in ISSUES), "red by what, or nowhere"


def test_every_gauge_exists() -> None:
    for cell in (cell for issue in ISSUES for cell in issue.cells):
        file, _, name = cell.gauge.partition(":")
        assert name in {node.name for node in ast.parse((ROOT / GAUGES / file).read_text()).body if isinstance(node, ast.FunctionDef)}
        assert all(Requirement(word) for word in cell.requirements.split())
    assert {number.partition(" #")[0] for numbers, _ in ELSEWHERE for number in numbers} <= set(TRACKERS)


def test_what_a_run_says_is_kept_and_told() -> None:
    wrong = Finding(Place("", scope="compile", parameter="conv.weight"), 400.0, 0.0, 10.0, "another direction")
    ran = own.ran(
        record([verdict(KNOWN, wrong, Finding(Place("loss"), 1.0, 0.0, 10.0)), verdict(PASSED, Finding(Place("loss"), 0, 0, 1))], []),
        "torch",
    )
    assert (ran.checks, ran.numbers) == (2, 3)
    assert [(red.check, red.outside, "conv.weight" in red.where) for red in ran.red] == [("execution", 1, True)]
    raised = own.ran(record([], [Error("bench/test_itself.py::test_itself[finite-keras-cpu-net]", "could not be called\nmore")]), "keras")
    assert raised == Ran({"keras": "3.9.2"}, 0, 0, (Red("finite", 0, "", "could not be called"),))


def test_a_gauge_that_is_otherwise_than_it_must_be_is_told() -> None:
    issue = Issue("keras #1", "it", "issues_keras.py:stateful", "keras", ("keras==3.0.0",), ("keras==3.1.0",), "finite")
    bad, good = issue.cells
    green, red = Ran({}, 1, 1), Ran({}, 1, 1, (Red("finite", 1, "loss", "1 for 0"),))
    assert [own.otherwise(issue, bad, red), own.otherwise(issue, good, green)] == ["", ""]
    assert own.otherwise(issue, bad, green) == "keras #1 is green in keras==3.0.0, where it must be red by 'finite'."
    assert own.otherwise(issue, good, red) == "keras #1 is red by finite in keras==3.1.0, where it must be green."
    crashed = Ran({}, 0, 0, (Red("update", 0, "", "could not be imported"),))
    assert own.otherwise(issue, bad, crashed) == "keras #1 is red by update in keras==3.0.0, where it must be red by 'finite'."
    assert not own.otherwise(replace(issue, by="be imported"), replace(bad, by="be imported"), crashed)


def test_what_is_recorded_is_printed_and_an_unknown_issue_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert releases(["--issues", "--recorded"]) == 0
    assert capsys.readouterr().out.strip() == own.page(own.read()).strip()
    assert releases(["--issues", "--only=keras #1"]) == 12


@pytest.mark.slow
@pytest.mark.parametrize(("issue", "cell"), TODAY, ids=[cell.name for _, cell in TODAY])
def test_today_s_release_does_what_the_record_says(issue: Issue, cell: Cell, tmp_path: Path) -> None:
    pytest.importorskip(NEEDS[issue.backend])
    asked = [f"--model={cell.model}", f"--backend={issue.backend}", *issue.options, f"--record-dir={tmp_path}", "-p", "no:cacheprovider"]
    subprocess.run([sys.executable, "-m", "pytest", *asked], cwd=ROOT, capture_output=True, check=False)
    seen, kept = own.ran(read(tmp_path / "latest.json"), issue.backend), own.read()[cell.name]
    assert [red.check for red in seen.red] == [red.check for red in kept.red]
    failed = [verdict for verdict in read(tmp_path / "latest.json").verdicts if verdict.status == FAILED]
    assert not failed, "what is red in today's release and can be judged is a known failure"
