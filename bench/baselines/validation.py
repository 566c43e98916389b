"""What a recording must be before anything is judged by it: written by the suite, of this backend and device, and nowhere made up."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import numpy as np

from bench.baselines.interval import intervals_of_each
from bench.baselines.metrics import NAME, is_share
from bench.baselines.pairs import Recorded
from models.arrays import Array

LEAST_NEIGHBOURS = 2
"""A spread is known from two samples."""


def fault_of_samples(samples: dict[str, list[list[float]]], seeds: list[int], executions: list[str]) -> str:
    """What is wrong with samples by `data/network/metric`, in words that follow a file's name; empty for a good recording.

    Each loss and gradient norm lies in the interval that the other seeds predict for a single one, at the level at which runs are judged:
    one of a healthy recording is outside as rarely as a healthy run is red. This holds in every execution, since rounding moves a training
    no further than another seed does. A seed that all executions confirm may lie apart, as where a network dies with some seeds: it
    narrows what the seed may stray, and does not widen it. Accuracies may be equal but for one, where networks do not learn; their range
    bounds what one of them can do.
    """
    if twice := _twice(seeds) or _twice(executions):
        return f"names {'seed ' if twice.isdigit() else ''}{twice} twice"
    for key, rows in samples.items():
        metric = key.rpartition("/")[2]
        if key.count("/") != 2 or not NAME.fullmatch(metric):
            return f"has {key!r}, which is no data/network/metric with a metric out of accuracy, loss, gradient layer N and the like"
        if len(rows) > len(seeds):
            return f"has {len(rows)} rows for {key!r}, and {len(seeds)} seeds"
        if any(len(row) != len(executions) for row in rows):
            return f"has rows for {key!r} that do not have one sample for each of {len(executions)} executions"
        values = np.array(rows)
        share = is_share(metric)
        wrong = values[~(np.isfinite(values) & (values >= 0 if share else values > 0) & (values <= (1.0 if share else np.inf)))]
        if len(wrong):
            return f"has {wrong[0]:g} for {key!r}, which no {metric.partition(' layer ')[0]} can be"
        for column in values.T if not share else ():
            for place in _outlying_seeds(metric, column):
                if not _confirmed(metric, values, place):
                    return f"has {column[place]:g} for {key!r} with seed {seeds[place]}, which the other seeds rule out"
    return ""


def key_given_twice(raw: bytes) -> str:
    """A key that an object of a JSON file has twice, of which readers would silently keep the last; empty where there is none."""
    found: list[str] = []

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        found.extend([_twice([key for key, _ in items])])
        return dict(items)

    json.loads(raw, object_pairs_hook=pairs)
    return next(filter(None, found), "")


def _outlying_seeds(metric: str, values: Array) -> Iterator[int]:
    """The places of samples that their neighbours rule out."""
    if len(values) <= LEAST_NEIGHBOURS:
        return
    low, high = intervals_of_each(metric, values)
    yield from map(int, np.flatnonzero(~((low <= values) & (values <= high))))


def _confirmed(metric: str, values: Array, place: int) -> bool:
    """Whether the executions of a seed, of which there are several, lie no further apart than those of another seed have lain."""
    others = Recorded(metric, np.delete(values, place, axis=0))
    return others.paired and Recorded(metric, values[[place]]).furthest <= others.furthest


def _twice(values: list[int] | list[str]) -> str:
    """The first value that is there twice, as text."""
    return next((str(value) for value, count in Counter(values).items() if count > 1), "")
