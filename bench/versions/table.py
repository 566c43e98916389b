"""Versions × checks as a table, and what broke between neighbouring versions."""

import itertools

from bench.checks import CHECKS
from bench.compare import render, runs
from bench.compare.change import BETTER, CHANGED, WORSE
from bench.exit_status import Status, most_serious
from bench.judging.verdict import FAILED, KNOWN, PASSED
from bench.report import text_table
from bench.report.record import Record
from bench.versions.runs import Failure, Result

CELL, BROKEN = 44, 12
"""The most characters of a cell; how many changes between two versions are shown."""


def table(records: dict[str, Result]) -> list[str]:
    """A row a check and backend, a column a set of requirements; a sentence instead of a record says why there is none."""
    rows = {(v.check, v.backend) for record in records.values() if isinstance(record, Record) for v in record.verdicts}
    order = list(CHECKS)
    grid = [["check", "backend", *records]]
    for check, backend in sorted(rows, key=lambda row: (order.index(row[0]) if row[0] in order else len(order), row)):
        grid.append([check, backend, *(_cell(record, check, backend) for record in records.values())])
    errors = [len(record.errors) if isinstance(record, Record) else 0 for record in records.values()]
    if any(errors):
        grid.append(["not judged at all", "", *(f"✗ {count} cases" if count else "" for count in errors)])
    sentences = [result.sentence for result in records.values() if isinstance(result, Failure)]
    return [*(text_table.lines(grid, CELL) if rows else []), *sentences]


def _cell(record: Result, check: str, backend: str) -> str:
    if isinstance(record, Failure):
        return "did not run"
    own = [v for v in record.verdicts if v.check == check and v.backend == backend]
    judged = [v for v in own if v.status in (PASSED, FAILED, KNOWN)]
    failed = [v for v in judged if v.status == FAILED]
    if not judged:
        return "—" if not own else own[0].status
    passed = f"{sum(v.status == PASSED for v in judged):>3}/{len(judged)}"
    if not failed:
        known = sum(v.status == KNOWN for v in judged)
        return f"{passed} ✓" if not known else f"{passed} known failure" if known == len(judged) else f"{passed} ✓ {known} known"
    worst = max(failed, key=lambda v: v.worst.exceedance if v.worst else 0.0)
    return f"{passed} ✗ {worst.subject} {worst.worst.where if worst.worst else ''}"


def broke(records: dict[str, Result]) -> list[str]:
    """From each version to the next one that ran: what got worse, changed or better."""
    ran = [(name, record) for name, record in records.items() if isinstance(record, Record)]
    lines: list[str] = []
    for (old_name, old), (new_name, new) in itertools.pairwise(ran):
        try:
            comparison = runs.compare(old, new)
        except runs.NothingShared as error:
            lines += ["", f"{old_name} → {new_name}: {error}"]
            continue
        lines += ["", f"{old_name} → {new_name}: {comparison.headline}"]
        shown = [change for change in comparison.shown if change.verdict in (WORSE, CHANGED, BETTER)]
        lines += render.table(shown[:BROKEN]) if shown else []
        if len(shown) > BROKEN:
            lines.append(f"… {len(shown) - BROKEN} more: python -m bench.compare with their records")
    return lines


def status(results: list[Result]) -> Status:
    """What is said of upgrading from the first version to the last, and of the last one alone."""
    failures = {result.status for result in results if isinstance(result, Failure)}
    ran = [result for result in results if isinstance(result, Record)]
    found = set[Status]()
    if len(ran) > 1:
        found.add(compared(ran[0], ran[-1]))
    if ran and (ran[-1].errors or any(v.status == FAILED for v in ran[-1].verdicts)):
        found.add(Status.FAILING)
    elif ran and any(v.judged for v in ran[-1].verdicts):
        found.add(Status.SAME)
    return most_serious(failures | found)


def compared(old: Record, new: Record) -> Status:
    """The status of a comparison; NOTHING where the two have no backend in common."""
    try:
        return runs.status(runs.compare(old, new))
    except runs.NothingShared:
        return Status.NOTHING
