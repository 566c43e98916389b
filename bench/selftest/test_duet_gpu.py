"""A duet on a GPU: the GPU that workers see is watched, what the driver refuses is said, and workers are asked for the device they see."""

from __future__ import annotations

import os
from typing import Any

import pytest

from bench.evidence.collect import Request
from bench.evidence.reference import ReferenceResult
from bench.selftest.made_up_duets import Stub, case
from bench.selftest.made_up_gpus import HOT, POWER_CAP, WARM, Card, plant
from bench.timing.duet import __main__ as command
from bench.timing.duet import equivalence, plan, rounds
from bench.timing.duet.gpu import FOREIGN, THROTTLED, GpuError, Watch
from bench.timing.duet.metrics import METRICS
from bench.timing.duet.plan import Duet
from bench.timing.duet.verdict import NOTHING
from fixtures.data.datasets import load
from models.worker import devices


@pytest.fixture(autouse=True)
def every_gpu_is_visible(monkeypatch):
    monkeypatch.delenv(devices.VISIBLE, raising=False)


def watching(card: Card, device: str = "cuda", processes: list[set[int]] | None = None, reasons: list[int] | None = None) -> Watch:
    """A watch whose every look finds the next of these."""
    watch = Watch(device)
    card.processes, card.reasons = processes or [set()], reasons or [0]
    return watch


def test_rounds_of_a_disturbed_gpu_are_dropped_and_counted(monkeypatch: Any) -> None:
    card = Card()
    plant(monkeypatch, card)
    watch = watching(card, "cuda:0", [set(), {1, 2}, {1, 2}, {1, 2, 9}, {1, 2}], [0, HOT, 0])
    watch.before()
    watch.ours()
    assert [watch.disturbed() for _ in range(5)] == ["", FOREIGN, THROTTLED, "", ""]
    assert not watch.notes()
    watch = watching(card, processes=[set(), {1}], reasons=[WARM, 0])
    watch.before()
    one = case(monkeypatch)
    with rounds.fresh((one.a, one.b)) as pair:
        series = rounds.measure(pair, one, load(), restart=0, seconds=0.0, watch=watch)
    assert series.dropped == {THROTTLED: 1}
    assert len(series.wall[0]) == rounds.SHORTEST_SERIES - 1


def test_a_gpu_that_is_always_throttled_measured_nothing(monkeypatch: Any) -> None:
    monkeypatch.setattr(plan, "prove", lambda *_: None)
    plant(monkeypatch, Card(reasons=[WARM]))
    found = Duet([case(monkeypatch)], lambda _, metric: METRICS[metric].margin)
    plan.run(found, load(), budget=0.02, piece=0.001, quiet=True, watch=Watch("cuda"))
    (judged,) = found.judged()
    assert (judged.verdict, judged.reason) == (NOTHING, "every round was dropped: throttled")


def test_rounds_at_the_power_cap_count_and_are_noted(monkeypatch: Any) -> None:
    card = Card()
    plant(monkeypatch, card)
    watch = watching(card, reasons=[0, POWER_CAP, POWER_CAP])
    assert [watch.disturbed() for _ in range(3)] == ["", "", ""]
    assert watch.notes() == ["2 of 3 rounds ran at the GPU's power cap."]


@pytest.mark.parametrize("named", ["1", "GPU-b"])
def test_the_gpu_that_workers_see_is_watched(named: str, monkeypatch: Any) -> None:
    monkeypatch.setenv(devices.VISIBLE, named)
    other, ours = Card("GPU-a", reasons=[HOT]), Card("GPU-b")
    plant(monkeypatch, other, ours)
    watch = watching(ours, processes=[set(), {5}])
    other.processes = [{1}, {2}, {3}]  # somebody else's come and go
    watch.before()
    watch.ours()
    assert watch.disturbed() == ""


@pytest.mark.parametrize(
    ("question", "note"),
    [
        ("nvmlDeviceGetComputeRunningProcesses", "which processes compute on this GPU"),
        ("nvmlDeviceGetCurrentClocksThrottleReasons", "whether this GPU's clocks are throttled"),
    ],
)
def test_what_the_driver_refuses_to_tell_is_noted(question: str, note: str, monkeypatch: Any) -> None:
    plant(monkeypatch, Card(refuses=(question,)))
    watch = Watch("cuda")
    watch.before()
    watch.ours()
    assert watch.disturbed() == ""
    assert watch.notes() == [f"The driver does not tell {note}, so no round was dropped for that."]


def test_a_part_of_a_gpu_is_watched_for_its_own_processes(monkeypatch: Any) -> None:
    monkeypatch.setenv(devices.VISIBLE, "MIG-2")
    plant(monkeypatch, Card(parts=("MIG-1", "MIG-2"), processes=[{1}, {2}, {3}, {4}]))
    watch = Watch("cuda")
    watch.before()
    watch.ours()
    assert watch.disturbed() == ""


def test_a_gpu_that_is_not_there_or_goes_away_is_one_sentence(monkeypatch: Any) -> None:
    card = Card()
    plant(monkeypatch, card)
    with pytest.raises(GpuError, match="does not answer for cuda:1 "):
        Watch("cuda:1")
    watch = Watch("cuda")
    card.refuses = ("nvmlDeviceGetComputeRunningProcesses",)
    with pytest.raises(GpuError, match="answers no more"):
        watch.disturbed()
    plant(monkeypatch)
    with pytest.raises(GpuError, match="no NVIDIA driver is here"):
        Watch("cuda")


def test_workers_are_asked_for_the_device_they_see_and_are_not_pinned(monkeypatch: Any) -> None:
    """A worker on `cuda:1` sees one GPU, which is `cuda` there."""
    one, made = case(monkeypatch, device="cuda:1"), []
    monkeypatch.setattr(type(one.a), "worker", lambda variant: made.append(Stub()) or made[-1])
    pinned: list[object] = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda *given: pinned.append(given), raising=False)
    with rounds.fresh((one.a, one.b)) as pair:
        rounds.measure(pair, one, load(), restart=0, seconds=0.0)
    assert {given["device"] for stub in made for do, given in stub.asked if do == "prepare"} == {"cuda"}
    assert not pinned
    asked: list[Request] = []
    monkeypatch.setattr(equivalence, "collect", lambda request, _: asked.append(request) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        equivalence.prove(pair, one, load(), ReferenceResult(one.spec, []))
    assert [request.device for request in asked] == ["cuda"]


def test_margins_and_history_are_of_a_gpu_by_name(monkeypatch: Any, tmp_path: Any, capsys: Any) -> None:
    monkeypatch.setattr(plan, "prove", lambda *_: None)
    plant(monkeypatch, Card(name="NVIDIA L4"))
    monkeypatch.setattr(command.sides, "cases", lambda *_, **__: [case(monkeypatch, device="cuda")])
    words = ["--a", "torch", "--b", "torch", "--device", "cuda", "--slice", "0.001", "--budget", "0.02", "--record-dir", str(tmp_path)]
    command.main([*words, "--network", "depth=2"])
    capsys.readouterr()
    (past,) = command.record.read_history(tmp_path)
    assert past.machine.endswith(" NVIDIA L4")
