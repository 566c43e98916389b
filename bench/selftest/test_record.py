"""Records are read back as they were written, older ones too, and anything else gets one sentence."""

from __future__ import annotations

import json
import lzma
import math
import re
from pathlib import Path

import pytest

from bench.evidence.times import CallTime
from bench.judging.finding import Cause, Finding
from bench.judging.place import Place
from bench.report import record_file
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
    call = CallTime("keras", "fit", 16, first_call_s=0.4, call_ms=3.0)
    run = made_up.run(tmp_path, calls=[call])
    assert run.timings == made_up.made().timings
    assert run.calls == [call]


def test_zeros_that_must_be_zero_are_counted_and_not_kept(tmp_path: Path) -> None:
    counts = made_up.verdict(
        "finite", "torch", "reference", [Finding(Place("loss"), 0.0, 0.0, 0.0), Finding(Place("weights"), 3.0, 0.0, 0.0)]
    )
    kept = made_up.run(tmp_path, verdicts=[counts]).verdicts[0]
    assert (kept.judged, [f.where for f in kept.findings]) == (2, ["weights"])


def test_places_causes_and_remarks_are_read_as_they_were(tmp_path: Path) -> None:
    place = Place("drift", "dense5", "weight", step=2, scope="own weights", array="new", over="dense4")
    cause = Cause("vanishing", "1e-9 of it arrives", ("another initializer", "a skip"))
    finding = Finding(place, 3.0, 0.0, 1.0, "large", remark="(step below rounding)", causes=(cause,))
    seen = made_up.run(tmp_path, verdicts=[made_up.verdict("update", "torch", "reference", [finding])]).verdicts[0]
    assert seen.findings == [finding]
    assert (seen.causes, seen.findings[0].where) == ((cause,), "own weights step 2 new layer  5 weight over 4 drift (step below rounding)")


def test_the_published_json_schema_is_that_of_the_code() -> None:
    published = Path(record_file.__file__).with_name("record.schema.json").read_text(encoding="utf-8")
    assert published == record_file.json_schema(), "python -m bench schema > bench/report/record.schema.json"


def test_schema_2_is_still_read(tmp_path: Path) -> None:
    old = json.loads(made_up.path(tmp_path).read_text())
    places = [str(Place(**each)) for each in old.pop("places")]
    for each in old["verdicts"]:
        each["findings"] = [[places[place], *numbers] for place, *numbers, _ in each["findings"]]
        each |= {"network": each.pop("subject"), "left": each.pop("headroom"), "left_where": each.pop("tightest") or ""}
        del each["causes"]
    old["calls"] = [{"network": "call batch=16", "backend": "keras", "mode": "fit", "step_ms": 3.0, "first_step_s": 0.4}]
    (tmp_path / "old.json").write_text(json.dumps(old | {"schema": 2}))
    run, new = record_file.read(tmp_path / "old.json"), made_up.run(tmp_path)
    assert [[(f.where, f.value, f.low, f.high) for f in v.findings] for v in run.verdicts] == [
        [(f.where, f.value, f.low, f.high) for f in v.findings] for v in new.verdicts
    ]
    assert (run.timings, run.profiles, run.structured) == (new.timings, new.profiles, False)
    assert run.calls == [CallTime("keras", "fit", 16, 0.4, 3.0)]


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("truncated", lambda text: text[: len(text) // 2], "was cut off"),
        ("empty", lambda text: "", "was cut off"),
        ("nested", lambda text: "[" * 100_000, "was cut off"),
        ("foreign", lambda text: '{"benchmarks": []}', "not the record of a run"),
        ("a list", lambda text: "[1, 2]", "not the record of a run"),
        ("newer", lambda text: text.replace('"schema":3', '"schema":99'), "schema 99"),
        ("never released", lambda text: text.replace('"schema":3', '"schema":1'), "never released"),
        ("a place that is not there", lambda text: text.replace('"findings":[[0,', '"findings":[[-1,'), "part missing or changed"),
        ("another place that is not there", lambda text: text.replace('"findings":[[0,', '"findings":[[99,'), "part missing or changed"),
        ("no schema", lambda text: text.replace('"schema":3', '"schema":"x"'), "schema x"),
        ("a part gone", lambda text: text.replace('"verdicts":', '"verdict":'), "part missing or changed"),
        (
            "a sample that is text",
            lambda text: re.sub(r'"accuracy":\[[^,]*,', '"accuracy":["good",', text, count=1),
            "part missing or changed",
        ),
        ("an accuracy of 3", lambda text: re.sub(r'"accuracy":\[[^,]*,', '"accuracy":[3.0,', text, count=1), "accuracy of 3"),
        ("no times", lambda text: re.sub(r'"step_samples_s":\[[^]]*\]', '"step_samples_s":[]', text, count=1), "part missing or changed"),
        ("unequal times", lambda text: re.sub(r'"step_samples_s":\[[^]]*\]', '"step_samples_s":[0.1]', text, count=1), "1 blocks of steps"),
        ("an endless time", lambda text: re.sub(r'"step_samples_s":\[[^,]*,', '"step_samples_s":[1e308,', text, count=1), "part missing"),
        ("a number changed", lambda text: text.replace("1e-7", '"import os"'), "part missing or changed"),
    ],
)
def test_any_other_file_is_one_sentence(name: str, change, words: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(change(made_up.path(tmp_path / "good").read_text()))
    with pytest.raises(RecordError, match=words) as refused:
        record_file.read(path)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)


