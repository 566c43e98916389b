"""Entry points as users call them: traces and memory are judged, times only reported."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.tolerance import MEMORY_GROWTH, MODEL_MEMORY
from bench.metamorphic.scenarios import Scenarios, start

CALLS, BATCHES = 3, (16, 12)
BY_BATCH = ("train_on_batch", "test_on_batch", "predict_on_batch", "step", "evaluate one", "forward", "compiled")
BY_EPOCH = ("fit", "evaluate", "predict")
"""Names of entry points in Keras and in PyTorch; a framework takes those that it has."""


def traces(scenarios: Scenarios) -> Iterator[Finding]:
    """A step is traced when it first meets a batch size and never again."""
    yield from _traced(scenarios, BY_BATCH)


def traces_of_epochs(scenarios: Scenarios) -> Iterator[Finding]:
    """fit, evaluate and predict are traced when they first meet a batch size and never again."""
    yield from _traced(scenarios, BY_EPOCH)


def entry_points(scenarios: Scenarios, entries: tuple[str, ...]) -> Iterator[tuple[str, int, dict[str, float]]]:
    """Entry point, batch size, and seconds of the first and of a later call, with traces in them where the entry is traced at all."""
    begin = start("optimizer=adam", steps=1)
    found = scenarios("entry_points", **begin.one(), entries=list(entries), batches=list(BATCHES), calls=CALLS)
    for entry, by_batch in found.items():
        for batch, seen in zip(BATCHES, by_batch, strict=True):
            yield entry, batch, seen


def memory(scenarios: Scenarios) -> Iterator[Finding]:
    """100 more training steps keep no memory."""
    yield from _memory(scenarios, ("train_on_batch", "step"))


def memory_of_epochs(scenarios: Scenarios) -> Iterator[Finding]:
    """100 more calls of fit, evaluate and predict keep no memory."""
    yield from _memory(scenarios, BY_EPOCH)


def models_dropped(scenarios: Scenarios) -> Iterator[Finding]:
    """A network that was built, trained and dropped is gone.

    Whether the object is; a few models say nothing of memory, which a process takes in steps while it warms up.
    """
    yield from list(_dropped(scenarios, models=3, warm_up=1))[:1]


def models_dropped_often(scenarios: Scenarios) -> Iterator[Finding]:
    """A network that was built, trained and dropped is gone, 100 times over, memory included."""
    yield from _dropped(scenarios, models=100, warm_up=20)


def _memory(scenarios: Scenarios, entries: tuple[str, ...]) -> Iterator[Finding]:
    begin = start("optimizer=adam", steps=1)
    for entry, grown in scenarios("memory", **begin.one(), entries=list(entries), warm_up=20, calls=100).items():
        yield Finding(Place("MB in 100 calls", scope=f"{entry}:"), float(np.maximum(0.0, grown)) / 1e6, 0.0, MEMORY_GROWTH)


def _dropped(scenarios: Scenarios, models: int, warm_up: int) -> Iterator[Finding]:
    begin = start("optimizer=adam", steps=1)
    seen = scenarios("dropped", **begin.one(), models=models, steps=1, warm_up=warm_up)
    yield Finding(Place(f"of {models} models still alive"), seen["alive"], 0, 0)
    yield Finding(Place("MB a model"), float(np.maximum(0.0, seen["grown"])) / 1e6 / (models - warm_up), 0.0, MODEL_MEMORY)


def _traced(scenarios: Scenarios, entries: tuple[str, ...]) -> Iterator[Finding]:
    for entry, batch, seen in entry_points(scenarios, entries):
        if "later_traces" not in seen:  # eager: nothing could have been traced
            continue
        scope = f"{entry} batch={batch}:"
        if batch == BATCHES[0]:  # a count that stands still would pass what follows
            missing = float(not seen["first_traces"] >= 1)
            yield Finding(Place("no trace in the first call", scope=scope), missing, 0, 0, "nothing was traced")
        place = Place(f"traces in {CALLS} later calls", scope=scope)
        yield Finding(place, seen["later_traces"], 0, 0, "traced anew although nothing changed")
