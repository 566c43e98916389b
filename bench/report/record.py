"""The machine-readable record of a run: schema, environment, every finding and every timing."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from bench.baseline import write_atomically
from bench.judge import Verdict

SCHEMA = 1
DIGITS = 5


def write(folder: Path, started: str, content: dict[str, Any], verdicts: list[Verdict], timings: list[dict[str, Any]]) -> Path:
    """Write `run-<time>-<process>.json` and the same as `latest.json`; returns the first. Raises BaselineError for an unwritable folder."""
    record = {
        "schema": SCHEMA,
        "kind": "gradgauge run",
        "started": started,
        **content,
        "verdicts": [_verdict(verdict) for verdict in verdicts],
        "timings": timings,
    }
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    path = folder / f"run-{started.replace(':', '')}-{os.getpid()}.json"
    write_atomically(path, text)
    write_atomically(folder / "latest.json", text)
    return path


def _verdict(verdict: Verdict) -> dict[str, Any]:
    plain = dataclasses.asdict(verdict)
    plain["left"] = _short(verdict.left)
    plain["findings"] = [
        {"where": f.where, "value": _short(f.value), "low": _short(f.low), "high": _short(f.high)}
        | ({} if f.inside or not f.note else {"note": f.note})
        for f in verdict.findings
    ]
    return plain


def _short(value: float) -> float | str:
    """Few digits; NaN and Inf as text, since JSON has neither."""
    return float(f"{value:.{DIGITS}g}") if abs(value) < float("inf") else str(value)
