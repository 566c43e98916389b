"""Who judges the clock: a planted slow step shows, blocks are long enough, and what is not the named network is not timed."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from bench.selftest.studies.overhead import Ratio, exponent, ratio
from bench.timing import steps
from bench.timing.cases import TimedCase, timed_cases
from bench.timing.duet import sides
from bench.versions.requirements import VersionsError
from fixtures.data.datasets import load
from models.backends.registry import BACKENDS, backend_module
from models.matrix import CASES
from models.spec import Spec, SpecError
from models.worker.process import Worker
from models.worker.tasks.overhead import AGAIN, HAND_WRITTEN, OURS, RECORDED, Interleaved

SHALLOW, LSTM = Spec.of(depth=4), Spec.parse("rnn,cell=lstm")


@pytest.fixture(scope="module")
def data():
    return load()


@pytest.fixture(scope="module")
def workers():
    made = {backend: Worker(backend) for backend in ("torch", "keras")}
    yield made
    for worker in made.values():
        worker.close()


@pytest.mark.parametrize(
    ("backend", "mode", "spec"),
    [
        *((backend, mode, SHALLOW) for backend in ("torch", "keras") for mode in BACKENDS[backend].modes_on("cpu")),
        *((backend, mode, LSTM) for backend in ("torch", "keras") for mode in BACKENDS[backend].recurrent_modes),
    ],
    ids=lambda each: each.id if isinstance(each, Spec) else each,
)
def test_every_mode_trains_the_named_network_and_is_timed(backend, mode, spec, workers, data):
    timing = steps.StepTiming(TimedCase(backend, mode, spec), workers[backend], data)
    before = steps.CLOCK.now()
    timing.control()
    timing.block()
    facts = timing.facts()
    timing.close()
    assert facts.apart_from_reference < steps.APART / 100
    assert steps.CLOCK.now() - before == pytest.approx(facts.step_ms / 1e3)
    assert min(facts.first_step_s, facts.control_ms, facts.worker_rss_mb) > 0
    assert 0 < facts.of_product_rate < 1
    assert facts.of_product_rate == pytest.approx(facts.flops / facts.step_ms * 1e3 / facts.product_flops_per_s)


@pytest.mark.parametrize("planted", ["lr=0.011", "optimizer=sgd,lr=0.01", "init=lecun_normal", "loss=hinge"])
def test_another_network_is_refused_by_name(planted, workers, data):
    case, worker = TimedCase("torch", "eager", SHALLOW), workers["torch"]
    proved = steps.proof(SHALLOW, "torch", data)
    given = {"mode": "eager", "device": "cpu", "x": proved.x, "labels": proved.labels}
    seen = worker.call("prepare", name=planted, spec=f"{SHALLOW.id},{planted}", **given)
    worker.call("forget", names=[planted])
    with pytest.raises(steps.NotTheSameError, match="torch-eager-cpu-depth=4 is not timed"):
        steps.check_same(case, seen["weights"], proved)


def test_a_weight_that_is_no_number_is_refused(data):
    proved = steps.proof(SHALLOW, "torch", data)
    broken = proved.weights | {"dense2.bias": np.full_like(proved.weights["dense2.bias"], np.nan)}
    with pytest.raises(steps.NotTheSameError):
        steps.check_same(TimedCase("torch", "eager", SHALLOW), broken, proved)


def test_a_slow_step_and_a_slow_start_show():
    fast, slow = (steps.warm_up(lambda n, each=each: n * each) for each in (0.001, 0.004))
    assert fast.flat
    assert slow.flat
    assert (fast.steps, slow.steps) == (25, 7)  # 0.020 s and a quarter more, in whole steps
    starting = iter([0.2, 0.1] + [0.03] * 20)
    assert steps.warm_up(lambda n: next(starting)).flat
    assert len(list(starting)) < 18
    assert not steps.is_flat([0.05] * 3 + [0.04] * 3)
    assert steps.is_flat([0.05] * 3 + [0.049] * 3)
    assert not steps.is_flat([0.05] * 5)


def test_a_block_is_long_enough():
    for each in (1e-6, 3e-4, 0.019, 0.021, 7.0):
        assert each * steps.steps_per_block(each) >= steps.SHORTEST_BLOCK
    assert steps.steps_per_block(7.0) == 1


def test_ids_are_unique_and_say_what_is_timed():
    for cases in CASES:
        ids = [case.id for case in timed_cases(cases, tuple(BACKENDS), device="cuda:0", features=784)]
        assert len(set(ids)) == len(ids)
        assert all("cuda:0" in name and "features=784" in name for name in ids)
    assert [case.id for case in timed_cases("smoke", ("torch", "keras"))] == [
        "torch-eager-cpu-reference",
        "keras-train_on_batch-cpu-reference",
    ]
    assert sum(case.mode == "compile" for case in timed_cases("core", ("torch",))) == 1
    assert not any(case.mode == "graphs" for case in timed_cases("full", ("torch",)))
    assert sum(case.mode == "graphs" for case in timed_cases("core", ("torch",), device="cuda")) == 1
    assert len(timed_cases("full", ("torch", "keras"))) == 12 * 6 + 6 * (2 + 3)
    assert [case.mode for case in timed_cases("core", ("torch", "keras")) if not case.spec.arch.layered] == ["eager", "cells"]
    assert dataclasses.replace(timed_cases("smoke", ("torch",))[0], spec=Spec.of(depth=2)).flops == 6 * 64 * (64 * 64 + 64 * 10)
    lstm = TimedCase("torch", "eager", Spec.parse("rnn,cell=lstm"))
    assert lstm.flops == 6 * 64 * (8 * 4 * 32 * (8 + 32) + 32 * 10)
    with pytest.raises(SpecError, match="cases=some"):
        timed_cases("some", ("torch",))


def test_overhead_is_a_ratio_within_rounds_and_growth_an_exponent():
    drift = np.linspace(1, 3, 20)  # the machine becomes three times slower, which a ratio within rounds does not see
    seconds = {HAND_WRITTEN: drift, AGAIN: drift, OURS: 1.02 * drift, RECORDED: 1.5 * drift}
    seen = Interleaved(10, {name: [(t, t) for t in took] for name, took in seconds.items()})
    found = ratio(seen, OURS)
    assert found.low <= found.median <= found.high
    assert found.median == pytest.approx(1.02)
    assert "not met" in ratio(seen, RECORDED).words(1.1)
    assert " met" in found.words(1.03)
    assert "not met" in Ratio(np.nan, 0, 0).words(1.1)
    assert exponent((64, 250, 1000), (64**1.5, 250**1.5, 1000**1.5)) == pytest.approx(1.5)


WRITTEN = [(backend, mode) for backend in ("torch", "keras") for mode in ("", *BACKENDS[backend].recurrent_modes)]


@pytest.mark.parametrize(("backend", "mode"), WRITTEN)
def test_a_recurrent_layer_is_written_as_its_mode_says(backend, mode):
    network: Any = backend_module(backend).Network(Spec.parse("rnn,cell=lstm,width=4"), mode=mode)
    part = network.parts["recurrent1"]
    if backend == "torch":
        assert (part.loop is not None) == bool(mode) and type(part.layer).__name__ == "LSTM"
        return
    assert (type(part).__name__, type(part.cell).__name__) == ("RNN" if mode == "cells" else "LSTM", "LSTMCell")
    assert part.unroll == (mode == "unrolled")


def test_a_duet_of_a_mode_of_recurrent_layers_needs_such_layers():
    side = sides.parse("torch --cells")
    (case,) = sides.cases(sides.parse("torch"), side, (LSTM,))
    assert case.id == "torch-eager:torch-cells-cpu-rnn,cell=lstm"
    with pytest.raises(VersionsError, match="--cells in 'torch --cells' writes recurrent layers, and reference has none"):
        sides.cases(sides.parse("torch"), side, (Spec(),))
