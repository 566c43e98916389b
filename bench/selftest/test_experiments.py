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
from typing import Any

import psutil
import pytest

from bench.exit_status import Status
from bench.experiments import page, predictions, record
from bench.experiments.__main__ import main
from bench.experiments.catalogue import EXPERIMENTS
from bench.experiments.cell import Cell, Row, cells
from bench.experiments.depth import PUBLISHED
from bench.experiments.experiment import Seen, interval, mean
from bench.experiments.judge import judge, judge_in_time, overall
from bench.experiments.page import PICTURES
from bench.experiments.record import Result
from bench.experiments.remedies import shares
from bench.selftest.pages import ROOT, read
from fixtures.data.memory_problems import problem
from models.parts.activations import ACTIVATIONS

ROW = Row("plain", 4, "depth=4", epochs=1)
SIZES = {"mnist": SimpleNamespace(features=784, classes=10), "digits": SimpleNamespace(features=64, classes=10)}


def command(folder: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "bench", "experiment", *words, f"--store={folder / 'store'}", f"--baselines={folder / 'records'}"]


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(folder, *words), cwd=ROOT, capture_output=True, text=True)


def result(last: float, **given: Any) -> Result:
    return Result(accuracy=[last], loss=[1.0], layers=[1, 4], norms={"0": [-2.0, 0.0]}, ms_a_step=1.0, **given)


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


def made_up(accuracies: list[float], backend: str = "torch") -> dict[Cell, Result]:
    return {Cell(ROW, backend, seed): result(value) for seed, value in enumerate(accuracies)}


@pytest.mark.parametrize(
    ("now", "then", "status"),
    [
        ([0.98, 0.981, 0.979], [0.98, 0.981, 0.979], Status.SAME),
        ([0.981, 0.979, 0.985], [0.98, 0.984, 0.979], Status.SAME),
        ([0.5, 0.51, 0.49], [0.98, 0.984, 0.979], Status.WORSE),
        ([0.9999, 1.0, 0.9999], [0.70, 0.71, 0.69], Status.FAILING),
        ([0.5], [0.98], Status.INCONCLUSIVE),
        ([0.98], [0.98], Status.SAME),
    ],
)
def test_a_run_is_judged_by_the_spread_of_recorded_seeds(now: list[float], then: list[float], status: Status) -> None:
    recorded = {cell.key: each for cell, each in made_up(then).items()}
    assert overall(judge(made_up(now), recorded)) == status


@pytest.mark.parametrize(
    ("now", "status"),
    [
        ([-3.0, -1.01, 0.0], Status.SAME),
        ([-2.97, -1.0, 0.0], Status.FAILING),
        ([-3.0, -1.0, -0.05], Status.WORSE),
        ([None, -1.0, 0.0], Status.WORSE),
    ],
)
def test_gradients_through_time_before_training_are_the_recorded_ones(now: list[float | None], status: Status) -> None:
    """One seed is enough. What lies under the range of float32 is not judged, and one that vanished there is."""
    cell = Cell(ROW, "torch", 0)
    then, seen = (
        result(0.9, times=[1, 2, 3, 4], in_time={"0": [last, *norms]}) for last, norms in ((-40.0, [-3.0, -1.0, 0.0]), (-50.0, now))
    )
    assert overall(judge_in_time({cell: seen}, {cell.key: then})) == status


def test_a_row_is_chosen_by_its_whole_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [f"--baselines={tmp_path}", f"--store={tmp_path}", "--backend=numpy", "--finished", "--seeds=1"]
    assert main(["adding", "--only=lag=100", *given]) == Status.NOTHING
    assert "nothing recorded for 0 of 0" not in capsys.readouterr().out
    assert main(["adding", "--only=lag=10", *given]) == Status.BAD_INPUT
    assert "--only='lag=10' fits no cell" in capsys.readouterr().err


def test_nothing_is_predicted_of_a_recurrent_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adding", "--quick", "--predict", f"--predictions={tmp_path / 'said.json'}"]) == Status.BAD_INPUT
    assert "Nothing is predicted of tanh, orthogonal" in capsys.readouterr().err


def test_what_is_not_recorded_is_not_judged() -> None:
    assert judge(made_up([0.5]), {}) == [] and overall([]) == Status.SAME


def test_two_frameworks_of_two_seeds_give_a_spread() -> None:
    recorded = {cell.key: each for backend in ("torch", "keras") for cell, each in made_up([0.98, 0.982], backend).items()}
    assert overall(judge(made_up([0.3, 0.3]), recorded)) == Status.WORSE


