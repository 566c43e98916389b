"""No bad input is taken, and none ends in a traceback: the command lines of `bench.selftest.hostile`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.selftest.hostile import Said, faults, lines

ROOT = Path(__file__).resolve().parents[2]


def test_every_bad_line_is_refused_in_a_sentence() -> None:
    done = subprocess.run([sys.executable, "-m", "bench.selftest.hostile"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(" lines, 0 of them not refused in a sentence\n")


def test_the_lines_are_many(tmp_path: Path) -> None:
    assert len(lines(tmp_path)) > 150


@pytest.mark.parametrize(
    ("status", "output", "wrong"),
    [
        (0, "depth=1 is bad", "ended with 0"),
        (-9, "depth=1 is bad", "ended with -9"),
        (2, "something else", "does not say"),
        (1, "Traceback (most recent call last)\ndepth=1 is bad", "printed Traceback"),
        (3, "INTERNALERROR> depth=1 is bad", "printed INTERNALERROR"),
        (2, "depth=1 is bad", ""),
    ],
)
def test_a_line_that_is_taken_crashes_or_says_something_else_is_found(status: int, output: str, wrong: str) -> None:
    found = faults(Said(status, output, 0.0), "depth=1")
    assert (not found) if not wrong else any(wrong in each for each in found)


@pytest.mark.parametrize("command", ["pytest --cases=smoke", "bench", "bench.compare a b", "bench.theory"])
@pytest.mark.parametrize("how", ["-O", "PYTHONOPTIMIZE"])
def test_a_python_without_assertions_is_refused(command: str, how: str) -> None:
    """Without assertions no check that yields nothing is noticed."""
    words = [sys.executable, *([how] if how == "-O" else []), "-m", *command.split()]
    variables = os.environ | ({} if how == "-O" else {how: "1"})
    done = subprocess.run(words, cwd=ROOT, env=variables, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("gradgauge judges by assertions, which PYTHONOPTIMIZE and -O remove")
    assert "Traceback" not in done.stderr
