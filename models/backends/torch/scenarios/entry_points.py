"""Entry points as users call them: how long each takes, how often it is compiled, and what memory it keeps."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import torch

from models.backends.call_cost import clock, growth, resident
from models.backends.torch.scenarios.network import Arrays, Built, build, optimizer_of
from models.spec import Spec


def _entries(built: Built, optimizer: Any, x: Any, labels: Any) -> dict[str, Any]:
    def step() -> None:
        optimizer.zero_grad()
        built.loss(x, labels).backward()
        optimizer.step()

    def evaluate() -> float:
        with torch.no_grad():
            return float(built.loss(x, labels))

    return {"step": step, "evaluate one": evaluate, "forward": lambda: built.model(torch.as_tensor(x))}


def entry_points(
    *, spec: str, weights: Arrays, x: Any, labels: Any, entries: list[str], batches: list[int], calls: int
) -> dict[str, dict[str, float]]:
    """By `entry batch=n`: seconds of the first call and of the fastest later one; where something compiles, how often it did in them.

    `compiled` is the forward pass under torch.compile, with a backend that runs the captured graph as it is and counts; the other
    entries are eager, and have no traces that could be counted.
    """
    built = build(Spec.parse(spec), weights)
    optimizer = optimizer_of(built.spec, built.parameters)
    compiled = []

    def count(graph: Any, inputs: Any) -> Any:
        compiled.append(graph)
        return graph.forward

    torch.compiler.reset()
    forward = torch.compile(built.model, backend=count)
    seen: dict[str, dict[str, float]] = {}
    for entry in (name for name in (*_entries(built, optimizer, x, labels), "compiled") if name in entries):
        for batch in batches:
            piece = x[:batch], labels[:batch]
            calls_of = _entries(built, optimizer, *piece) | {"compiled": lambda piece=piece: forward(torch.as_tensor(piece[0]))}
            compiled.clear()
            first, first_traces = clock(calls_of[entry]), len(compiled)
            compiled.clear()
            later = min(clock(calls_of[entry]) for _ in range(calls))
            traces = {"first_traces": first_traces, "later_traces": len(compiled)} if entry == "compiled" else {}
            seen[f"{entry} batch={batch}"] = {"first": first, "later": later, **traces}
    return seen


def memory(*, spec: str, weights: Arrays, x: Any, labels: Any, entries: list[str], warm_up: int, calls: int) -> dict[str, float]:
    """Bytes by which the process grew over `calls` calls of each of `entries` that there is, after `warm_up` calls."""
    built = build(Spec.parse(spec), weights)
    return growth(_entries(built, optimizer_of(built.spec, built.parameters), x, labels), entries, warm_up, calls)


def dropped(*, spec: str, weights: Arrays, x: Any, labels: Any, models: int, steps: int, warm_up: int) -> dict[str, float]:
    """Build and train `models` networks for `steps` steps, dropping each: how many stay alive, and bytes grown after `warm_up`."""
    described = Spec.parse(spec)
    alive, before = [], 0
    for number in range(models):
        if number == warm_up:
            before = resident()
        built = build(described, weights)
        optimizer = optimizer_of(described, built.parameters)
        for _ in range(steps):
            _entries(built, optimizer, x, np.asarray(labels))["step"]()
        alive.append(weakref.ref(built.model))
    del built, optimizer
    gc.collect()
    return {"alive": float(sum(each() is not None for each in alive)), "grown": float(resident() - before)}
