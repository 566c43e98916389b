"""Models of packages: a fault in one layer's gradient is found there alone, no healthy seed is red, and other tools are asked fairly."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.exit_status import Status
from bench.judging.verdict import FAILED
from bench.selftest.faults.of_parameters import wrong_gradient_in_keras, wrong_gradient_of
from bench.selftest.faults.plant import Fault
from bench.selftest.studies import other_tools, packaged
from bench.selftest.studies.own_models import GAUGES, found
from bench.selftest.studies.tables import keep, read
from bench.store import Store

README = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")


def red(backend: str, address: str, parameter: str, plant: Any) -> set[str]:
    caught, seen = found(backend, Fault("planted", address, "gradient_parity", parameter, plant))
    assert caught, seen["gradient_parity"].worst
    return {
        finding.place.parameter
        for verdict in seen.values()
        if verdict.status == FAILED
        for finding in verdict.findings
        if not finding.within
    }


@pytest.mark.parametrize("parameter", ["lstm.weight_hh_l0", "head.weight"])
def test_any_parameter_of_a_torch_model_can_be_made_wrong_and_is_found(parameter: str) -> None:
    assert red("torch", f"{GAUGES}/of_torch.py:recurrent", parameter, wrong_gradient_of(parameter)) == {parameter}


@pytest.mark.slow
def test_any_parameter_of_a_keras_model_can_be_made_wrong_and_is_found() -> None:
    plant = wrong_gradient_in_keras("dense.kernel")
    assert red("keras", f"{GAUGES}/of_keras.py:images", "dense.kernel", plant) == {"dense.kernel"}


def test_every_fault_of_the_table_was_found_alone_and_no_seed_was_red() -> None:
    rows = read(packaged.PATH)
    assert [(row["backend"], row["model"]) for row in rows] == [(model.backend, model.name) for model in packaged.MODELS]
    for row, model in zip(rows, packaged.MODELS, strict=True):
        assert row["planted"] == model.parameter and row["found"].endswith(model.parameter) and row["also"] == "0", row
        assert float(row["roundings"]) > 10 and int(row["alarms"]) == 0 and int(row["seeds"]) >= 1 and float(row["seconds"]) < 60, row
    assert packaged.table(rows) in README


def test_a_run_for_more_seeds_goes_on_where_the_last_one_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def judged(model: packaged.Packaged, seed: int) -> packaged.Seed:
        asked.append(seed)
        return packaged.Seed(10, ["gradient_parity head.weight 11, 10 allowed"] * (seed == 1), 1.0 + seed)

    monkeypatch.setattr(packaged, "judge_seed", judged)
    for seeds, code, numbers, alarms in ((2, "a", 20, 1), (4, "a", 40, 1), (1, "b", 10, 0)):
        row = packaged.Row("torch", "lstm", "torch", "2.13.0", 1, "", "", 0.0, 0, 0.0)
        store = Store(tmp_path / "packaged.jsonl", packaged.Seed, code)
        packaged.judge_seeds(packaged.MODELS[4], row, range(seeds), store)
        assert (row.seeds, row.numbers, row.alarms, row.largest) == (seeds, numbers, alarms, float(seeds))
    assert asked == [0, 1, 2, 3, 0], "of other code nothing is kept"


def test_other_tools_are_asked_for_every_fault() -> None:
    rows = read(other_tools.PATH)
    names = [model.name for model in packaged.MODELS if model.backend == "torch"]
    assert [(row["model"], float(row["size"])) for row in rows] == [(name, size) for name in names for size in other_tools.SIZES]
    assert {row["gradgauge"] for row in rows} == {other_tools.FOUND}
    assert other_tools.table(rows) in README


def test_a_tool_that_is_red_without_a_fault_finds_nothing() -> None:
    model: Any = SimpleNamespace(address=f"{GAUGES}/of_torch.py:recurrent", parameter="head.weight", name="recurrent")
    rows = {row.size: row for row in other_tools.rows(model)}
    assert {row.gradgauge for row in rows.values()} == {other_tools.FOUND}
    assert rows[1e-4].same_3 == rows[1e-4].same_2 == rows[1e-4].gradcheck == other_tools.MISSED
    assert rows[0.5].same_3 == rows[0.5].assert_close == other_tools.FOUND
    healthy, tools = other_tools.judges(model)
    assert tools["gradgauge"](healthy) and tools["same_3"](healthy)


@pytest.mark.parametrize("command", [packaged, other_tools])
def test_without_its_packages_a_command_measures_nothing_and_says_so(command: Any, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(packaged.Packaged, "installed", False)
    monkeypatch.setattr(sys, "argv", ["command"])
    assert command.main() == Status.NOTHING
    assert "not installed here" in capsys.readouterr().out


def test_a_row_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    for row in (["b", "1"], ["a", "2"], ["b", "3"]):
        keep(tmp_path / "table.csv", ["name", "value"], row, [("a",), ("b",)])
    assert [list(row.values()) for row in read(tmp_path / "table.csv")] == [["a", "2"], ["b", "3"]]
