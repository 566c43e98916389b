"""Experiments: run by their command, kept when killed, judged against the record, shown beside what was published."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from bench.exit_status import Status
from bench.experiments import record
from bench.experiments.__main__ import main
from bench.experiments.catalogue import EXPERIMENTS
from bench.experiments.cell import cells
from bench.experiments.experiment import Seen
from bench.selftest.pages import ROOT
from fixtures.data.memory_problems import problem

SIZES = {"mnist": SimpleNamespace(features=784, classes=10), "digits": SimpleNamespace(features=64, classes=10)}


def command(folder: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "bench", "experiment", *words, f"--store={folder / 'store'}", f"--baselines={folder / 'records'}"]


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(folder, *words), cwd=ROOT, capture_output=True, text=True)


def test_all_are_listed_with_question_and_cost(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == Status.SAME
    listed = capsys.readouterr().out
    assert all(each.name in listed and each.question in listed and each.cost in listed for each in EXPERIMENTS.values())


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_quick_form_runs_on_the_reference(name: str, tmp_path: Path) -> None:
    done = run(tmp_path, name, "--quick", "--backend=numpy", "--record=a test", "-n1")
    assert done.returncode == Status.SAME, done.stderr
    assert "NumPy" in done.stdout and "nothing recorded" in done.stdout
    content = record.read(f"{name}-quick", tmp_path / "records")
    assert content and len(content.cells) == len(cells(EXPERIMENTS[name].quick, ["numpy"]))
    assert main([name, "--quick", f"--baselines={tmp_path / 'records'}", f"--plot={tmp_path / 'pictures'}"]) == Status.SAME
    drawn = {path.stem.partition("-")[0] for path in (tmp_path / "pictures").glob("*.png")}
    undrawn = {"remedies", "pixels"}, "of the small form of remedies nothing is predicted, and one length of pixels makes no line"
    assert drawn == ({name} if name not in undrawn[0] else set()), undrawn[1]


def test_a_quick_form_runs_on_both_frameworks(tmp_path: Path) -> None:
    done = run(tmp_path, "statistics", "--quick", "-n2", "--only=depth=4")
    assert done.returncode == Status.SAME, done.stderr
    assert done.stdout.count("PyTorch") == done.stdout.count("| Keras") == 1, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_quick_form_takes_less_than_a_minute_on_both_frameworks(name: str, tmp_path: Path) -> None:
    begun = time.monotonic()
    done = run(tmp_path, name, "--quick", "-n2")
    assert done.returncode == Status.SAME, done.stderr
    assert time.monotonic() - begun < 60


def test_what_is_finished_is_kept_when_a_run_is_killed_and_judged_by_the_record(tmp_path: Path) -> None:
    words = ("depth", "--quick", "--backend=numpy", "-n1", "--seeds=3", "--only=plain depth=4")
    process = subprocess.Popen(command(tmp_path, *words), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    store = tmp_path / "store" / "depth-quick.jsonl"
    while process.poll() is None and not (store.exists() and store.read_bytes().count(b"\n") >= 1):
        time.sleep(0.02)
    process.kill()
    process.communicate()
    kept = store.read_bytes().count(b"\n")
    assert kept >= 1
    store.write_bytes(store.read_bytes() + b'{"cell": "cut of')
    finished = run(tmp_path, *words, "--finished")
    assert f"{kept} of 3 cells are finished already" in finished.stderr and finished.returncode == Status.SAME
    done = run(tmp_path, *words, "--record=a test")
    assert done.returncode == Status.SAME, done.stderr
    assert f"{kept} of 3 cells are finished already" in done.stderr and "3 cells, 3 of them new" in done.stdout
    path = record.path_of("depth-quick", tmp_path / "records")
    same = run(tmp_path, *words)
    assert same.returncode == Status.SAME and "within" in same.stdout
    content = json.loads(path.read_text(encoding="utf-8"))
    for each in content["cells"].values():
        each["accuracy"] = [0.99] * len(each["accuracy"])
    path.write_text(json.dumps(content), encoding="utf-8")
    changed = run(tmp_path, *words)
    assert changed.returncode == Status.WORSE and "WORSE" in changed.stdout


def test_an_interrupt_ends_the_run_and_says_how_to_go_on(tmp_path: Path) -> None:
    words = command(tmp_path, "depth", "--quick", "--backend=numpy", "-n1", "--epochs=2000", "--only=plain depth=4")
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    assert "epoch" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == Status.INTERRUPTED
    assert "the same command goes on" in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["dpeth"], "dpeth is no experiment (did you mean depth?)"),
        (["depth", "--quick", "--only=depth=7"], "--only='depth=7' fits no cell"),
        (["depth", "--quick", "--device=tpu"], "--device=tpu is not known"),
        (["depth", "--quick", "--backend=torhc"], "--backend=torhc is not known"),
        (["depth", "--quick", "--backend="], "--backend is empty"),
        (["depth", "--quick", "--record= "], "needs a reason"),
        (["depth", "--data-dir=/nowhere"], "mnist is not, or not whole, in /nowhere"),
        (["depth", "--quick", "--table"], "Nothing is recorded of depth-quick"),
    ],
)
def test_bad_input_is_one_sentence(words: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, f"--baselines={tmp_path}", f"--store={tmp_path}"]) == Status.BAD_INPUT
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1


def test_a_device_that_a_backend_does_not_use_is_said_once(tmp_path: Path) -> None:
    done = run(tmp_path, "depth", "--quick", "--backend=numpy", "--device=cuda", "-n1")
    assert done.returncode == Status.ENVIRONMENT
    assert "8 cells were not trained" in done.stderr and done.stderr.count("NumPy computes on the CPU") == 1
    assert "Traceback" not in done.stderr


def test_what_cannot_be_kept_is_not_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert main(["depth", "--quick", "--backend=numpy", f"--store={tmp_path / 'file' / 'store'}"]) == Status.BAD_INPUT
    assert "cannot be made" in capsys.readouterr().err


def test_no_folder_for_mnist_is_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("GRADGAUGE_MNIST", raising=False)
    assert main(["depth"]) == Status.BAD_INPUT
    assert "mnist is not embedded" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"schema": 1}', '{"schema": 9, "experiment": "depth", "data": "x", "recordings": [], "cells": {}}']
)
def test_a_record_that_is_none_is_refused(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "depth.json").write_text(text, encoding="utf-8")
    assert main(["depth", "--table", f"--baselines={tmp_path}"]) == Status.BAD_INPUT
    assert "restore it from version control" in capsys.readouterr().err


def test_a_row_is_chosen_by_its_whole_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [f"--baselines={tmp_path}", f"--store={tmp_path}", "--backend=numpy", "--finished", "--seeds=1"]
    assert main(["adding", "--only=lag=100", *given]) == Status.NOTHING
    assert "nothing recorded for 0 of 0" not in capsys.readouterr().out
    assert main(["adding", "--only=lag=10", *given]) == Status.BAD_INPUT
    assert "--only='lag=10' fits no cell" in capsys.readouterr().err


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_cell_can_be_built_and_has_a_name_of_its_own(name: str) -> None:
    for rows, usual in ((EXPERIMENTS[name].rows, SIZES["mnist"]), (EXPERIMENTS[name].quick, SIZES["digits"])):
        wanted = cells(rows, ["torch", "keras"])
        assert len({cell.key for cell in wanted}) == len(wanted)
        for cell in wanted:
            data = usual if not cell.row.data else SIZES[cell.row.data] if cell.row.data in SIZES else problem(cell.row.data)
            assert cell.spec(data).batch in (32, 128, 512, 1024)


def test_a_framework_that_lacks_a_part_is_not_asked_and_not_missed() -> None:
    rows = [row for row in EXPERIMENTS["remedies"].rows if row.label in ("lion optimizer", "radam optimizer") and row.depth == 40]
    assert [(cell.row.label, cell.backend) for cell in cells(rows, ["torch", "keras", "keras-jax"])] == [
        ("radam optimizer", "torch"), ("lion optimizer", "keras"), ("lion optimizer", "keras-jax"),
    ]  # fmt: skip
    result = record.Result([0.5], [1.0], [1], {}, 1.0)
    seen = Seen(rows, {cell.key: result for cell in cells(rows, ["torch", "keras"])})
    text = "\n".join(EXPERIMENTS["remedies"].tables(seen))
    assert text.count("lacks it") == 2 and "have not been trained yet" not in text


def test_workers_do_not_outlive_a_killed_run(tmp_path: Path) -> None:
    words = command(tmp_path, "depth", "--quick", "--backend=numpy", "-n1", "--epochs=2000", "--only=plain depth=4")
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        process.stderr.readline()
        tasks = Path(f"/proc/{process.pid}/task")
        children = [int(word) for listed in tasks.glob("*/children") for word in listed.read_text().split()]
        process.kill()
    if not children:
        pytest.skip("this system does not list a process's children")
    until = time.monotonic() + 20
    while any(_alive(pid) for pid in children) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(_alive(pid) for pid in children)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_without_ray_a_cluster_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    words = ["depth", "--quick", "--backend=numpy", "--ray=local", f"--store={tmp_path}"]
    assert main(words) == Status.BAD_INPUT
    assert "--ray needs the package ray" in capsys.readouterr().err


def test_a_cell_whose_ray_worker_is_killed_runs_again(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed here")
    words = command(tmp_path, "depth", "--quick", "--backend=numpy", "--ray=local", "-n2", "--epochs=40", "--only=plain")
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        killed = 0
        while process.poll() is None and not killed:
            for child in psutil.Process(process.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if "ray::train_alone" in " ".join(child.cmdline()):
                        child.kill()
                        killed += 1
                        break
            time.sleep(0.05)
        said, _ = process.communicate()
    assert killed == 1 and process.returncode == Status.SAME
    content = (tmp_path / "store" / "depth-quick.jsonl").read_bytes()
    assert content.count(b"\n") == 3 and "NumPy" in said
