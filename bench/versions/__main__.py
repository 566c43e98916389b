"""Run the matrix in several releases and print versions × checks, with what broke where.

Each SET of requirements replaces the project's own of the same names: keras==3.12.0, or in quotes several at once,
"keras==3.0.2 tensorflow-cpu==2.16.2 numpy<2". Environments and results are kept in .gradgauge, so that a run that was
interrupted goes on where it was; from the first other option on, everything is handed to pytest (--cases=smoke, -k …).
The exit status is 0 if every version is healthy, 10 if one fails a check, 2 if one could not be installed or run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from bench.exit_status import Status
from bench.report.record import Record, RecordError, read
from bench.versions import table
from bench.versions.environments import ROOT, VersionsError, Wanted, build
from bench.versions.sources import digest

RESULTS = ROOT / ".gradgauge" / "versions"
GIGABYTES = 3.0
"""Memory that one run of two frameworks is given; core runs held 2.6 to 2.9 at one time."""
RAN = (0, 1)
"""Exit statuses of pytest with which it has run to its end."""
OWN = ("-n", "--fresh", "-h", "--help")


def main(arguments: list[str] | None = None) -> Status:
    """Build, run, print."""
    words = sys.argv[1:] if arguments is None else arguments
    cut = next((place for place, word in enumerate(words) if word.startswith("-") and word.partition("=")[0] not in OWN), len(words))
    parser = argparse.ArgumentParser(prog="python -m bench versions", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sets", nargs="+", metavar="SET", help="requirements to run with, one column each")
    parser.add_argument(
        "-n", type=int, default=1, metavar="RUNS", help="runs at a time, as memory allows; with more than one, nothing is timed"
    )
    parser.add_argument("--fresh", action="store_true", help="run again what was run before")
    given = parser.parse_args(words[:cut])
    options = words[cut:]
    try:
        wanted = [Wanted(" ".join(text.split())) for text in dict.fromkeys(given.sets)]
        for each in wanted:
            each.requirements  # noqa: B018 (raises for what cannot be read, before anything is built)
    except VersionsError as error:
        print(error, file=sys.stderr)
        return Status.BAD_INPUT
    beside = _beside(given.n, len(wanted))
    if beside > 1:
        options = [*options, "--ignore=bench/test_step_time.py"]
        _say(f"{beside} runs at a time; nothing is timed.")
    with ThreadPoolExecutor(beside) as pool:
        records = dict(zip([w.text for w in wanted], pool.map(lambda each: result(each, options, given.fresh), wanted), strict=True))
    print("\n" + "\n".join([*table.table(records), *table.broke(records)]))
    if any(isinstance(record, str) for record in records.values()):
        return Status.BAD_INPUT
    return Status.SAME if table.healthy(records) else Status.WORSE


def result(wanted: Wanted, options: list[str], fresh: bool = False) -> Record | str:
    """The record of the set's run, from before or from now; a sentence if there is none."""
    folder = RESULTS / _key(wanted, options)
    record = folder / "latest.json"
    if record.exists() and not fresh:
        try:
            kept = read(record)
            if kept.exit_status in RAN:
                _say(f"{wanted.text}: kept from {kept.started}, {os.path.relpath(record)}")
                return kept
        except RecordError:
            pass  # half written when it was interrupted: run again
    try:
        _say(f"{wanted.text}: environment")
        interpreter = build(wanted)
    except VersionsError as error:
        return str(error)
    folder.mkdir(parents=True, exist_ok=True)
    record.unlink(missing_ok=True)
    _say(f"{wanted.text}: runs, log in {os.path.relpath(folder / 'log.txt')}")
    begun = time.monotonic()
    with (folder / "log.txt").open("w", encoding="utf-8") as log:
        command = [interpreter.python, "-m", "pytest", "-p", "no:cacheprovider", f"--record-dir={folder}", *options]
        status = subprocess.run(command, cwd=ROOT, env=interpreter.variables(), stdout=log, stderr=subprocess.STDOUT).returncode
    _say(f"{wanted.text}: done in {time.monotonic() - begun:.0f} s, exit status {status}, {os.path.relpath(record)}")
    try:
        return read(record)
    except RecordError:
        return f"{wanted.text}: the run left no record; {_last_line(folder / 'log.txt')}"


def _beside(asked: int, sets: int) -> int:
    """How many runs at a time: as asked, unless memory is short."""
    fit = max(1, int(psutil.virtual_memory().available / 2**30 / GIGABYTES))
    if asked > fit:
        _say(f"-n {asked} would need {asked * GIGABYTES:.0f} GiB of memory, so {fit} at a time.")
    return max(1, min(asked, fit, sets))


def _key(wanted: Wanted, options: list[str]) -> str:
    name = "".join(c if c.isalnum() or c in "._" else "-" for c in wanted.text)
    return f"{name[:80]}-{digest((wanted.text, options, sys.version))}"


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "nothing was printed"


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
