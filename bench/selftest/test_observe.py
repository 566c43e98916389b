"""Networks are trained once, in the order of asking, and a dead worker costs one network."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from fixtures.data import load
from fixtures.observe import STEPS, Laboratory
from models.spec import Spec
from models.worker import WorkerDied

ONE, OTHER = Spec(depth=2), Spec(depth=3)


@pytest.fixture
def laboratory() -> Iterator[Laboratory]:
    built = Laboratory(load(), device="cpu", threads=1, seeds=range(2))
    yield built
    built.close()


def test_a_network_is_trained_once_and_seen_whole(laboratory: Laboratory) -> None:
    laboratory.plan([("torch", ONE), ("torch", OTHER)])
    run = laboratory.run("torch", ONE)
    assert laboratory.run("torch", ONE) is run
    assert [history.seed for history in run.seen.trainings] == [0, 1]
    assert run.seen.trainings[0].gradient_norms.shape == (STEPS, ONE.depth)
    assert len(run.seen.lessons) == len(run.answer.exact) == 3
    assert run.seen.drawn and run.seen.own
    np.testing.assert_array_equal(run.seen.drawn.weights["1.weight"], run.answer.lessons[0].weights["1.weight"])
    assert not np.array_equal(run.seen.own.weights["1.weight"], run.seen.drawn.weights["1.weight"])


def test_a_dead_worker_costs_one_network(laboratory: Laboratory) -> None:
    laboratory.plan([("torch", ONE), ("torch", OTHER)])
    laboratory.get("torch")._process.kill()
    with pytest.raises(WorkerDied):
        laboratory.run("torch", ONE)
    assert laboratory.run("torch", OTHER).seen.lessons
