"""Disturbed runs: what must not be overlooked in how one ended, tried on processes that end wrongly."""

from __future__ import annotations

import random
import signal
import sys
from pathlib import Path

import pytest

from bench.report import record_file
from bench.selftest import disturbed as subject
from bench.selftest import made_up
from bench.selftest.disturbed import GREEN, RED, Trial, read, signalled, summary, take, trials


def ended(monkeypatch: pytest.MonkeyPatch, script: str, trial: Trial, judged: int = 0) -> tuple[int, list[str]]:
    """How a script in the place of a run is said to have ended; `RECORDS` in it is the folder of records."""
    own = "import sys; RECORDS = next(word for word in sys.argv if word.startswith('--record-dir=')).partition('=')[2]\n"
    monkeypatch.setattr(subject, "RUN", ("-c", own + script))
    found = take(trial, 0.2, judged, random.Random(0))
    return found.status, found.wrong


def test_there_are_thirty_signals_and_a_name_for_each_kind() -> None:
    names = [trial.name for trial in trials()]
    assert sum(name.startswith("SIG") for name in names) == 30
    assert {f"{name} to the {whom}" for name in ("SIGKILL", "SIGTERM", "SIGINT") for whom in ("judge", "worker")} <= set(names)
    assert len([name for name in names if not name.startswith("SIG")]) == len({name for name in names if not name.startswith("SIG")})


@pytest.mark.parametrize(
    ("script", "allowed", "wrong"),
    [
        ("sys.exit(0)", RED, "ended with 0"),
        ("sys.exit(3)", GREEN, "ended with 3"),
        ("raise RuntimeError", RED, "printed Traceback (most recent call last)"),
        ("open(RECORDS + '/latest.json', 'w').write('{'); sys.exit(1)", RED, "is not whole"),
        ("open(RECORDS + '/latest.json.tmp', 'w').write('{'); sys.exit(1)", RED, "left latest.json.tmp"),
        ("sys.exit(0)", GREEN, "is green and has 0 green records"),
        ("import subprocess; subprocess.Popen(['sleep', '600']); sys.exit(1)", RED, "left process"),
    ],
)
def test_what_is_wrong_with_an_end_is_said(script: str, allowed: tuple[int, ...], wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "MISSED", 0.5)
    assert any(wrong in each for each in ended(monkeypatch, script, Trial("made up", allowed))[1])


def test_a_green_record_of_less_or_of_a_red_run_is_found(tmp_path: Path) -> None:
    path = made_up.path(tmp_path)
    record = record_file.read(path)
    record.exit_status = 0
    (tmp_path / "records").mkdir()
    record_file.write(tmp_path / "records", record)
    judged = sum(verdict.judged for verdict in record.verdicts)
    trial = Trial("made up", GREEN)
    assert list(subject._files(tmp_path / "records", trial, [0], judged)) == []
    assert list(subject._files(tmp_path / "records", trial, [0], judged + 1)) == ["is green and has judged less"]
    assert list(subject._files(tmp_path / "records", trial, [1], judged)) == ["is red and has a green record"]
    assert list(subject._files(tmp_path / "records", trial, [-9], judged)) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_the_judge(number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    status, _ = ended(monkeypatch, "import time; time.sleep(600)", signalled(number, "judge"))
    assert status in (-number, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="stopped processes are looked for in /proc")
def test_a_run_that_hangs_is_ended_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "LONGEST", 0.5)
    status, wrong = ended(monkeypatch, "import time; time.sleep(600)", Trial("made up", GREEN))
    assert status == 999 and "ended with 999" in wrong


def test_the_committed_table_has_nothing_wrong() -> None:
    frame = read()
    assert "0 of them ended wrongly" in summary(frame)
    assert frame["trial"].iloc[0] == subject.UNDISTURBED
