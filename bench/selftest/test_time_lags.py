"""Problems of memory as experiments: what theory says of gradients against time lag, and what tables and pictures show."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.exit_status import Status
from bench.experiments import record
from bench.experiments.__main__ import main
from bench.experiments.catalogue import EXPERIMENTS
from bench.experiments.cell import Cell, Row
from bench.experiments.experiment import Seen
from bench.experiments.judge import judge_in_time, overall
from bench.experiments.lags import ensemble, rate
from bench.experiments.memory import CELLS, failed_at
from bench.experiments.record import Result
from fixtures.data.memory_problems import problem
from models.backends.registry import backend_module
from models.reference.draws import draw_weights


def row(label: str, kind: str = "adding") -> Row:
    return next(each for each in EXPERIMENTS[kind].rows if (each.label, each.depth) == (label, 50))


def result(row: Row, solved: float, loss: float | None) -> Result:
    times = [1, problem(row.data).length]
    norms = {"layers": [1], "norms": {"0": [-1.0]}, "times": times, "in_time": {"0": [-3.0, 0.0], "20": [-1.0, 0.0]}}
    return Result(accuracy=[solved], loss=[0.1], ms_a_step=1.0, test_loss=[loss], **norms)


GATED = "LSTM, forget bias 0", "LSTM, forget bias 1", "LSTM, chrono", "GRU"


@pytest.mark.parametrize("label", ["tanh, PyTorch's start", "tanh, orthogonal", *GATED])
def test_mean_field_theory_lies_within_the_band_of_drawn_networks(label: str) -> None:
    """Starts that lose one decade over 50 steps, and up to eleven."""
    (middle, spread), line = ensemble(row(label)), rate(row(label), problem("adding-50"))
    assert line is not None and middle[-1] == line[-1] == 0
    assert (np.abs(line - middle)[:-1] <= 2 * spread[:-1] + 0.2).all()


def test_gates_that_are_held_open_keep_the_gradient_and_others_lose_it() -> None:
    first = {label: ensemble(row(label))[0][0] for label in ("LSTM, forget bias 0", "LSTM, chrono", "GRU", "ReLU, identity, clipped")}
    assert first["LSTM, forget bias 0"] < -5 and first["GRU"] < -5, "about half is handed back in each of 50 steps"
    assert abs(first["ReLU, identity, clipped"]) < 0.5 and first["LSTM, chrono"] > -2.5
    unknown = rate(row("ReLU, identity, clipped"), problem("adding-50")), rate(row("tanh, orthogonal, two layers"), problem("adding-50"))
    assert unknown == (None, None), "mean-field theory knows neither the identity nor layers above"


def test_a_table_says_how_far_a_loss_is_under_that_of_no_memory() -> None:
    rows = [row("GRU"), row("LSTM, chrono")]
    results = {
        Cell(rows[0], "torch", 0).key: result(rows[0], 0.9, 1 / 12),
        Cell(rows[0], "torch", 1).key: result(rows[0], 0.7, 1 / 4),
        Cell(rows[1], "keras", 0).key: result(rows[1], 0.1, None),
    }
    lines = list(EXPERIMENTS["adding"].tables(Seen(rows, results)))
    assert "| GRU | PyTorch | 1.000 ×2 |" in lines and "| LSTM, chrono | Keras | ∞ |" in lines
    assert any(line.startswith("| GRU | PyTorch | 0.800 ±") for line in lines)
    assert lines[-1] == "9 cells of 12 have not been trained yet."


def test_a_row_that_learned_nothing_is_not_asked_for_at_a_longer_lag() -> None:
    """A single seed of either framework that learned is enough to go on, and one framework alone decides nothing."""
    rows = {each.depth: each for each in EXPERIMENTS["adding"].rows if each.label == "GRU"}
    lost, learned = (result(rows[50], 0.1, share / 6) for share in (0.91, 0.89))
    of_torch, of_keras, another = (Cell(rows[50], backend, seed).key for backend, seed in (("torch", 0), ("keras", 0), ("keras", 1)))
    assert failed_at(rows[100], {of_torch: lost}) == failed_at(rows[1000], {}) == ""
    both = {of_torch: lost, of_keras: lost}
    assert failed_at(rows[100], both) == failed_at(rows[1000], both) == "failed at 50" and failed_at(rows[50], both) == ""
    assert failed_at(rows[100], {**both, another: learned}) == "" and failed_at(replace(rows[100], epochs=5), both) == ""
    assert failed_at(rows[100], {**both, another: result(rows[50], 0.1, None)}) == "failed at 50", (
        "one whose loss is no number learned nothing"
    )
    lines = list(EXPERIMENTS["adding"].tables(Seen([*rows.values()], both)))
    assert "| GRU | PyTorch | 0.910 ×1 | failed at 50 | failed at 50 | failed at 50 | failed at 50 |" in lines
    assert lines[-2:] == [
        "4 cells of 30 have not been trained yet.", "24 cells are not trained, because no seed learned at a shorter lag.",
    ]  # fmt: skip


def test_a_run_leaves_out_what_failed_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In one run, and in a later one that asks for the longer lag alone. GRUs learn up to 100 here, and tanh cells nothing."""
    asked: list[tuple[str, int, int]] = []

    class Scripted:
        """Trains nothing, and says what each cell gave."""

        def __init__(self, *given: Any) -> None:
            self.failed: dict[Cell, str] = {}
            self._keep = given[-1]

        def run(self, cells: list[Cell], slots: int) -> None:
            for cell in cells:
                asked.append((cell.row.label, cell.row.depth, cell.seed))
                learned = cell.row.label == "GRU" and cell.row.depth <= 100
                self._keep(cell, result(cell.row, 0.5, (0.01 if learned else 1.0) / 6))

    monkeypatch.setattr("bench.experiments.__main__.Pool", Scripted)
    given = [f"--baselines={tmp_path}", f"--store={tmp_path}", "-n1"]
    assert main(["adding", *given, "--seeds=2", "--only=GRU"]) == Status.SAME
    assert set(asked) == {("GRU", lag, seed) for lag in (50, 100, 200) for seed in (0, 1)} and len(asked) == 12
    said = capsys.readouterr()
    assert "8 cells are left out, such as GRU, lag 500: its row failed at 200" in said.err and "| failed at 200 |" in said.out
    asked.clear()
    assert main(["adding", *given, "--seeds=1", "--only=PyTorch's lag=50"]) == Status.SAME
    assert main(["adding", *given, "--seeds=1", "--only=PyTorch's lag=1000"]) == Status.NOTHING
    assert asked == [("tanh, PyTorch's start", 50, 0)] * 2
    said = capsys.readouterr()
    assert "2 cells are left out" in said.err and "| failed at 50 |" in said.out
    assert "2 cells are not trained, because no seed learned at a shorter lag." in said.out and "have not been trained yet" not in said.out


