"""What gradgauge itself costs: its training loop beside a hand-written one, and probing a network against its depth.

`python -m bench.selftest.studies.overhead` prints both and judges no framework: status 0, or 14 where one cannot compute.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap

from bench.exit_status import Status, ends_with
from bench.progress import shown, track
from fixtures.data.datasets import Data, load
from models.backends.registry import BACKENDS
from models.reference.draws import draw_weights
from models.reference.network import Reference
from models.spec import Spec
from models.worker.devices import DeviceError, kind, refuse_unknown
from models.worker.process import Worker, WorkerError
from models.worker.tasks.overhead import AGAIN, HAND_WRITTEN, OURS, PROBES, RECORDED, Interleaved, ProbeCost

GOALS = {AGAIN: None, OURS: 1.03, RECORDED: 1.10}
"""How many times the hand-written loop's time each loop may take; the same loop again is the control and has no goal."""
CONFIDENCE = 0.95
PROBE_DEPTHS = (64, 125, 250, 500, 1000)


@dataclass(frozen=True)
class Ratio:
    """Median over rounds of a loop's time divided by the hand-written loop's in the same round, with a bootstrap interval."""

    median: float
    low: float
    high: float

    def words(self, goal: float | None) -> str:
        """The figure as it is printed, beside its goal."""
        figure = f"{self.median:.3f} [{self.low:.3f}, {self.high:.3f}]"
        return figure if goal is None else f"{figure}  goal ≤ {goal:.2f} {'met' if self.median <= goal else 'not met'}"


def ratio(seen: Interleaved, loop: str) -> Ratio:
    """How much longer `loop` takes than the hand-written one."""
    per_round = np.sum(seen.seconds[loop], axis=1) / np.sum(seen.seconds[HAND_WRITTEN], axis=1)
    rng = np.random.default_rng(0)
    interval = bootstrap((per_round,), np.median, confidence_level=CONFIDENCE, method="percentile", rng=rng).confidence_interval
    return Ratio(float(np.median(per_round)), float(interval.low), float(interval.high))


def exponent(depths: Iterable[int], costs: Iterable[float]) -> float:
    """Slope of log cost against log depth: 1 where the cost grows in proportion to depth."""
    return float(np.polyfit(np.log(list(depths)), np.log(list(costs)), 1)[0])


def loops(backend: str, depths: Iterable[int], rounds: int, data: Data, threads: int, device: str = "cpu") -> None:
    """Print every loop's ratio, one network after the other, all in one process."""
    worker = Worker(backend, threads=threads, device=device)
    try:
        for depth in track(list(depths), f"depths of {backend}"):
            spec = Spec.of(depth=depth)
            seen = worker.call(
                "overhead", Interleaved, spec=spec.id, rounds=rounds, x=data.x_train, labels=data.y_train, device=kind(device)
            )
            step = float(np.median(seen.seconds[HAND_WRITTEN])) / seen.steps
            print(f"{backend}, depth {depth}: hand-written {1e3 * step:.2f} ms a step, {seen.steps} steps a block, {rounds} rounds")
            for loop, goal in GOALS.items():
                print(f"    {loop:<18} ÷ hand-written  {ratio(seen, loop).words(goal)}", flush=True)
    finally:
        worker.close()


def framework_probe(backend: str, data: Data, threads: int, device: str = "cpu") -> Callable[[Spec], tuple[float, float]]:
    """Seconds and bytes that a probe of a network takes in a fresh process of `backend`."""

    def cost(spec: Spec) -> tuple[float, float]:
        worker = Worker(backend, threads=threads, device=device)
        try:
            x, labels = data.x_train[: spec.batch].astype(spec.format.held), data.y_train[: spec.batch]
            seen = worker.call("probe", ProbeCost, spec=spec.id, x=x, labels=labels, device=kind(device))
        finally:
            worker.close()
        return seen.seconds, float(seen.memory)

    return cost


def reference_probe(data: Data) -> Callable[[Spec], tuple[float, float]]:
    """The same for the NumPy reference; it is timed first and traced afterwards, as tracing memory takes time."""

    def cost(spec: Spec) -> tuple[float, float]:
        x, labels = data.x_train[: spec.batch], data.y_train[: spec.batch]
        network = Reference(spec, draw_weights(spec, 0))
        took = []
        for _ in range(PROBES):
            start = time.perf_counter()
            network.run(x, labels)
            took.append(time.perf_counter() - start)
        tracemalloc.start()
        Reference(spec, draw_weights(spec, 0)).run(x, labels)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return min(took), float(peak)

    return cost


def probes(name: str, cost: Callable[[Spec], tuple[float, float]], depths: Iterable[int]) -> None:
    """Print what probing costs at every depth and the exponents of a fit."""
    depths = list(depths)
    costs = []
    for depth in track(depths, f"depths of {name}"):
        costs.append(cost(Spec.of(depth=depth)))
        print(f"{name:<8} depth {depth:>5}  {1e3 * costs[-1][0]:9.1f} ms  {costs[-1][1] / 2**20:8.1f} MB", flush=True)
    seconds, memory = (exponent(depths, column) for column in zip(*costs, strict=True))
    print(f"{name:<8} grows as depth^{seconds:.2f} in time, depth^{memory:.2f} in memory", flush=True)


@ends_with(Status.ENVIRONMENT, WorkerError)
@ends_with(Status.BAD_INPUT, DeviceError)
def main(arguments: list[str] | None = None) -> Status:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench overhead", description=__doc__)
    parser.add_argument("--rounds", type=int, default=60, help="rounds of eight blocks a network (default: 60)")
    parser.add_argument("--depth", type=int, nargs="+", default=[16], help="depths of the trained networks (default: 16)")
    parser.add_argument(
        "--probe-depth", type=int, nargs="*", default=list(PROBE_DEPTHS), help="depths to probe, two or more; none skips it"
    )
    parser.add_argument("--backend", nargs="+", choices=list(BACKENDS), default=["torch", "keras"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:0 (default: cpu)")
    options = parser.parse_args(arguments)
    if options.rounds < 2 or len(options.probe_depth) == 1:
        parser.error("an interval takes two rounds, and a fit two depths.")
    refuse_unknown(options.device)
    start, data = time.perf_counter(), load()
    for backend in options.backend:
        loops(backend, options.depth, options.rounds, data, options.threads, options.device)
    if options.probe_depth:
        probes("numpy", reference_probe(data), options.probe_depth)
        for backend in options.backend:
            probes(backend, framework_probe(backend, data, options.threads, options.device), options.probe_depth)
    print(f"took {time.perf_counter() - start:.0f} s")
    return Status.SAME


if __name__ == "__main__":
    with shown():
        raise SystemExit(main())
