"""Records are read back as they were written, older ones too, and anything else gets one sentence."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.report import record
from bench.report.record import Error, RecordError
from bench.selftest import made_up


def test_what_was_written_is_read(tmp_path: Path) -> None:
    broken = made_up.verdict(
        "update",
        "torch",
        "reference",
        [Finding(Place("step 0"), math.nan, 0.0, 1.0, "lost"), Finding(Place("step 1"), 0.5, -math.inf, 1.0)],
    )
    run = made_up.run(tmp_path, verdicts=[broken], errors=[Error("a case", "said", "pytest x")])
    assert [(f.where, f.within, f.note) for f in run.verdicts[0].findings] == [("step 0", False, "lost"), ("step 1", True, "")]
    assert math.isnan(run.verdicts[0].findings[0].value)
    assert run.errors == [Error("a case", "said", "pytest x")]
    assert run.backends == ["torch", "keras"]
    assert run.profiles[0].samples["accuracy"][0] == pytest.approx(0.9, abs=0.05)


def test_times_of_entry_points_are_kept_beside_the_step_times(tmp_path: Path) -> None:
    call = {"network": "call batch=16", "backend": "keras", "mode": "fit", "step_ms": 3.0, "first_step_s": 0.4}
    known = made_up.run(tmp_path).timings
    run = made_up.run(tmp_path, timings=[*json.loads(made_up.path(tmp_path).read_text())["timings"], call])
    assert run.timings == known
    assert json.loads((tmp_path / "latest.json").read_text())["calls"] == [call]


def test_zeros_that_must_be_zero_are_counted_and_not_kept(tmp_path: Path) -> None:
    counts = made_up.verdict(
        "finite", "torch", "reference", [Finding(Place("loss"), 0.0, 0.0, 0.0), Finding(Place("weights"), 3.0, 0.0, 0.0)]
    )
    kept = made_up.run(tmp_path, verdicts=[counts]).verdicts[0]
    assert (kept.judged, [f.where for f in kept.findings]) == (2, ["weights"])


def test_the_first_schema_is_still_read(tmp_path: Path) -> None:
    old = json.loads(made_up.path(tmp_path).read_text())
    for each in old["verdicts"]:
        each["findings"] = [dict(zip(("where", "value", "low", "high"), row[:4], strict=True)) for row in each["findings"]]
        del each["rerun"]
    del old["profiles"]
    (tmp_path / "old.json").write_text(json.dumps(old | {"schema": 1, "errors": ["bench/test_parity.py::a"]}))
    run = record.read(tmp_path / "old.json")
    assert run.verdicts[0].findings[0] == Finding(Place("step 0 layer  1 weight"), 1e-7, 0.0, 1e-6)
    assert (run.profiles, run.errors[0].case) == ([], "bench/test_parity.py::a")


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("truncated", lambda text: text[: len(text) // 2], "was cut off"),
        ("empty", lambda text: "", "was cut off"),
        ("nested", lambda text: "[" * 100_000, "was cut off"),
        ("foreign", lambda text: '{"benchmarks": []}', "not the record of a run"),
        ("a list", lambda text: "[1, 2]", "not the record of a run"),
        ("newer", lambda text: text.replace('"schema":2', '"schema":99'), "schema 99"),
        ("no schema", lambda text: text.replace('"schema":2', '"schema":"x"'), "schema x"),
        ("a part gone", lambda text: text.replace('"verdicts":', '"verdict":'), "part missing or changed"),
        ("a number changed", lambda text: text.replace("1e-7", '"import os"'), "part missing or changed"),
    ],
)
def test_any_other_file_is_one_sentence(name: str, change, words: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(change(made_up.path(tmp_path / "good").read_text()))
    with pytest.raises(RecordError, match=words) as refused:
        record.read(path)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)


def test_an_absent_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot be read"):
        record.read(tmp_path / "nowhere.json")
