"""Entry points as users call them: how long each takes, how often it is compiled, and what memory it keeps."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from models.arrays import Arrays, Batch, Labels
from models.backends.call_cost import clock, growth, resident
from models.backends.torch.device import device_memory, drain
from models.backends.torch.model import Model, optimizer_of
from models.spec import Spec


def _entries(built: Model, optimizer: torch.optim.Optimizer, x: Batch, labels: Labels) -> dict[str, Callable[[], object]]:
    def step() -> None:
        optimizer.zero_grad()
        built.loss_of(x, labels).backward()
        optimizer.step()

    def evaluate() -> float:
        with torch.no_grad():
            return float(built.loss_of(x, labels))

    return {"step": step, "evaluate one": evaluate, "forward": lambda: built.module(built.tensor(x))}


def entry_points(
    *, spec: str, weights: Arrays, x: Batch, labels: Labels, entries: list[str], batches: list[int], calls: int
) -> dict[str, list[dict[str, float]]]:
    """By entry, batch after batch: seconds of the first and of the fastest later call, and how often something compiled in them.

    `compiled` is the forward pass under torch.compile, with a backend that runs the captured graph as it is and counts; the other
    entries are eager, and have no traces that could be counted.
    """
    built = Model(Spec.parse(spec), weights=weights)
    optimizer = optimizer_of(built.spec, built.parameters)
    compiled: list[torch.fx.GraphModule] = []

    def count(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., Any]:
        compiled.append(graph)
        return graph.forward

    torch.compiler.reset()
    forward = torch.compile(built.module, backend=count)
    seen: dict[str, list[dict[str, float]]] = {}
    for entry in (name for name in (*_entries(built, optimizer, x, labels), "compiled") if name in entries):
        for batch in batches:
            piece = x[:batch], labels[:batch]
            calls_of = _entries(built, optimizer, *piece) | {"compiled": lambda piece=piece: forward(built.tensor(piece[0]))}
            compiled.clear()
            first, first_traces = clock(calls_of[entry], drain), len(compiled)
            compiled.clear()
            later = min(clock(calls_of[entry], drain) for _ in range(calls))
            traces = {"first_traces": first_traces, "later_traces": len(compiled)} if entry == "compiled" else {}
            seen.setdefault(entry, []).append({"first": first, "later": later, **traces})
    return seen


def memory(*, spec: str, weights: Arrays, x: Batch, labels: Labels, entries: list[str], warm_up: int, calls: int) -> dict[str, float]:
    """Bytes by which the process grew over `calls` calls of each of `entries` that there is, after `warm_up` calls."""
    built = Model(Spec.parse(spec), weights=weights)
    return growth(_entries(built, optimizer_of(built.spec, built.parameters), x, labels), entries, warm_up, calls, device_memory)


def dropped(*, spec: str, weights: Arrays, x: Batch, labels: Labels, models: int, steps: int, warm_up: int) -> dict[str, float]:
    """Build and train `models` networks for `steps` steps, dropping each: how many stay alive, and bytes grown after `warm_up`."""
    described = Spec.parse(spec)
    alive, before = [], 0
    for number in range(models):
        if number == warm_up:
            before = resident(device_memory)
        built = Model(described, weights=weights)
        optimizer = optimizer_of(described, built.parameters)
        for _ in range(steps):
            _entries(built, optimizer, x, np.asarray(labels))["step"]()
        alive.append(weakref.ref(built.module.parts))
    del built, optimizer
    gc.collect()
    return {"alive": float(sum(each() is not None for each in alive)), "grown": float(resident(device_memory) - before)}
