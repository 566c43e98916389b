"""Prediction intervals: how often they are wrong, how narrow they are, and on the real recordings that no seed is called outlandish."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from bench.baselines import samples as baselines
from bench.baselines.interval import interval, intervals_of_each, judges, scale_of
from bench.baselines.pairs import mean
from bench.evidence.schedule import STEPS


def test_healthy_runs_stay_inside_and_a_shift_does_not() -> None:
    rng = np.random.default_rng(0)
    outside = 0
    for _ in range(400):
        samples, fresh = np.exp(rng.normal(-1, 0.3, 20)), np.exp(rng.normal(-1, 0.3, 3))
        low, high = interval("loss", list(samples), 3)
        outside += not low <= np.exp(np.log(fresh).mean()) <= high
    assert outside == 0, "one alarm in 1,000 runs of 1,000 metrics leaves none in 400"
    assert not low <= np.exp(-1 + 10 * 0.3) <= high


@pytest.mark.parametrize("seeds", [4, 8, 48])
def test_what_the_others_predict_for_each_sample_is_told_for_all_at_once(seeds: int) -> None:
    samples = np.exp(np.random.default_rng(seeds).normal(-1, 0.3, seeds))
    ends = np.array([interval("loss", list(np.delete(samples, place)), 1) for place in range(seeds)])
    assert np.transpose(intervals_of_each("loss", samples)) == pytest.approx(ends, rel=1e-12)
    assert np.transpose(intervals_of_each("loss", np.full(seeds, 0.5))) == pytest.approx(np.full((seeds, 2), (0.45, 0.55)))


def test_intervals_have_a_floor_and_hold_their_centre() -> None:
    assert interval("accuracy", [0.9, 0.9, 0.9], 3) == pytest.approx((0.895, 0.905))
    assert interval("loss", [0.5] * 3, 3)[0] == pytest.approx(0.45)


def test_an_interval_that_admits_nearly_anything_judges_nothing() -> None:
    """One made-up sample must not switch a check off without a word."""
    low, high = interval("loss", [0.3] * 14 + [1e6, 1e6], 3)
    assert not judges("loss", low, high, 10)
    assert judges("loss", *interval("loss", [0.3, 0.29, 0.31, 0.3] * 4, 3), 10)
    assert not judges("loss", *interval("loss", [0.3, 0.5], 3), 10), "two seeds tell next to nothing of the spread"
    assert judges("loss", 0.1, 9.9, 10) and not judges("loss", 0.1, 10.1, 10) and not judges("gradient layer 1", 0.0, 1.0, 10)
    assert not judges("loss", math.nan, 1.0, 10) and not judges("accuracy", math.nan, 1.0, 10)
    assert judges("accuracy", 0.1, 0.95, 10) and not judges("accuracy", 0.05, 0.99, 10) and not judges("accuracy", 0.4, 0.95, 2)


def triples() -> Iterator[tuple[str, str, float, float, float]]:
    """Every three neighbouring seeds of every recording, as they ran as usual, judged by the others."""
    for backend in ("torch", "keras"):
        baseline = baselines.load(backend, "cpu", {"digits": STEPS["digits"]})
        assert baseline.content is not None
        for key, rows in baseline.content.samples.items():
            metric, values = key.rpartition("/")[2], np.array(rows)[:, 0]
            for first in range(0, len(values) - 2, 3):
                chosen = list(range(first, first + 3))
                low, high = interval(metric, list(np.delete(values, chosen)), 3)
                yield backend, key, mean(scale_of(metric), list(values[chosen])), low, high


def test_no_three_recorded_seeds_fall_outside_what_the_others_predict() -> None:
    seen = list(triples())
    assert len(seen) > 3000
    outside = [(backend, key, low, mean, high) for backend, key, mean, low, high in seen if not low <= mean <= high]
    assert not outside, outside
