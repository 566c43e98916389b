"""What a recording must be before anything is judged by it: written by the suite, of this backend and device, and nowhere made up."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator

import numpy as np

from bench.baselines.interval import interval

METRIC = re.compile(r"accuracy|loss|gradient layer [1-9][0-9]*")
LEAST_NEIGHBOURS = 2
"""A spread is known from two samples."""


def fault_of_samples(samples: dict[str, list[float]], seeds: list[int]) -> str:
    """What is wrong with samples by `data/network/metric`, in words that follow a file's name; empty for a good recording.

    Each loss and gradient norm lies in the interval that the other seeds predict for a single one, at the level at which runs are judged:
    one of a healthy recording is outside as rarely as a healthy run is red. Accuracies may be equal but for one, where networks do not
    learn; their range bounds what one of them can do.
    """
    if twice := _twice(seeds):
        return f"names seed {twice} twice"
    for key, values in samples.items():
        metric = key.rpartition("/")[2]
        if key.count("/") != 2 or not METRIC.fullmatch(metric):
            return f"has {key!r}, which is no data/network/metric with a metric out of accuracy, loss and gradient layer N"
        if len(values) != len(seeds):
            return f"has {len(values)} samples for {key!r}, and not one for each of {len(seeds)} seeds"
        largest = 1.0 if metric == "accuracy" else np.inf
        for value in values:
            if not (np.isfinite(value) and (value > 0 or (value == 0 and metric == "accuracy")) and value <= largest):
                return f"has {value:g} for {key!r}, which no {metric.partition(' ')[0]} can be"
        if metric != "accuracy" and (place := next(_outliers(metric, values), None)) is not None:
            return f"has {values[place]:g} for {key!r} with seed {seeds[place]}, which the other seeds rule out"
    return ""


def key_given_twice(raw: bytes) -> str:
    """A key that an object of a JSON file has twice, of which readers would silently keep the last; empty where there is none."""
    found: list[str] = []

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        found.extend([_twice([key for key, _ in items])])
        return dict(items)

    json.loads(raw, object_pairs_hook=pairs)
    return next(filter(None, found), "")


def _outliers(metric: str, values: list[float]) -> Iterator[int]:
    """Places of samples that their neighbours rule out."""
    for place, value in enumerate(values):
        others = [*values[:place], *values[place + 1 :]]
        if len(others) >= LEAST_NEIGHBOURS:
            low, high = interval(metric, others, 1)
            if not low <= value <= high:
                yield place


def _twice(values: list[int] | list[str]) -> str:
    """The first value that is there twice, as text."""
    return next((str(value) for value, count in Counter(values).items() if count > 1), "")
