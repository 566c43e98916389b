"""Processor time is counted once, by the innermost stage, and a run's profile adds up."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.exit_status import Status
from bench.imported import ROOT
from bench.timing.profile import data_folder
from models.spent import Ledger, spent_on


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        """Seconds so far."""
        return self.now


def test_time_counts_for_the_innermost_stage_alone() -> None:
    clock = Clock()
    ledger = Ledger(clock)
    with ledger.stage("outer"):
        clock.now += 1
        with ledger.stage("inner"):
            clock.now += 10
            with ledger.stage("outer"):
                clock.now += 100
        with ledger.stage("inner"):
            clock.now += 1000
    clock.now += 5
    assert ledger.take() == {"outer": 101, "inner": 1010}
    assert ledger.take() == {}


def test_what_raises_is_counted_and_stages_after_it_are_right() -> None:
    clock = Clock()
    ledger = Ledger(clock)

    @spent_on(ledger, "failing")
    def fail() -> None:
        clock.now += 3
        raise ValueError

    with ledger.stage("outer"):
        clock.now += 1
        with pytest.raises(ValueError):
            fail()
        clock.now += 1
    ledger.charge("failing", 4)
    assert ledger.take() == {"outer": 2, "failing": 7}


def profile(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What the command says and ends with."""
    begin = [sys.executable, "-m", "bench", "profile"]
    return subprocess.run([*begin, *words, "-q", f"--record-dir={tmp_path}"], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize(("words", "folder"), [
    (["--data=mnist", "--data-dir", "here"], Path("here")), (["--data-dir=there", "-q"], Path("there")), (["-q"], None),
])  # fmt: skip
def test_the_shortest_way_finds_the_data_where_the_run_did(words: list[str], folder: Path | None) -> None:
    assert data_folder(words) == folder


def test_a_profile_adds_up_to_what_the_processes_used(tmp_path: Path) -> None:
    done = profile(tmp_path, "--backend=numpy", "--network=depth=4", "--bare", "-o", str(tmp_path / "spent.json"))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "spent.json").read_text(encoding="utf-8"))
    assert {"training", "watched passes", "first step", "imports", "messages"} <= set(found["stages"]["numpy"])
    assert {"checks", "reference", "theory", "imports and collection"} <= set(found["stages"]["judge"])
    assert all(seconds >= 0 for stages in found["stages"].values() for seconds in stages.values())
    assert max(found["subjects"]["numpy"], key=found["subjects"]["numpy"].__getitem__) == "depth=4"
    assert 0 < found["bare"]["numpy"] < sum(found["stages"]["numpy"].values())
    assert "by the shortest way" in done.stdout


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("-n", "2"), Status.BAD_INPUT, "processes of -n"),
        (("--backend=numpy", "--network=depth=0"), 4, "depth"),
        (("--backend=numpy", "--network=depth=4", "-k", "nothing_of_this_name"), 5, "nothing to profile"),
    ],
)
def test_what_cannot_be_profiled_is_said(words: tuple[str, ...], status: int, sentence: str, tmp_path: Path) -> None:
    done = profile(tmp_path, *words)
    assert done.returncode == status
    assert sentence in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
