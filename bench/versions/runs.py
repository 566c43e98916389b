"""The suite run in one set of requirements, in a process of its own; a run that has ended is kept and not repeated."""

import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench import files, imported
from bench.exit_status import Status
from bench.report.record import Record, RecordError
from bench.report.record_file import read
from bench.store import Store
from bench.versions.environments import build, importable, installed, name
from bench.versions.requirements import ROOT, VersionsError, Wanted

RESULTS = ROOT / ".gradgauge" / "versions"
CODE = ("conftest", *(f"bench.{path.stem}" for path in sorted((ROOT / "bench").glob("test_*.py"))))
DATA = ("baselines/*.json",)
"""What a run's result depends on besides its options and versions: the modules where a run begins, and the files that it reads."""
GIGABYTES = 3.0
"""Memory that one run of two frameworks is given; core runs held 2.6 to 2.9 at one time."""
RAN = (0, 1)
"""Exit statuses of pytest with which it has run to its end."""


@dataclass(frozen=True)
class Failure:
    """Why there is no record of a set: one sentence, and the status that a command ends with."""

    sentence: str
    status: Status


Result = Record | Failure


def recorded(folder: Path = RESULTS) -> Store[str]:
    """The records of earlier runs by set and options, made by the code and the packages that are here now."""
    return Store(folder / "results.jsonl", str, imported.digest(CODE, (installed(), sys.version), DATA))


def run(wanted: Wanted, options: list[str], store: Store[str], *, fresh: bool = False) -> Result:
    """The record of the set's run, from before or from now, or why there is none. Raises WriteError."""
    cell = shlex.join([wanted.text, *map(str, wanted.beside.requirements), *wanted.beside.words, *options])
    if (path := store.get(cell)) and not fresh and can_be_kept(wanted, options):
        try:
            record = read(Path(path))
        except RecordError:
            pass  # it was deleted: run again
        else:
            _say(f"{wanted.text}: kept from {record.started}, {os.path.relpath(path)}")
            return record
    try:
        _say(f"{wanted.text}: environment")
        interpreter = build(wanted)
        if wanted.environment and not any(option.startswith("--backend") for option in options):
            options = [*options, f"--backend={','.join(importable(interpreter.workers, wanted.text))}"]
    except VersionsError as error:
        return Failure(str(error), Status.BAD_INPUT)
    folder = files.folder(store.path.parent / name(wanted.text, f"{cell} {store.code}"))
    latest, log = folder / "latest.json", folder / "log.txt"
    latest.unlink(missing_ok=True)
    _say(f"{wanted.text}: runs, log in {os.path.relpath(log)}")
    begun = time.monotonic()
    with log.open("w", encoding="utf-8") as output:
        command = [interpreter.python, "-m", "pytest", "-p", "no:cacheprovider", f"--record-dir={folder}", *options]
        status = subprocess.run(command, cwd=ROOT, env=interpreter.variables(), stdout=output, stderr=subprocess.STDOUT).returncode
    _say(f"{wanted.text}: done in {time.monotonic() - begun:.0f} s, exit status {status}, {os.path.relpath(latest)}")
    try:
        record = read(latest)
    except RecordError:
        return Failure(f"{wanted.text}: the run left no record; {_last_line(log)}", Status.ENVIRONMENT)
    if status in RAN:
        store.keep(cell, str(latest))
    return record


def can_be_kept(wanted: Wanted, options: list[str]) -> bool:
    """Whether a run depends on nothing but what its digest knows, as a user's own model and environment do not."""
    return not wanted.environment and not any(option.startswith("--model") for option in options)


def beside(asked: int, sets: int) -> int:
    """How many runs at a time: as asked, unless memory is short."""
    fit = max(1, int(psutil.virtual_memory().available / 2**30 / GIGABYTES))
    if asked > fit:
        _say(f"-n {asked} would need {asked * GIGABYTES:.0f} GiB of memory, so {fit} at a time.")
    return max(1, min(asked, fit, sets))


def _say(line: str) -> None:
    print(line, flush=True)


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "nothing was printed"
