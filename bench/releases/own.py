"""Real issues, found by own models: the gauges of `issues.py` run in the releases that have a fault and in those that do not."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from bench import files
from bench.baselines.samples import FOLDER as BASELINES
from bench.judging.verdict import FAILED, KNOWN, PASSED, Verdict
from bench.releases.issues import ELSEWHERE, ISSUES, Cell, Issue, link
from bench.releases.record import RecordError
from bench.report import text_table, texts
from bench.report.record import Record
from bench.versions import runs
from bench.versions.requirements import Wanted
from bench.versions.runs import Failure
from models.backends.registry import info

NAME, SCHEMA = "own_model_releases", 1
BESIDE = {"keras": ("keras", "tensorflow-cpu"), "keras-torch": ("keras", "torch"), "keras-jax": ("keras", "jax"), "torch": ("torch",)}
"""What a backend runs on, where its worker could not say so."""
CASE, NAMED = re.compile(r"test_\w+\[(\w+)-"), re.compile(r"^\S+\.py:\w+ ")
"""The check in a test's id, and how a message about a model begins."""


class Red(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A check that failed: how many of its numbers are outside, where the worst is, what is said of it, and of which parameters.

    Where the model could not be run at all, no number is outside.
    """

    check: str
    outside: int
    where: str
    text: str
    parameters: tuple[str, ...] = ()


class Ran(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one gauge did in one set of releases: the versions, how many numbers were judged by how many checks, and what is red."""

    versions: dict[str, str]
    checks: int
    numbers: int
    red: tuple[Red, ...] = ()


FEW = 3
"""Parameters of one check that are named."""
Found = dict[str, Ran]
"""By a cell's name."""


class File(msgspec.Struct, forbid_unknown_fields=True):
    """The record beside the page."""

    schema: int
    cells: Found


def read(folder: Path = BASELINES) -> Found:
    """What is recorded. Raises RecordError."""
    path = folder / f"{NAME}.json"
    try:
        found = msgspec.json.decode(path.read_bytes(), type=File)
    except FileNotFoundError:
        return {}
    except (*files.NO_JSON, OSError) as error:
        raise RecordError(f"{path} is not a valid record ({error}): restore it from version control, or delete it.") from None
    if found.schema != SCHEMA:
        raise RecordError(f"{path} is not of schema {SCHEMA}: restore it from version control, or delete it.")
    return found.cells


def write(found: Found, folder: Path = BASELINES) -> None:
    """Put what was found into the record, in the place of what was there, and draw the page again. Raises RecordError and WriteError."""
    kept = read(folder) | found
    cells = {cell.name: kept[cell.name] for issue in ISSUES for cell in issue.cells if cell.name in kept}
    lines = ",\n".join(f"  {_text(name)}: {_text(msgspec.to_builtins(ran))}" for name, ran in cells.items())
    files.write(folder / f"{NAME}.json", f'{{\n "schema": {SCHEMA},\n "cells": {{\n{lines}\n }}\n}}\n')
    files.write(folder / f"{NAME}.md", page(cells))


def run(issue: Issue, cell: Cell) -> Ran | Failure:
    """Judge the gauge in an environment of its releases, which is built if it is not there yet."""
    options = [f"--model={cell.model}", f"--backend={issue.backend}", *issue.options]
    record = runs.run(Wanted(cell.requirements, "judge", info(issue.backend).library), options, runs.recorded())
    return record if isinstance(record, Failure) else ran(record, issue.backend)


def ran(record: Record, backend: str) -> Ran:
    """What a run's record says of the one model in it."""
    judged = [verdict for verdict in record.verdicts if verdict.status in (PASSED, FAILED, KNOWN)]
    raised = [Red(_check(error.case), 0, "", NAMED.sub("", error.message.partition("\n")[0])) for error in record.errors]
    red = [_red(verdict) for verdict in judged if verdict.outside]
    beside = {name: version for name in BESIDE.get(backend, ()) if (version := record.environment.get(name))}
    return Ran(record.versions.get(backend) or beside, len(judged), sum(verdict.judged for verdict in judged), (*raised, *red))


def holds(cell: Cell, ran: Ran) -> bool:
    """Whether a gauge is red where it must be, by what it must be, and only there."""
    return any(cell.by == red.check or cell.by in red.text for red in ran.red) if cell.by else not ran.red


def page(found: Mapping[str, Ran]) -> str:
    """A row an issue, where each is red, and why others are not in the table, in Markdown."""
    rows = [[link(i.number), i.wrong, f"`{i.gauge}` on {i.backend}", _sets(i, found, True), _sets(i, found, False)] for i in ISSUES]
    items = [_item(issue, cell, found[cell.name]) for issue in ISSUES for cell in issue.cells if cell.name in found]
    return "\n".join([
        "# Real issues, found by own models", "",
        "Written by `python -m bench releases --issues --write`. Each gauge is a model in a file as users write it, in",
        "`bench/selftest/gauges`. It is judged by `pytest --model=` in releases that have the fault, where it must be red, and in releases",
        "without it, where every check must be green. On a CPU.", "",
        *text_table.markdown([["issue", "what is wrong", "gauge", "red in", "green in"], *rows]), "",
        "## What is red, and where", "", *items, "",
        "## Not in the table", "", *(f"- {', '.join(map(link, numbers))}: {why}." for numbers, why in ELSEWHERE), "",
    ])  # fmt: skip


def _sets(issue: Issue, found: Mapping[str, Ran], red: bool) -> str:
    """The sets in which a gauge is as it must be; one that is otherwise, or was not run, is said so."""
    words = []
    for cell in (cell for cell in issue.cells if cell.red == red):
        ran = found.get(cell.name)
        said = (
            "not run"
            if ran is None
            else ""
            if holds(cell, ran)
            else "RED"
            if ran.red and not red
            else "RED OTHERWISE"
            if ran.red
            else "GREEN"
        )
        around = "`" + cell.gauge.partition(":")[2] + "`" if cell.gauge != issue.gauge else ""
        words.append(" ".join(filter(None, (cell.requirements, around, said))))
    return ", ".join(words) or "–"


def _item(issue: Issue, cell: Cell, ran: Ran) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in ran.versions.items() if " " not in name)
    head = f"- {issue.number}, `{cell.gauge.partition(':')[2]}`, {versions}"
    if not ran.red:
        return f"{head}: {ran.checks} checks of {ran.numbers} numbers are green."
    return "\n".join([f"{head}: red.", *(f"  - {_counted(red)}" for red in ran.red)])


