"""A network that is started again is bit for bit the one that would have been built."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

from bench.evidence.collect import held_out, trainings
from bench.symmetry import relation_steps
from fixtures.data.datasets import load
from models.matrix import networks
from models.observation import Job
from models.reference.draws import prepare_forced_steps
from models.spec import Spec
from models.worker.network_cache import NetworkCache
from models.worker.tasks.observe import observe

pytest.importorskip("keras")


def job(network: str, seed: int = 3) -> Job:
    data, spec = load(), Spec.parse(f"depth=4,{network}")
    forced_steps = prepare_forced_steps(spec, data.x_train, data.y_train, seed)
    free = trainings(spec, data, [seed])
    x_test, labels_test = held_out(spec, data)
    relations = relation_steps(spec, forced_steps)
    return Job(
        "keras", spec, seed=seed, forced_steps=forced_steps, relations=relations, trainings=free, x_test=x_test, labels_test=labels_test
    )


def numbers(thing: Any) -> list[Any]:
    """Every number of an observation, in order."""
    if isinstance(thing, dict):
        return [n for value in thing.values() for n in numbers(value)]
    if isinstance(thing, list | tuple):
        return [n for value in thing for n in numbers(value)]
    if hasattr(thing, "__dataclass_fields__"):
        return [n for name in thing.__dataclass_fields__ for n in numbers(getattr(thing, name))]
    return [thing]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("norm=batch,lr=0.02", "norm=batch,input=shifted,init=orthogonal"),
        ("optimizer=adam,init=glorot_uniform", "optimizer=adam,bias=normal,lr=0.01"),
        ("loss=mse", "loss=mse,target_scale=10,lr=0.001"),
        ("norm=layer,init=keras_default", "norm=layer"),
    ],
)
def test_a_network_started_again_is_the_one_that_would_have_been_built(first: str, then: str) -> None:
    kept = NetworkCache()
    observe(job(first, seed=1), kept.network)
    built, network = kept._network, kept.network(job(then))
    assert network is built
    again, fresh = observe(job(then), kept.network), observe(job(then))
    assert kept._network is built
    pairs = list(zip(numbers(again), numbers(fresh), strict=True))
    assert len(pairs) > 50
    for one, other in pairs:
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("other", ["norm=layer", "act=rrelu", "batch=32", "precision=float64"])
def test_what_is_built_or_traced_otherwise_is_built_anew(other: str) -> None:
    kept = NetworkCache()
    before = kept.network(job("act=rrelu" if other == "act=rrelu" else "lr=0.01"))
    assert kept.network(job(other)) is not before


def test_a_network_that_is_gone_takes_its_traced_step_along() -> None:
    def traced() -> int:
        gc.collect()
        return sum(type(thing).__name__ == "FuncGraph" for thing in gc.get_objects())

    forced_step, kept = job("lr=0.01").forced_steps[0], NetworkCache()
    counts = []
    for depth in (2, 3, 4, 5):
        kept.network(Job("keras", Spec.of(depth=depth))).step(forced_step.x, forced_step.labels)
        counts.append(traced())
    assert counts[0] >= 1
    assert counts[-1] == counts[1], f"traced steps in memory after each network: {counts}"


def test_networks_that_are_built_alike_stand_together() -> None:
    graphs = [spec.built_as for spec in networks("core")]
    runs = [graph for place, graph in enumerate(graphs) if place == 0 or graph != graphs[place - 1]]
    assert len(runs) == len(set(runs))
    assert len(graphs) - len(runs) >= 12
