"""What a duet leaves behind: its own JSON with every raw series, and a line in the record of all duets."""

import dataclasses
import os
from pathlib import Path

import msgspec
from filelock import FileLock

from bench import files
from bench.report.record import RecordError
from bench.timing.duet.render import headline
from bench.timing.duet.rounds import Series
from bench.timing.duet.verdict import Judged, overall

FOLDER = Path(".gradgauge") / "duets"
HISTORY = "history.jsonl"


class Past(msgspec.Struct):
    """One duet in the record of all duets: when, between what, on what machine, and what came out."""

    when: str
    a: str
    b: str
    machine: str
    versions: list[dict[str, str]]
    outcomes: list[Judged]


def write(folder: Path, past: Past, judged: list[Judged], series: list[Series], environment: dict[str, str], status: int) -> Path:
    """Write `duet-<time>-<process>.json` whole, with the run's exit status, and add its line to the history.

    Raises WriteError where the folder refuses.
    """
    files.folder(folder)
    content = {
        "kind": "gradgauge duet", "schema": 1, "status": overall(judged), "exit_status": status, "headline": headline(judged),
        "environment": environment, **msgspec.to_builtins(past), "judged": judged, "series": series,
    }  # fmt: skip
    path = folder / f"duet-{past.when.replace(':', '')}-{os.getpid()}.json"
    files.write(path, msgspec.json.encode(content).decode())
    with FileLock(folder / f"{HISTORY}.lock"):
        record = folder / HISTORY
        before = record.read_text(encoding="utf-8") if record.exists() else ""
        files.write(record, before + msgspec.json.encode(past).decode() + "\n")
    return path


def outcomes(judged: list[Judged]) -> list[Judged]:
    """Verdicts without their raw numbers, for the record of all duets."""
    return [dataclasses.replace(each, log_ratios=[]) for each in judged]


def read_history(folder: Path = FOLDER) -> list[Past]:
    """Every duet so far, oldest first. Raises RecordError for a line that is none."""
    path, found = folder / HISTORY, []
    try:
        lines = path.read_bytes().splitlines() if path.exists() else []
    except OSError as error:
        raise RecordError(f"{path} cannot be read ({error.strerror}): make it a readable file, or delete it.") from None
    for number, line in enumerate(lines, start=1):
        try:
            found.append(msgspec.json.decode(line, type=Past))
        except files.NO_JSON as error:
            raise RecordError(f"{path}, line {number} is no duet ({error}): delete that line.") from None
    return found