def _counted(red: Red) -> str:
    if not red.outside:
        return f"nothing can be judged: {red.text}"
    of = f", of {', '.join(f'`{name}`' for name in red.parameters)}" if red.parameters else ""
    return f"`{red.check}`, {red.outside} outside{of}, worst at {red.where}: {red.text}"


def _red(verdict: Verdict) -> Red:
    worst = verdict.worst
    assert worst is not None, "a verdict with numbers outside has a worst one"
    text = f"{texts.number(worst.value)} for {texts.allowed(worst)} {worst.note}".strip()
    names = dict.fromkeys(f.place.parameter for f in verdict.findings if not f.within and f.place.parameter and not f.place.node)
    return Red(verdict.check, verdict.outside, worst.where, text, tuple(names)[:FEW])


def _check(case: str) -> str:
    found = CASE.search(case)
    return found[1] if found else case


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def asked(only: list[str]) -> list[tuple[Issue, Cell]]:
    """What is run: all, or what a number or a gauge's name stands for."""
    pairs = [(issue, cell) for issue in ISSUES for cell in issue.cells]
    return [(issue, cell) for issue, cell in pairs if not only or {issue.number, issue.gauge.partition(":")[2]} & set(only)]


def otherwise(issue: Issue, cell: Cell, ran: Ran) -> str:
    """A sentence where a gauge is red in a release without the fault, or green in one that has it; empty else."""
    is_now = f"red by {', '.join(red.check for red in ran.red)}" if ran.red else "green"
    must = f"red by {cell.by!r}" if cell.by else "green"
    return "" if holds(cell, ran) else f"{issue.number} is {is_now} in {cell.requirements}, where it must be {must}."
