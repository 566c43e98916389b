"""What bad input gets: one sentence, a non-zero exit, no traceback of ours; and what an interrupted run leaves behind."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench.exit_status import Status
from bench.report.record_file import SCHEMA, read

ROOT = Path(__file__).resolve().parents[2]


def pytest_command(*arguments: str, record: Path) -> list[str]:
    return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--record-dir={record}", *arguments]


def run(*arguments: str, record: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """A run of its own, which does not take itself for a part of the spread run that tests it."""
    options.setdefault("env", {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")})
    return subprocess.run(pytest_command(*arguments, record=record), cwd=ROOT, capture_output=True, text=True, **options)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--cases=hge"], "cases=hge is not known: use one of smoke, core, full, published."),
        (["--backend=torhc"], "--backend=torhc is not known"),
        (["--backend="], "--backend is empty"),
        (["--device=tpu"], "--device=tpu is not known"),
        (["--data=minst"], "--data=minst is not known"),
        (["--seeds=0"], "--seeds=0 must be at least 1."),
        (["--update-baselines= "], "needs a reason"),
        (["--update-baselines=why", "--seeds=1"], "at least 2 seeds"),
        (["--record-dir=/proc/nowhere"], "cannot be used"),
        (["--report=/proc/nowhere"], "--report=/proc/nowhere cannot be used"),
    ],
)
def test_bad_options_are_one_sentence(arguments: list[str], words: str, tmp_path: Path) -> None:
    done = run(*arguments, record=tmp_path)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert words in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--data=mnist", "--data-dir=/nowhere"], pytest.ExitCode.USAGE_ERROR, "--download"),
        (["--device=cuda", "--backend=torch"], Status.ENVIRONMENT, "torch falls back to the CPU"),
        (["--device=cuda", "--backend=torch", "-n", "2"], Status.ENVIRONMENT, "torch falls back to the CPU"),
    ],
)
def test_absent_data_and_devices_end_the_run_before_it_trains(
    arguments: list[str], status: int, words: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # a machine that has a GPU must not find it
    done = run("--cases=smoke", *arguments, record=tmp_path)
    assert done.returncode == status
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_run_writes_its_record_and_names_the_healthy(tmp_path: Path) -> None:
    done = run("--cases=smoke", "--backend=torch", "-m", "not timing", f"--report={tmp_path}", record=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "torch: every judged number is within its bound" in done.stdout
    record = json.loads((tmp_path / "latest.json").read_text())
    assert record["schema"] == SCHEMA
    assert record["environment"]["torch"]
    checks = {verdict["check"] for verdict in record["verdicts"]}
    assert {"gradient_parity", "update", "training", "backward_gain", "finite"} <= checks
    assert all(verdict["judged"] for verdict in record["verdicts"])
    assert record["profiles"][0]["samples"]["accuracy"]
    assert (tmp_path / "latest.json").stat().st_size < 100_000
    junit = (tmp_path / "junit.xml").read_text()
    assert 'name="network" value="reference"' in junit
    assert "findings" not in junit, "JUnit repeats the record"
    assert "every judged number is within its bound" in (tmp_path / "report.html").read_text()
    assert f"page: {tmp_path / 'report.html'}" in done.stdout


def test_a_run_that_judges_nothing_fails(tmp_path: Path) -> None:
    done = run("--cases=smoke", "--backend=torch", "-k", "no_such_check", record=tmp_path)
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.mark.parametrize("elsewhere", [["--rootdir=/tmp"], ["-c", "/dev/null"], ["--benchmark-only"]])
def test_a_run_in_which_all_is_skipped_fails_wherever_pytest_thinks_it_is(elsewhere: list[str], tmp_path: Path) -> None:
    done = run("bench/test_itself.py", "--cases=smoke", "--backend=torch", "--benchmark-only", *elsewhere, record=tmp_path)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert "This run judged nothing, so it fails" in done.stdout
    assert read(tmp_path / "latest.json").exit_status == pytest.ExitCode.TESTS_FAILED


def test_a_recording_of_nothing_fails(tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in (ROOT / "baselines").glob("*.json")}
    done = run("--cases=smoke", "--backend=torch", "--update-baselines=why", "--seeds=2", "-k", "finite", record=tmp_path)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "No baseline was written, because this run has trained nothing" in done.stdout
    assert {path: path.read_bytes() for path in (ROOT / "baselines").glob("*.json")} == before


def test_a_run_whose_record_cannot_be_written_fails_and_leaves_no_older_one_to_be_compared(tmp_path: Path) -> None:
    (tmp_path / "latest.json").write_text("yesterday's")
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # noqa: E731
    done = run("--cases=smoke", "--backend=torch", "-k", "finite", record=tmp_path, preexec_fn=limit)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert "cannot be written (File too large)" in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_run_whose_junit_file_cannot_be_written_fails(tmp_path: Path) -> None:
    done = run("--cases=smoke", "--backend=torch", "-k", "finite", "--junitxml=/dev/full", record=tmp_path)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "/dev/full cannot be written (No space left on device)" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert read(tmp_path / "latest.json").exit_status == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize("refused", [["--cases=hge"], ["--cases=smoke", "--data=mnist", "--data-dir=/nowhere"]])
def test_a_run_that_is_refused_leaves_no_older_record_to_be_compared(refused: list[str], tmp_path: Path) -> None:
    (tmp_path / "latest.json").write_text("yesterday's")
    assert run(*refused, record=tmp_path).returncode == pytest.ExitCode.USAGE_ERROR
    assert not list(tmp_path.iterdir())


def test_listing_tests_removes_nothing(tmp_path: Path) -> None:
    (tmp_path / "latest.json").write_text("today's")
    assert run("--cases=smoke", "--collect-only", "-q", record=tmp_path).returncode == 0
    assert (tmp_path / "latest.json").exists()


def test_an_interrupt_leaves_no_worker_and_no_baseline_touched(tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in (ROOT / "baselines").glob("*.json")}
    command = pytest_command("--cases=core", "--backend=torch", "--update-baselines=never", record=tmp_path)
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    assert process.stdout
    for line in process.stdout:
        if line.startswith("[ "):
            break
    os.killpg(process.pid, signal.SIGINT)
    rest = process.communicate(timeout=60)[0]
    assert process.returncode == pytest.ExitCode.INTERRUPTED, rest
    time.sleep(0.5)
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    assert {path: path.read_bytes() for path in (ROOT / "baselines").glob("*.json")} == before


def test_the_record_of_equalities_is_read_again(tmp_path: Path) -> None:
    done = run("bench/test_equalities.py", "-k", "traces", "--backend=torch", record=tmp_path)
    assert done.returncode == 0, done.stdout
    kept = read(tmp_path / "latest.json")
    assert kept.verdicts[0].subject == "traces"
    assert kept.verdicts[0].rerun == "pytest 'bench/test_equalities.py::test_equality[traces-torch-cpu]'"


def test_backends_that_are_named_one_by_one_are_all_judged() -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--cases=smoke", "--collect-only", "-q"]
    seen = subprocess.run([*command, "--backend=torch", "--backend=numpy"], cwd=ROOT, capture_output=True, text=True).stdout
    assert "-torch-" in seen and "-numpy-" in seen


@pytest.mark.parametrize("words", [["experiment", "depth", "--table"], []], ids=["a command", "the list of commands"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_output_that_nobody_reads_any_more_ends_without_a_traceback(unbuffered: str, words: list[str]) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    command, given = [sys.executable, "-m", "bench", *words], os.environ | {"PYTHONUNBUFFERED": unbuffered}
    try:
        done = subprocess.run(command, stdout=writes, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=given, check=False)
    finally:
        os.close(writes)
    assert (done.returncode, done.stderr) == (Status.INTERRUPTED, "")
