"""Slow backends get more workers where processors are left, and what is seen of a network is the same in each of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.evidence import pool as module
from bench.evidence.pool import ObservationPool
from fixtures.data.datasets import load
from fixtures.machine.processors import usable
from models.spec import Spec
from models.worker.process import WorkerDied

NETWORKS = [Spec.of(depth=depth, width=4, optimizer=optimizer) for depth in (2, 3) for optimizer in ("sgd", "adam")]


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another worker is worth its start from the first wait on."""
    for name, value in {"WAITED_FOR": -1.0, "WATCHED_FOR": 0.0, "WORTH_A_START": 1, "ROOM": 0}.items():
        monkeypatch.setattr(module, name, value)


@pytest.fixture
def pool(request: pytest.FixtureRequest) -> Iterator[ObservationPool]:
    """On as many processors as the test says."""
    built = ObservationPool(load(), device="cpu", threads=1, seeds=[0], processors=request.param)
    built.plan([("torch", spec) for spec in NETWORKS])
    yield built
    built.close()


@pytest.mark.parametrize("pool", [3], indirect=True)
def test_networks_are_the_same_in_every_worker(at_once: None, pool: ObservationPool) -> None:
    alone = ObservationPool(load(), device="cpu", threads=1, seeds=[0])
    try:
        for spec in NETWORKS:
            one, other = pool.run("torch", spec).seen, alone.run("torch", spec).seen
            for name, weight in one.trainings[0].weights.items():
                np.testing.assert_array_equal(weight, other.trainings[0].weights[name])
            np.testing.assert_array_equal(
                one.forced_steps[-1].gradients["dense1.weight"], other.forced_steps[-1].gradients["dense1.weight"]
            )
        most = alone.peak_memory()["torch"]
    finally:
        alone.close()
    assert len(pool._crews["torch"]) == 2, "the judge, one worker and another one are three processes"
    assert len(alone._crews["torch"]) == 1
    assert pool.peak_memory()["torch"] < 1.5 * most, "memory is of one of them, so that runs compare"


@pytest.mark.parametrize("pool", [2], indirect=True)
def test_no_more_workers_than_processors(at_once: None, pool: ObservationPool) -> None:
    for spec in NETWORKS:
        pool.run("torch", spec)
    assert len(pool._crews["torch"]) == 1


@pytest.mark.parametrize("pool", [8], indirect=True)
def test_a_backend_that_is_not_waited_for_keeps_one_worker(monkeypatch: pytest.MonkeyPatch, at_once: None, pool: ObservationPool) -> None:
    monkeypatch.setattr(module, "WAITED_FOR", 2.0)
    pool.run("torch", NETWORKS[0])
    assert len(pool._crews["torch"]) == 1


@pytest.mark.parametrize("pool", [8], indirect=True)
def test_memory_must_be_left_for_another_worker(monkeypatch: pytest.MonkeyPatch, at_once: None, pool: ObservationPool) -> None:
    monkeypatch.setattr(module, "ROOM", 10**6)
    pool.run("torch", NETWORKS[0])
    assert len(pool._crews["torch"]) == 1


@pytest.mark.parametrize("pool", [3], indirect=True)
def test_a_dead_worker_takes_nothing_from_the_others(at_once: None, pool: ObservationPool) -> None:
    pool.run("torch", NETWORKS[0])
    first, second = pool._crews["torch"]
    second._process.kill()
    lost = 0
    for spec in NETWORKS[1:]:
        try:
            assert pool.run("torch", spec).seen.trainings
        except WorkerDied:
            lost += 1
    assert lost <= 1, "only the network that it was asked for first"
    assert second not in pool._crews["torch"] and first.alive


@pytest.mark.parametrize(
    ("files", "most"),
    [
        ({}, None),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu.max": "150000 100000"}, 1),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu.max": "nonsense"}, None),
    ],
)
def test_processors_are_what_a_container_allows(tmp_path: Path, files: dict[str, str], most: int | None) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{content}\n")
    assert usable(tmp_path) == (most or usable(tmp_path / "none"))