def test_the_published_lstm_stands_beside_the_lags_that_it_had() -> None:
    adding = EXPERIMENTS["adding"]
    lines = list(adding.tables(Seen(adding.rows, {})))
    assert "| Sequences until an LSTM had solved it, 1997 | – | 74,000 | – | 209,000 | 853,000 |" in lines
    assert {each.label for each in adding.rows} == set(CELLS) and {each.depth for each in adding.rows} == {50, 100, 200, 500, 1000}


@pytest.mark.parametrize("kind", ["adding", "copying"])
def test_gradients_against_time_lag_are_drawn_where_they_were_seen(kind: str) -> None:
    seen = row("tanh, orthogonal", kind)
    figures = EXPERIMENTS[kind].figures(Seen([seen], {Cell(seen, "torch", 0).key: result(seen, 0.1, 1.0)}))
    assert list(figures) == [f"{kind}-through-time"], "one lag makes no line"
    (panel,) = figures[f"{kind}-through-time"].axes
    drawn = {line.get_label() for line in panel.lines}
    assert {"PyTorch, at the start", "PyTorch, after training"} <= drawn and ("mean field" in drawn) == (kind == "adding")
    assert EXPERIMENTS[kind].figures(Seen([replace(seen, epochs=3)], {})) == {}


@pytest.mark.parametrize("kind", ["adding", "copying"])
def test_recorded_gradients_through_time_are_the_same_in_both_frameworks(kind: str) -> None:
    """The page says so: two digits are kept, and each side may round its second one otherwise.

    TensorFlow takes numbers below the smallest normal one for zero, and PyTorch does not. ∂L/∂x of a step is Wᵀδ, and where all of δ are
    such numbers its norm is below σ_max(W) √(count of δ) times the smallest one. There one side may have nothing.
    """
    content = record.read(kind)
    if content is None:
        pytest.skip(f"nothing is recorded of {kind} yet")
    compared = 0
    for each in EXPERIMENTS[kind].rows:
        cell, other = Cell(each, "torch", 0), Cell(each, "keras", 0)
        if cell.key not in content.cells or other.key not in content.cells:
            continue
        compared += 1
        spec = cell.spec(problem(each.data))
        weight = draw_weights(spec, 0)["recurrent1.weight"]
        lost = np.log10(np.finfo(np.float32).tiny * np.sqrt(spec.batch * len(weight)) * np.linalg.norm(weight, 2))
        first, second = (np.array(content.cells[one.key].in_time["0"], float) for one in (cell, other))
        both = np.isfinite(first) & np.isfinite(second)
        np.testing.assert_allclose(first[both], second[both], atol=0.0101)
        assert (np.fmax(first, second)[np.isfinite(first) != np.isfinite(second)] < lost).all()
    assert compared


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_a_gradient_that_is_cut_off_or_lost_on_the_way_back_is_red(backend: str) -> None:
    """Truncation loses what came before, and a forget gate whose bias is lost hands back half; the other way round is red, too."""
    cell = Cell(row("LSTM, forget bias 1"), backend, 0)
    right, truncated, forgetting = (seen_in_time(cell, change) for change in ({}, {"truncated": 25}, {"forget": "0"}))
    assert overall(judge_in_time({cell: seen_in_time(cell, {})}, {cell.key: right})) == Status.SAME
    for wrong in (truncated, forgetting):
        (found,) = judge_in_time({cell: wrong}, {cell.key: right})
        assert found.status == Status.WORSE and "log₁₀ gradient at time step" in str(found)
    assert overall(judge_in_time({cell: right}, {cell.key: forgetting})) == Status.FAILING


