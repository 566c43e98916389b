"""Records of experiments: how they are judged, what is predicted beforehand, and how they are shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.exit_status import Status
from bench.experiments import page, predictions, record
from bench.experiments.__main__ import main
from bench.experiments.catalogue import EXPERIMENTS
from bench.experiments.cell import Cell, Row
from bench.experiments.depth import PUBLISHED
from bench.experiments.experiment import Seen, interval, mean
from bench.experiments.judge import judge, judge_in_time, overall
from bench.experiments.page import PICTURES
from bench.experiments.remedies import shares
from bench.selftest.made_up_experiments import ROW, result, results
from bench.selftest.pages import read
from models.parts.activations import ACTIVATIONS


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
    recorded = {cell.key: each for cell, each in results(then).items()}
    assert overall(judge(results(now), recorded)) == status


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


def test_nothing_is_predicted_of_a_recurrent_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adding", "--quick", "--predict", f"--predictions={tmp_path / 'said.json'}"]) == Status.BAD_INPUT
    assert "Nothing is predicted of tanh, orthogonal" in capsys.readouterr().err


def test_what_is_not_recorded_is_not_judged() -> None:
    assert judge(results([0.5]), {}) == [] and overall([]) == Status.SAME


def test_two_frameworks_of_two_seeds_give_a_spread() -> None:
    recorded = {cell.key: each for backend in ("torch", "keras") for cell, each in results([0.98, 0.982], backend).items()}
    assert overall(judge(results([0.3, 0.3]), recorded)) == Status.WORSE


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
