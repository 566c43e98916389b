"""Prediction intervals: how often they are wrong, how narrow they are, and on the real recordings that no seed is called outlandish."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from bench import baseline as baselines
from bench.interval import Beside, interval, scale_of
from bench.judge import SCALES
from fixtures.observe import STEPS


def test_healthy_runs_stay_inside_and_a_shift_does_not() -> None:
    rng = np.random.default_rng(0)
    outside = 0
    for _ in range(400):
        samples, fresh = np.exp(rng.normal(-1, 0.3, 20)), np.exp(rng.normal(-1, 0.3, 3))
        found = interval("loss", list(samples), 3)
        outside += not found.low <= np.exp(np.log(fresh).mean()) <= found.high
    assert outside == 0, "one alarm in 1,000 runs of 1,000 metrics leaves none in 400"
    assert not found.low <= np.exp(-1 + 10 * 0.3) <= found.high


def test_intervals_have_a_floor_and_hold_their_centre() -> None:
    found = interval("accuracy", [0.9, 0.9, 0.9], 3)
    assert (found.low, found.high) == pytest.approx((0.895, 0.905))
    assert interval("loss", [0.5] * 3, 3).low == pytest.approx(0.45)


def test_the_reference_on_the_same_seeds_takes_the_seeds_out() -> None:
    rng = np.random.default_rng(1)
    exact = 0.8 + 0.05 * rng.standard_normal(19)
    then = list(exact[3:] + 0.001 * rng.standard_normal(16))
    alone, paired = interval("accuracy", then, 3), interval("accuracy", then, 3, beside=Beside(list(exact[3:]), list(exact[:3])))
    assert paired.paired == tuple(exact[:3])
    assert paired.high - paired.low < 0.1 * (alone.high - alone.low)
    assert paired.low < exact[:3].mean() < paired.high


def test_a_reference_that_says_nothing_of_a_seed_is_left_out() -> None:
    rng = np.random.default_rng(2)
    then, other = list(0.8 + 0.05 * rng.standard_normal(16)), list(0.8 + 0.05 * rng.standard_normal(16))
    assert not interval("accuracy", then, 3, beside=Beside(other, other[:3])).paired


def triples() -> Iterator[tuple[str, str, float, float, float]]:
    """Every three neighbouring seeds of every recording, judged by the thirteen others."""
    for backend in ("torch", "keras"):
        baseline = baselines.load(backend, "cpu", STEPS)
        assert baseline.content is not None
        assert baseline.reference is not None
        seeds = baseline.content.seeds
        for key, values in baseline.content.samples.items():
            network, _, metric = key.rpartition("/")
            beside = baseline.beside(network, metric, seeds)
            assert beside is not None, f"{key} has no recording of the reference"
            scale = SCALES[scale_of(metric)]
            for first in range(0, len(seeds) - 2, 3):
                chosen = set(range(first, first + 3))
                rest = [place for place in range(len(seeds)) if place not in chosen]
                alone = Beside([beside.then[place] for place in rest], [beside.then[place] for place in chosen])
                found = interval(metric, [values[place] for place in rest], 3, beside=alone)
                mean = float(scale.backward(scale.forward(np.asarray([values[place] for place in chosen])).mean()))
                yield backend, key, mean, found.low, found.high


def test_no_three_recorded_seeds_fall_outside_what_the_others_predict() -> None:
    seen = list(triples())
    assert len(seen) > 3000
    outside = [(backend, key, low, mean, high) for backend, key, mean, low, high in seen if not low <= mean <= high]
    assert not outside, outside