def test_an_interval_stays_within_what_an_accuracy_can_be() -> None:
    low, high = interval([0.999, 1.0, 0.998])
    assert 0 < low < 0.999 < high <= 1
    assert mean([0.5]) == "0.500 ×1" and mean([]) == "–" and "±" in mean([0.5, 0.6])


def test_the_published_table_is_there_as_data_and_in_the_table() -> None:
    assert PUBLISHED["depths"] == [10, 15, 20, 25, 30, 35, 40]
    assert PUBLISHED["accuracy"]["plain"] == [0.98, 0.96, 0.95, 0.09, 0.11, 0.11, 0.11]
    assert PUBLISHED["accuracy"]["batch norm"] == [0.98, 0.98, 0.98, 0.98, 0.78, 0.24, 0.09]
    assert PUBLISHED["accuracy"]["batch norm + skip"] == [0.98, 0.98, 0.98, 0.98, 0.98, 0.95, 0.30]
    depth = EXPERIMENTS["depth"]
    lines = list(depth.tables(Seen(depth.rows, {})))
    assert "| batch norm | 2018 | 0.98 | 0.98 | 0.98 | 0.98 | 0.78 | 0.24 | 0.09 |" in lines
    assert {row.depth for row in depth.rows} == set(PUBLISHED["depths"])


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_cell_can_be_built_and_has_a_name_of_its_own(name: str) -> None:
    for rows, usual in ((EXPERIMENTS[name].rows, SIZES["mnist"]), (EXPERIMENTS[name].quick, SIZES["digits"])):
        wanted = cells(rows, ["torch", "keras"])
        assert len({cell.key for cell in wanted}) == len(wanted)
        for cell in wanted:
            data = usual if not cell.row.data else SIZES[cell.row.data] if cell.row.data in SIZES else problem(cell.row.data)
            assert cell.spec(data).batch in (32, 128, 512)


def test_every_activation_is_a_remedy() -> None:
    labels = {row.label for row in EXPERIMENTS["remedies"].rows}
    assert {f"{name} activation" for name in ACTIVATIONS if name not in ("linear", "relu")} <= labels


def test_the_share_of_right_predictions_counts_both_kinds_of_error() -> None:
    rows = [Row(str(n), 40, f"depth={n + 4}") for n in range(4)]
    said = {row.network: predictions.Predicted(0.0 if n < 2 else 5.0, ["healthy"]) for n, row in enumerate(rows)}
    results = {Cell(row, "torch", 0).key: result(0.95 if n % 2 else 0.1) for n, row in enumerate(rows)}
    lines = list(shares(Seen(rows, results), said))
    assert lines == ["Predicted by gain: 2 of 4 right (50%); 2 train.", "Predicted by diagnosis: 2 of 4 right (50%); 2 train."]


def test_a_prediction_that_stands_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "predictions.json"
    predictions.write([(ROW, predictions.Predicted(1.0, ["healthy"]))], path)
    predictions.write([(ROW, predictions.Predicted(9.0, ["vanishing"]))], path)
    assert predictions.read(path)[ROW.network].decades == 1.0


def test_remedies_are_drawn_over_what_was_predicted() -> None:
    plain = EXPERIMENTS["remedies"].rows[0]
    figures = EXPERIMENTS["remedies"].figures(Seen([plain], {Cell(plain, "torch", 0).key: result(0.2)}))
    assert list(figures) == ["remedies"]


def test_predictions_are_made_by_theory(tmp_path: Path) -> None:
    words = ["remedies", "--quick", "--predict", "--only=plain", f"--predictions={tmp_path / 'said.json'}"]
    assert main(words) == Status.SAME
    (said,) = predictions.read(tmp_path / "said.json").values()
    assert said.decades < 0 and said.words


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_committed_records_are_shown_as_they_are(name: str) -> None:
    if not record.path_of(name).exists():
        pytest.skip(f"nothing is recorded of {name} yet")
    content = record.read(name)
    assert content and content.data == ", ".join(dict.fromkeys(row.data or "mnist" for row in EXPERIMENTS[name].rows))
    begin, end = page.marks(name)
    assert read(page.PAGE).partition(begin)[2].partition(end)[0].strip() == page.block(EXPERIMENTS[name], content).strip()
    for title in EXPERIMENTS[name].figures(Seen(EXPERIMENTS[name].rows, content.cells)):
        assert (PICTURES / f"{title}.png").stat().st_size < 200_000
    assert record.path_of(name).stat().st_size < 1_000_000


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing", encoding="utf-8")
    content = record.File(record.SCHEMA, "depth", "mnist", [], {})
    with pytest.raises(record.RecordError, match="has no marks"):
        page.write(EXPERIMENTS["depth"], content, tmp_path / "README.md")


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
