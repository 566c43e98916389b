"""Baselines: what is predicted from samples, what is written, and what is refused."""

from __future__ import annotations

import configparser
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.baselines import recording
from bench.baselines import samples as baselines
from bench.baselines.pairs import LOOKS, Recorded
from bench.baselines.samples import Baseline, BaselineError
from bench.baselines.validation import fault_of_samples
from bench.evidence import schedule
from bench.imported import ROOT
from fixtures.plugin import options
from models.spec import Spec

SEEDS, STEPS = [1, 2, 3, 4], {"digits": 150}
PROVENANCE: dict[str, Any] = {
    "backend": "torch", "device": "cpu", "steps": {"digits": 150}, "seeds": SEEDS, "executions": ["as usual"], "date": "2026-01-01",
    "environment": {"torch": "2"},
}  # fmt: skip


def record(path: Path, new: dict[str, list[float]], why: str = "first", **changes: Any) -> str:
    """Record one execution of every seed."""
    rows = {key: [[value] for value in values] for key, values in new.items()}
    return baselines.save(Baseline(path, new=rows), why=why, **(PROVENANCE | changes))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    record(
        tmp_path / "torch-cpu.json", {"digits/reference/accuracy": [0.9, 0.91, 0.92, 0.9], "digits/reference/loss": [0.3, 0.31, 0.29, 0.3]}
    )
    return tmp_path / "torch-cpu.json"


def test_what_is_written_reads_back_one_metric_a_line(path: Path) -> None:
    content = baselines.read(path)
    assert content.samples["digits/reference/accuracy"] == [[0.9], [0.91], [0.92], [0.9]]
    assert content.recordings[0].why == "first"
    assert sum("digits/" in line for line in path.read_text().splitlines()) == 2


def test_a_partial_recording_keeps_the_rest_and_shows_old_and_new(path: Path) -> None:
    shown = record(path, {"digits/reference/accuracy": [0.8] * 4, "digits/depth=2/accuracy": [0.95, 0.9, 0.9, 0.9]}, why="slower rate")
    content = baselines.read(path)
    assert "0.9075" in shown
    assert "0.8" in shown
    assert "(none)" in shown
    assert "digits/reference/loss" not in content.samples, "a network is recorded whole: a metric that vanished must not linger"
    assert list(content.samples) == sorted(content.samples)


def test_other_seeds_replace_the_file_rather_than_mix(path: Path) -> None:
    record(path, {"digits/depth=2/accuracy": [0.9, 0.8]}, seeds=[7, 8])
    assert list(baselines.read(path).samples) == ["digits/depth=2/accuracy"]


@pytest.mark.parametrize(("change", "words"), [({"why": "  "}, "needs a reason"), ({"seeds": [1]}, "at least 2 seeds")])
def test_a_recording_without_reason_or_spread_is_refused(path: Path, change: dict[str, Any], words: str) -> None:
    before = path.read_bytes()
    with pytest.raises(BaselineError, match=words):
        record(path, {"digits/reference/accuracy": [0.5] * 4}, **change)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda text: text[:-20], "not a valid baseline"),
        (lambda text: "[]", "not a valid baseline"),
        (lambda text: text.replace('"schema": 2', '"schema": 99'), "update the suite"),
        (lambda text: text.replace("[0.91], ", "[0.91, 0.92], "), "one sample for each of 1 executions"),
        (lambda text: text.replace("[0.91], ", "[0.91], [0.9], "), "has 5 rows for 'digits/reference/accuracy', and 4 seeds"),
        (lambda text: text.replace("[0.91]", '["0.91"]'), "not a valid baseline"),
        (lambda text: text.replace('"steps"', '"stepz"'), "not a valid baseline"),
        (lambda text: text.replace("[[0.9], [0.91], [0.92], [0.9]]", "[]"), "not a valid baseline"),
        (lambda text: '{"schema": ' + "[" * 100_000 + "]" * 100_000 + "}", "not a valid baseline"),
        (lambda text: text.replace('"why": "first"', '"why": "\udcff"'), "not a valid baseline"),
        (lambda text: text.replace('"schema": 2', '"schema": 0'), "there is none under 1"),
        (lambda text: text.replace('"schema": 2', '"schema": 1'), "has schema 1, whose trainings were shorter.* record anew with pytest"),
        (lambda text: text.replace('"digits": 150', '"digits": 0'), "not a valid baseline"),
        (
            lambda text: text.replace('"backend": "torch"', '"backend": "keras"'),
            "which belongs into keras-tensorflow-cpu.json",
        ),
        (lambda text: text.replace('"backend": "torch"', '"backend": "mxnet"'), "mxnet on cpu, which belongs into no file"),
        (lambda text: text.replace('"device": "cpu"', '"device": "nvidia-h200"'), "belongs into torch-nvidia-h200.json"),
        (lambda text: text.replace("[1, 2, 3, 4]", "[1, 2, 3, 3]"), "names seed 3 twice"),
        (lambda text: text.replace('"digits": 150', '"digits": 150, "digits": 100'), "the key 'digits' twice"),
        (lambda text: text.replace('["as usual"]', '["as usual", "as usual"]'), "names as usual twice"),
        (lambda text: text.replace("reference/loss", "reference/accuracy"), "the key 'digits/reference/accuracy' twice"),
        (lambda text: text.replace("reference/loss", "reference/lossy"), "no data/network/metric"),
        (lambda text: text.replace("reference/loss", "reference"), "no data/network/metric"),
        (lambda text: text.replace("0.92", "1.5"), "1.5 for 'digits/reference/accuracy', which no accuracy can be"),
        (lambda text: text.replace("0.92", "-0.1"), "which no accuracy can be"),
        (lambda text: text.replace("0.29", "0"), "which no loss can be"),
        (lambda text: text.replace("0.29", "-1"), "which no loss can be"),
    ],
)
def test_a_damaged_file_is_one_sentence_and_is_left_alone(path: Path, damage: Any, words: str) -> None:
    path.write_bytes(damage(path.read_text()).encode(errors="surrogateescape"))
    before = path.read_bytes()
    with pytest.raises(BaselineError, match=words) as refused:
        baselines.load("torch", "cpu", STEPS, path.parent)
    assert "\n" not in str(refused.value)
    assert path.read_bytes() == before