def test_an_absent_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot be read"):
        record_file.read(tmp_path / "nowhere.json")


def test_a_kept_record_is_compressed_and_the_last_one_lies_beside_it(tmp_path: Path) -> None:
    kept = record_file.write(tmp_path, made_up.made())
    assert kept.suffixes[-2:] == [".json", ".xz"]
    assert lzma.decompress(kept.read_bytes()) == (tmp_path / "latest.json").read_bytes()
    assert record_file.read(kept).verdicts == record_file.read(tmp_path / "latest.json").verdicts


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda packed: packed[: len(packed) // 2], "was cut off"),
        (lambda packed: packed[:40] + b"?" + packed[41:], "was cut off"),
        (lambda packed: packed[:6], "was cut off"),
        (lambda packed: lzma.compress(b"[1, 2]"), "not the record of a run"),
        (lambda packed: lzma.compress(bytes(record_file.LARGEST + 1), preset=0), "unpacks to more than"),
    ],
)
def test_a_compressed_file_that_is_no_record_is_one_sentence(change, words: str, tmp_path: Path) -> None:
    path = record_file.write(tmp_path, made_up.made())
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(RecordError, match=words) as refused:
        record_file.read(path)
    assert "\n" not in str(refused.value)


def test_of_a_folder_the_newest_record_counts(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="holds no record"):
        record_file.newest(tmp_path)
    text = record_file.encode(made_up.made())
    (tmp_path / "latest.json").write_bytes(text)
    assert record_file.newest(tmp_path).name == "latest.json"
    for name in ("run-2026-01-02T000000Z-7.json", "run-2026-01-03T000000Z-5.json.xz", "run-2026-01-01T000000Z-9.json.xz"):
        (tmp_path / name).write_bytes(text)
    assert record_file.newest(tmp_path).name == "run-2026-01-03T000000Z-5.json.xz"


@pytest.mark.parametrize(
    "finding",
    [
        Finding(Place("loss"), 1.0000049, 0.0, 1.000005),
        Finding(Place("loss"), 1.0000051, 0.0, 1.000005),
        Finding(Place("loss"), 0.97666, 0.97664, 0.97671),
        Finding(Place("loss"), 1.5 + 4e-16, 1.5, 1.5 + 8e-16),
        Finding(Place("loss"), -3.14159, -math.inf, -3.14158),
        Finding(Place("loss"), 2.0, 2.0, 2.0, "", "log"),
        Finding(Place("loss"), math.inf, 0.0, 1.0),
    ],
)
def test_few_digits_leave_a_finding_on_its_side_and_its_headroom_as_it_was(finding: Finding) -> None:
    kept = Finding(finding.place, *map(float, record_file._kept(finding)), scale=finding.scale)
    assert kept.within == finding.within
    assert kept.headroom == pytest.approx(finding.headroom, abs=0.02)
