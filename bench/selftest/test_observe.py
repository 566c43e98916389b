"""Networks are trained once, in the order of asking, and a dead worker costs one network."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from bench.evidence.pool import ObservationPool
from bench.evidence.schedule import STEPS
from fixtures.data.datasets import load
from models.spec import Spec
from models.worker.process import WorkerDied

ONE, OTHER = Spec.of(depth=2), Spec.of(depth=3)


@pytest.fixture
def pool() -> Iterator[ObservationPool]:
    built = ObservationPool(load(), device="cpu", threads=1, seeds=range(2))
    yield built
    built.close()


def test_a_network_is_trained_once_and_seen_whole(pool: ObservationPool) -> None:
    pool.plan([("torch", ONE), ("torch", OTHER)])
    run = pool.run("torch", ONE)
    assert pool.run("torch", ONE) is run
    assert [history.seed for history in run.seen.trainings] == [0, 1]
    assert run.seen.trainings[0].gradient_norms.shape == (STEPS["digits"], ONE.arch.depth)
    assert len(run.seen.forced_steps) == len(run.reference.exact) == 3
    assert run.seen.shared and run.seen.native
    np.testing.assert_array_equal(run.seen.shared.weights["dense1.weight"], run.reference.forced_steps[0].weights["dense1.weight"])
    assert not np.array_equal(run.seen.native.weights["dense1.weight"], run.seen.shared.weights["dense1.weight"])


def test_a_dead_worker_costs_one_network(pool: ObservationPool) -> None:
    pool.plan([("torch", ONE), ("torch", OTHER)])
    pool.get("torch")._process.kill()
    with pytest.raises(WorkerDied):
        pool.run("torch", ONE)
    assert pool.run("torch", OTHER).seen.forced_steps