def test_the_nearest_recording_serves_another_device_with_wider_intervals(path: Path) -> None:
    found = baselines.load("torch", "nvidia-h200", STEPS, path.parent)
    assert found.fallback == "torch-cpu.json"
    assert baselines.widened(found) > 1
    assert baselines.load("keras", "cpu", STEPS, path.parent).content is None
    assert baselines.load("torch", "cpu", {"digits": 149}, path.parent).content is None, "other training steps are another experiment"
    other = path.with_name("torch-a100-sxm4-40gb.json")
    other.write_text(path.read_text().replace('"device": "cpu"', '"device": "a100-sxm4-40gb"'))
    assert baselines.load("torch", "h200", STEPS, path.parent).fallback == other.name, "another GPU is nearer than a CPU"
    assert baselines.load("torch", "cpu", STEPS, path.parent).fallback == ""


def test_a_recording_on_another_processor_has_a_file_of_its_own(tmp_path: Path) -> None:
    """A user who records on a laptop must not overwrite what others are judged by."""

    def load(processor: str) -> Baseline:
        return baselines.load("torch", "cpu", STEPS, tmp_path, processor)

    def new(processor: str, accuracy: float) -> list[str]:
        baseline = replace(load(processor), new={"digits/reference/accuracy": [[accuracy, accuracy]] * 4})
        return recording.write(
            {"torch": baseline}, why="why", steps=STEPS, seeds=SEEDS, environment={"processor": processor}, versions={"torch": {}}
        )

    assert load("AMD EPYC").path.name == "torch-cpu.json", "the first recording is for every processor"
    new("AMD EPYC", 0.9)
    before = (tmp_path / "torch-cpu.json").read_bytes()
    laptop = load("Intel(R) Core(TM) i7")
    assert laptop.path.name == "torch-cpu-intel-r-core-tm-i7.json"
    assert laptop.content == load("AMD EPYC").content and baselines.widened(laptop) == 1
    assert "torch-cpu.json was recorded on another processor and stays as it is" in new("Intel(R) Core(TM) i7", 0.8)[-1]
    assert (tmp_path / "torch-cpu.json").read_bytes() == before
    assert load("Intel(R) Core(TM) i7").content.samples["digits/reference/accuracy"] == [[0.8, 0.8]] * 4
    assert load("AMD EPYC").content.samples["digits/reference/accuracy"] == [[0.9, 0.9]] * 4
    assert load("Apple M4").content.samples["digits/reference/accuracy"] == [[0.9, 0.9]] * 4
    assert baselines.load("torch", "nvidia-h200", STEPS, tmp_path).fallback == "torch-cpu.json"
    (tmp_path / "torch-cpu.json").unlink()
    new("Intel(R) Core(TM) i7", 0.7)
    assert load("Intel(R) Core(TM) i7").content.samples["digits/reference/accuracy"] == [[0.7, 0.7]] * 4
    assert load("Intel(R) Core(TM) i7").path.name == "torch-cpu.json"


def test_two_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "torch-cpu.json"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: record(path, {f"digits/depth={n}/loss": [n, n + 0.1, n, n]}), range(2, 18)))
    assert len(baselines.read(path).samples) == 16


