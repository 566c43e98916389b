"""One run as one self-contained page: what it says; how it looks is in `templates/`.

Everything from outside is escaped by the template engine; only pictures drawn here are marked as safe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench import files
from bench.checks import CHECKS
from bench.judging.verdict import FAILED, KNOWN, PASSED, Verdict
from bench.report import galleries, summary, texts
from bench.report.record import Option, Record

SHOWN_FINDINGS = 12
"""How many findings of a failure a page shows."""


def write(path: Path, text: str) -> Path:
    """Put a page into its file. Raises WriteError where it cannot be written."""
    return files.write(path, text)


def of_run(run: Record) -> str:
    """The page of one run."""
    failures = sorted((v for v in run.verdicts if v.status == FAILED), key=lambda v: -(v.worst.exceedance if v.worst else 0.0))
    healthy = any(v.judged for v in run.verdicts)
    timed = f"{len(run.timings)} step times, which judge nothing."
    outside = lambda v: sorted((f for f in v.findings if not f.within), key=lambda f: -f.exceedance)[:SHOWN_FINDINGS]  # noqa: E731
    return fill(
        "run",
        {"number": texts.number, "allowed": texts.allowed, "outside": outside},
        title="gradgauge",
        headline=summary.verdict_line(run.verdicts, len(run.errors)) if run.verdicts or run.errors else timed,
        tone="bad" if failures or run.errors else "good" if healthy else "mute",
        run=run,
        frameworks=f"{run.frameworks} · {run.environment.get('device', '')}",
        failures=failures,
        checks=_checks(run),
        reasons=[*summary.counted(run.verdicts), *summary.not_applicable(run.not_applicable)],
        galleries=galleries.of_run(run),
        environment=list((run.environment | {name: _plain(value) for name, value in run.options.items()}).items()),
        source=run.name,
    )


def fill(name: str, filters: dict[str, Callable[..., object]], **content: object) -> str:
    """A template filled in; everything from outside is escaped."""
    folder = FileSystemLoader(Path(__file__).parent / "templates")
    environment = Environment(loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= filters
    return environment.get_template(f"{name}.html.jinja").render(**content)


def _plain(value: Option) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@dataclass(frozen=True)
class Cell:
    """What one backend did in one check: the tone of its colour, passed of judged, and the tightest or the worst."""

    tone: str
    count: str
    text: str


@dataclass(frozen=True)
class Row:
    """A check, with a cell for each backend."""

    check: str
    against: str
    cells: list[Cell]


def _checks(run: Record) -> list[Row]:
    rows = []
    for check in dict.fromkeys([*CHECKS, *(v.check for v in run.verdicts)]):
        own = [v for v in run.verdicts if v.check == check]
        if own:
            cells = [_cell([v for v in own if v.backend == backend]) for backend in run.backends]
            rows.append(Row(check, own[0].against, cells))
    return rows


def _cell(verdicts: list[Verdict]) -> Cell:
    judged = [v for v in verdicts if v.status in (PASSED, FAILED, KNOWN)]
    if not judged:
        return Cell("mute", "—", verdicts[0].status if verdicts else "")
    passed = [v for v in judged if v.status == PASSED]
    failed = [v for v in judged if v.status == FAILED]
    known = len(judged) - len(passed) - len(failed)
    text = texts.counted(known, KNOWN) if known else ""
    if failed:
        worst = max(failed, key=lambda v: v.worst.exceedance if v.worst else 0.0)
        text = f"worst: {worst.subject} {worst.worst.where if worst.worst else ''}"
    elif passed:
        tightest = min(passed, key=lambda v: v.headroom)
        text = f"{texts.share(tightest.headroom)} headroom at {tightest.subject}" + (f", {text}" if known else "")
    tone, mark = ("bad", "✗") if failed else ("good", "✓") if passed else ("mute", "·")
    return Cell(tone, f"{mark} {len(passed)}/{len(judged)}", text)