def seen_in_time(cell: Cell, change: dict[str, int | str]) -> Result:
    """What is kept of a network's gradients through time before training, which may be another network's."""
    source = problem(cell.row.data)
    spec = cell.spec(source)
    network = backend_module(cell.backend).MemoryNetwork(spec.but(**change), steps=1, every=1)
    network.load(draw_weights(spec.but(**change), cell.seed), fresh=True)
    x, targets = source.test(spec.batch)
    norms = np.linalg.norm(network.input_gradients(x, targets).astype(np.float64).reshape(len(x), source.length, -1), axis=(0, 2))
    with np.errstate(divide="ignore"):
        logs = [float(each) if np.isfinite(each) else None for each in np.log10(norms).round(2)]
    return Result(accuracy=[0.5], loss=[0.1], layers=[1], norms={}, ms_a_step=1.0, times=[*range(1, len(logs) + 1)], in_time={"0": logs})


def test_pixels_of_mnist_have_what_was_published_and_those_of_digits_have_not() -> None:
    pixels = EXPERIMENTS["pixels"]
    chosen = [each for each in pixels.rows if each.label == "LSTM, forget bias 1"]
    results = {Cell(each, "torch", 0).key: result(row("GRU"), 0.5, None) for each in chosen}
    lines = [line for line in pixels.tables(Seen(chosen, results)) if line.startswith("| LSTM")]
    assert [line.split(" | ")[1:4] for line in lines] == [
        ["28 rows of MNIST", "3", "–"],
        ["64 pixels of digits", "20", "–"],
        ["784 pixels of MNIST", "3", "0.982, Arjovsky et al. 2016"],
    ]