def test_of_two_samples_neither_rules_the_other_out() -> None:
    assert not fault_of_samples({"digits/reference/loss": [[0.3], [30.0]]}, [1, 2], ["as usual"])
    assert "rule out" in fault_of_samples({"digits/reference/loss": [[0.3]] * 15 + [[1e6]]}, list(range(16)), ["as usual"])


def test_a_sample_that_the_others_rule_out_is_not_recorded(path: Path) -> None:
    """One made-up sample would make an interval of 6e-9 to 1e8, in which anything passes."""
    seeds, good = list(range(16)), [0.3, 0.31, 0.29, 0.32] * 4
    record(path, {"digits/reference/loss": good}, seeds=seeds)
    before = path.read_bytes()
    with pytest.raises(BaselineError, match="with seed 15, which the other seeds rule out"):
        record(path, {"digits/depth=4/loss": [*good[:15], 1e6]}, seeds=seeds)
    assert path.read_bytes() == before
    path.write_text(path.read_text().replace("0.32]]", "1e6]]"))
    with pytest.raises(BaselineError, match=r"has 1e\+06 for 'digits/reference/loss' with seed 15, which the other seeds rule out"):
        baselines.read(path)


def test_an_execution_that_the_other_seeds_rule_out_is_not_recorded(tmp_path: Path) -> None:
    """One made-up execution would widen what a healthy one may stray, in which anything passes."""
    path, rows = tmp_path / "torch-cpu.json", [[0.3, 0.301], [0.31, 0.31], [0.29, 0.2905], [0.32, 0.319], [0.305, 0.3055], [0.3, 0.3]]
    given = PROVENANCE | {"seeds": list(range(6)), "executions": ["as usual", "elsewhere"], "why": "first"}
    baselines.save(Baseline(path, new={"digits/reference/loss": rows}), **given)
    before = path.read_bytes()
    with pytest.raises(BaselineError, match="with seed 5, which the other seeds rule out"):
        baselines.save(Baseline(path, new={"digits/depth=4/loss": [*rows[:5], [0.3, 1e6]]}), **given)
    assert path.read_bytes() == before


def test_a_seed_that_lies_apart_in_every_execution_is_recorded_and_widens_nothing(tmp_path: Path) -> None:
    """A network that dies with one seed in every execution is healthy; how far a seed may stray does not grow by it."""
    path, rows = tmp_path / "torch-cpu.json", [[0.3, 0.301], [0.31, 0.31], [0.29, 0.2905], [0.32, 0.319], [0.305, 0.3055]]
    given = PROVENANCE | {"seeds": list(range(6)), "executions": ["as usual", "elsewhere"], "why": "first"}
    metric = "gradient layer 2"
    baselines.save(Baseline(path, new={f"digits/reference/{metric}": [*rows, [1e-6, 1.001e-6]]}), **given)
    with_it = Recorded(metric, np.array(baselines.read(path).samples[f"digits/reference/{metric}"]))
    assert with_it.spread < Recorded(metric, np.array(rows)).spread * 1.01
    alone = [[0.3], [0.31], [0.29], [0.32], [0.305], [1e-6]]
    with pytest.raises(BaselineError, match="with seed 5, which the other seeds rule out"):
        baselines.save(Baseline(path, new={f"digits/depth=4/{metric}": alone}), **(given | {"executions": ["as usual"]}))


def test_more_seeds_of_a_network_are_added_and_fewer_leave_the_others_alone(tmp_path: Path) -> None:
    path = tmp_path / "torch-cpu.json"
    record(path, {"digits/reference/loss": [0.3, 0.31]}, seeds=[1, 2])
    record(path, {"digits/depth=4/loss": [0.3, 0.31, 0.29, 0.3]})
    record(path, {"digits/depth=2/loss": [0.3, 0.31, 0.29]}, seeds=[1, 2, 3])
    content = baselines.read(path)
    assert content.seeds == SEEDS
    assert [len(rows) for rows in content.samples.values()] == [3, 4, 2]


def test_committed_recordings_are_whole_and_in_their_own_files() -> None:
    assert all(baselines.read(each) for each in baselines.FOLDER.glob("*-cpu.json"))


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_every_network_of_the_weekly_mnist_job_is_recorded_and_trained_far(backend: str) -> None:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    named = re.findall(r"--network=(\S+)", tox["testenv:mnist"]["commands"])
    content = baselines.load(backend, "cpu", {"mnist": schedule.STEPS["mnist"]}).content
    assert content is not None and len(named) == 12
    for text in named:
        network = f"mnist/{Spec.parse(text, features=784).id}"
        found = baselines.of_network(content, network)
        assert {"accuracy", "averaged accuracy", "test loss", "loss", "gradient layer 1"} <= set(found), network
        accuracies = Recorded("accuracy", found["accuracy"])
        assert accuracies.values.shape == (6, 2) and accuracies.values.min() > 0.96, network
        assert accuracies.least_seen((options.SEEDS, *LOOKS)) < 0.04, network
