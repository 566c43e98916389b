"""Networks that are trained for many epochs: every backend does the same, and looks change nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.experiments.cell import rates
from fixtures.data.datasets import load
from models.backends.registry import backend_module
from models.reference.draws import draw_weights
from models.spec import Spec
from models.worker.process import Worker
from models.worker.tasks.epochs import EpochSeen, Refreshed

NETWORK = "depth=5,width=24,batch=32,norm=batch,momentum=0.99,init=glorot_uniform,optimizer=adam"
EVERY = 9


def epochs(backend: str, count: int = 2, seeds: tuple[int, ...] = (0,)) -> tuple[list[list[EpochSeen]], Refreshed]:
    data, worker = load(), Worker(backend)
    x_train, x_test = (x.astype(np.float32) for x in (data.x_train, data.x_test))
    seen = []
    try:
        worker.call("hold", x_train=x_train, y_train=data.y_train, x_test=x_test, y_test=data.y_test)
        for seed in seeds:
            worker.call("begin", network=NETWORK, seed=seed, device="cpu", every=EVERY)
            schedules = [rates("warm-up", len(x_train) // 32, count, number) for number in range(1, count + 1)]
            seen.append(
                [
                    worker.call("epoch", EpochSeen, network=NETWORK, number=number, schedule=schedule)
                    for number, schedule in enumerate(schedules, 1)
                ]
            )
        return seen, worker.call("refresh", Refreshed, network=NETWORK, batches=20)
    finally:
        worker.close()


@pytest.fixture(scope="module")
def reference() -> tuple[list[list[EpochSeen]], Refreshed]:
    return epochs("numpy", seeds=(0, 1))


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_frameworks_train_from_the_same_weights_on_the_same_batches(
    backend: str, reference: tuple[list[list[EpochSeen]], Refreshed]
) -> None:
    """After two epochs rounding has driven them a little apart; another batch, rate or start would show at once."""
    (trained, again), refreshed = epochs(backend, seeds=(1, 0))
    assert [(each.steps, each.gradient_norms.shape) for each in trained] == [(37, (4, 5))] * 2
    for mine, theirs in zip((*again, *trained), (*reference[0][0], *reference[0][1]), strict=True):
        assert mine.loss == pytest.approx(theirs.loss, rel=0.02)
        assert mine.accuracy == pytest.approx(theirs.accuracy, abs=0.03)
        assert mine.batch_accuracy == pytest.approx(theirs.batch_accuracy, abs=0.03)
        np.testing.assert_allclose(mine.gradient_norms[0], theirs.gradient_norms[0], rtol=0.1)
    assert refreshed.after > refreshed.before
    assert refreshed.distance_before[-1] > 2 * refreshed.distance_after[-1] > 0


def test_statistics_are_the_mean_over_batches_and_a_look_leaves_them_alone() -> None:
    data, spec = load(), Spec.parse(NETWORK)
    x, places = data.x_train.astype(np.float32), np.arange(160).reshape(5, 32)
    network = backend_module("torch").EpochNetwork(spec, steps=5, every=5)
    network.load(draw_weights(spec, 0), fresh=True)
    before = network.running()
    network.batch_logits(x[:100])
    assert all(np.array_equal(a, b) for name in before for a, b in zip(before[name], network.running()[name], strict=True))
    network.refresh(x, places)
    mean = (x[:160] @ draw_weights(spec, 0)["dense1.weight"].T).mean(0)
    np.testing.assert_allclose(network.running()["norm1"][0], mean, atol=1e-5)


def test_a_training_that_leaves_the_range_of_numbers_ends_at_the_next_look() -> None:
    data, spec = load(), Spec.parse("depth=5,width=24,batch=32,optimizer=sgd,lr=1e30")
    network = backend_module("torch").EpochNetwork(spec, steps=37, every=EVERY)
    with np.errstate(all="ignore"):
        done = network.fit(data.x_train.astype(np.float32), data.y_train, np.arange(37 * 32).reshape(37, 32), np.ones(37))
    assert done.steps == EVERY and not math.isfinite(done.loss)


def test_the_learning_rate_rises_and_falls_to_zero() -> None:
    schedule = np.concatenate([rates("warm-up", 400, 3, number) for number in (1, 2, 3)])
    assert schedule[0] == 0.01 and schedule.argmax() == 99 and schedule.max() == pytest.approx(1, rel=1e-3)
    assert 0 < schedule[-1] < 0.001 and (np.diff(schedule)[100:] < 0).all()
    assert (rates("constant", 7, 3, 2) == 1).all()
