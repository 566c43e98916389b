"""Networks on given targets: every backend trains the same, and gradients in time are those of finite differences."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from bench.experiments.cell import rates
from fixtures.data.memory_problems import problem
from models.arrays import Norms
from models.backends.numpy.memory import GivenTargets
from models.reference.draws import draw_weights
from models.spec import Spec
from models.worker.process import Worker
from models.worker.tasks.epochs import EpochSeen, solved

BATCH, STEPS, LENGTH = 16, 10, {"adding-12": 12, "copying-4": 24}
SETTINGS = "batch=16,width=12,init=glorot_uniform,optimizer=adam,lr=0.003"
Seen = tuple[list[EpochSeen], Norms]


def network(name: str, cell: str) -> str:
    loss = "cross_entropy" if name.startswith("copying") else "mse"
    given = problem(name)
    fields = f"rnn,length={given.length},cell={cell},features={given.features},classes={given.classes},loss={loss},{SETTINGS}"
    return Spec.parse(fields).id


def train(backend: str, name: str, cell: str) -> Seen:
    worker, given, wanted = Worker(backend), problem(name), network(name, cell)
    try:
        for number in (1, 2):
            x_train, y_train = given.samples(BATCH * STEPS, 0, number)
            x_test, y_test = given.test(100)
            if number == 1:
                worker.call("hold", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
                worker.call("begin", network=wanted, seed=0, device="cpu", every=5)
                norms = worker.call("in_time", network=wanted, length=given.length)
                seen = []
            else:
                worker.call("renew", x_train=x_train, y_train=y_train)
            seen.append(worker.call("epoch", EpochSeen, network=wanted, number=number, schedule=rates("constant", STEPS, 2, number)))
        return seen, norms
    finally:
        worker.close()


@pytest.mark.parametrize("name", LENGTH)
def test_backends_train_alike_on_given_targets(name: str) -> None:
    """Ten steps twice, from the same weights; a target at another time step, or another batch, would show at once."""
    (first, second), norms = train("numpy", name, "gru")
    assert second.loss < first.loss and norms.shape == (LENGTH[name],) and (norms > 0).all()
    for backend in ("torch", "keras"):
        (other, later), seen = train(backend, name, "gru")
        np.testing.assert_allclose(seen, norms, rtol=1e-4)
        for mine, theirs in pairwise((other, first, later, second)):
            if (mine, theirs) != (first, later):
                assert mine.loss == pytest.approx(theirs.loss, rel=1e-3)
                assert mine.test_loss == pytest.approx(theirs.test_loss, rel=1e-3)
                assert mine.accuracy == pytest.approx(theirs.accuracy, abs=0.02)


@pytest.mark.parametrize("name", LENGTH)
def test_the_reference_of_given_targets_has_the_slope_of_its_loss(name: str) -> None:
    """Central differences along a random direction of all weights, in float64."""
    spec, given = Spec.parse(network(name, "lstm")).in_float64, problem(name)
    (x, targets), weights = given.samples(BATCH, 1), draw_weights(Spec.parse(network(name, "lstm")).in_float64, 3)
    rng = np.random.default_rng(0)
    direction = {key: rng.standard_normal(value.shape) for key, value in weights.items()}
    gradients = GivenTargets(spec, weights).run(x, targets).gradients
    slope = sum(float(np.vdot(gradients[key], direction[key])) for key in weights)
    ends = [GivenTargets(spec, {k: v + h * direction[k] for k, v in weights.items()}).run(x, targets).loss for h in (1e-5, -1e-5)]
    assert slope == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6)


def test_what_counts_as_solved() -> None:
    assert solved(np.array([[1.0], [1.03], [1.05], [np.nan]]), np.array([[1.0]] * 4)) == 0.5
    labels = np.array([[0, 2], [0, 1]])
    assert solved(np.eye(3)[[1, 2, 1, 2]], labels) == 0.5, "blanks do not count"
