"""What our training loop costs beside the shortest loop a user of the same framework would write, and what probing a deep network costs.

Runs inside one framework's process. The loops take turns, A B C D D C B A, so that whatever slows the machine down slows
all of them; the hand-written one takes part twice, and what it differs from itself is what this machine cannot resolve.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import psutil

from models.arrays import Arrays, Batch, Batches, BatchLabels, Labels
from models.backends.protocol import Backend, Loop
from models.reference.draws import draw_weights
from models.spec import Spec

LOOPS = HAND_WRITTEN, AGAIN, OURS, RECORDED = "hand-written", "hand-written again", "ours", "with norms"
BLOCK_SECONDS = 0.025
"""What a block should last: so long that reading the clock and waiting for the device cost nothing beside it."""
SAME_LOSS = 1e-3
"""How far apart (relative) the loops' first losses may lie: rounding is a thousand times less, another network far more."""
PROBES = 3
"""How often a probe is repeated; the fastest counts, as noise only ever adds."""
SHALLOW = 4
WATCH_SECONDS = 0.001
"""How often memory is read during a probe, which takes 10 ms and more."""


class DifferentLoopsError(RuntimeError):
    """The loops to be compared do not train the same network; the message says which, and by how much."""


@dataclass
class Interleaved:
    """Seconds of every block, rounds × the two turns a round gives each loop, by name of the loop."""

    steps: int
    seconds: dict[str, list[tuple[float, float]]]


@dataclass
class ProbeCost:
    """Fastest seconds of one probe, and by how many bytes the process grew at most from before the network was built."""

    seconds: float
    memory: int


def interleave(backend: Backend, *, spec: str, rounds: int, x: Batch, labels: Labels, device: str = "cpu") -> Interleaved:
    """Time the hand-written loop (twice), ours, and ours with gradient norms, from the same weights on the same batches.

    Raises DifferentLoopsError when their losses say that they are not training the same network.
    """
    network_spec = Spec.parse(spec)
    start = draw_weights(network_spec, 0)
    xs, batches = _batches(network_spec, x, labels, steps=2)
    loops = _loops(backend, network_spec, start, device)
    losses = {name: loop(xs, batches)() for name, loop in loops.items()}  # builds, traces, and proves
    for name, found in losses.items():
        apart = float(np.max(np.abs(found - losses[HAND_WRITTEN]) / np.abs(losses[HAND_WRITTEN])))
        if not apart <= SAME_LOSS:
            raise DifferentLoopsError(
                f"the loop {name!r} does not train the hand-written loop's network: {spec}, losses {apart:.1e} apart."
            )
    steps, seconds = 2, 0.0
    while seconds < BLOCK_SECONDS:
        steps = math.ceil(steps * 1.2 * BLOCK_SECONDS / seconds) if seconds else 8
        xs, batches = _batches(network_spec, x, labels, steps)
        ready = {name: loop(xs, batches) for name, loop in loops.items()}
        seconds = min(_clock(run) for run in [ready[HAND_WRITTEN]] * 5)
    for name in LOOPS:
        _clock(ready[name])
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in LOOPS}
    for _ in range(rounds):
        turns = [(name, _clock(ready[name])) for name in (*LOOPS, *reversed(LOOPS))]
        for name in LOOPS:
            first, second = (took for turn, took in turns if turn == name)
            taken[name].append((first, second))
    return Interleaved(steps, taken)


def probe(backend: Backend, *, spec: str, x: Batch, labels: Labels, device: str = "cpu") -> ProbeCost:
    """Build `spec` without compiling it and probe its signals, forward and backward, untrained.

    A shallow network goes first, so that what a framework allocates once is not counted; a larger one must not have been here,
    for freed memory would be used again unseen.
    """

    wanted = Spec.parse(spec)
    backend.Network(wanted.but(depth=SHALLOW), device=device, record=()).watch(x, labels)
    before = psutil.Process().memory_info().rss
    network = backend.Network(wanted, device=device, record=())
    with _Watch() as watch:
        network.watch(x, labels)
    return ProbeCost(min(_clock(lambda: network.watch(x, labels)) for _ in range(PROBES)), watch.highest - before)


def bare(backend: Backend, *, name: str, trainings: int, steps: int, x: Batch, labels: Labels, device: str = "cpu") -> float:
    """Processor seconds to build the network of this id, to compile it, and to train it so often, and nothing more."""
    spec = Spec.parse(name)
    xs, batches = _batches(spec, x, labels, steps)
    began = time.process_time()
    network = backend.Network(spec, device=device, record=())
    for seed in range(trainings):
        network.load(draw_weights(spec, seed), fresh=True)
        network.train(xs, batches, np.ones(steps), record=False)
    return time.process_time() - began


class _Watch(threading.Thread):
    """Reads the process's memory over and over; a high-water mark of the system's would still hold the import's."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.highest, self._done = 0, threading.Event()

    def run(self) -> None:
        process = psutil.Process()
        while True:
            self.highest = max(self.highest, process.memory_info().rss)
            if self._done.wait(WATCH_SECONDS):
                return

    def __enter__(self) -> _Watch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.join()
        self.highest = max(self.highest, psutil.Process().memory_info().rss)


def _loops(backend: Backend, spec: Spec, weights: Arrays, device: str) -> dict[str, Loop]:
    """By name, what turns batches into a loop over them. Each loop has a network of its own."""
    ours, recorded = (backend.Network(spec, device=device, record=kept) for kept in ((), ("norms",)))
    for network in (ours, recorded):
        network.load(weights, fresh=True)
    return {
        HAND_WRITTEN: backend.hand_written(spec, weights, device),
        AGAIN: backend.hand_written(spec, weights, device),
        OURS: lambda xs, labels: lambda: ours.train(xs, labels, np.ones(len(xs)), record=False).losses,
        RECORDED: lambda xs, labels: lambda: recorded.train(xs, labels, np.ones(len(xs))).losses,
    }


def _batches(spec: Spec, x: Batch, labels: Labels, steps: int) -> tuple[Batches, BatchLabels]:
    """`steps` batches, x (steps × batch × features) and labels (steps × batch); the same every time."""
    chosen = np.random.default_rng(0).integers(0, len(x), (steps, spec.batch))
    return np.asarray(x)[chosen].astype(spec.format.held), np.asarray(labels)[chosen]


def _clock(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
