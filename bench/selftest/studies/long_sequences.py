"""Whether a training step through time takes time and memory in proportion to its steps, in each framework and in the reference.

A process a backend and length trains an LSTM of 32 units on sequences of 250, 500 and 1,000 steps. Time is processor time of a step, the
median of `REPEATS`. Memory is the growth of the process's peak. Linear is a ratio of 1: t(1000)/2t(500), and what 500 more steps took over
what 250 more did, halved. The exit status is 1 where a ratio is over `MOST`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np

from bench.exit_status import Status
from models.backends.registry import backend_module
from models.spec import Spec

LENGTHS = 250, 500, 1000
REPEATS = 5
MOST = 1.5
"""Between linear, which is 1, and quadratic, which is 2."""


def measured(backend: str, length: int) -> tuple[float, float]:
    """Seconds of a step, and megabytes by which the process's peak has grown since a network of ten steps took one."""
    module, peaks = backend_module(backend), []
    for steps in (10, length):
        spec = Spec.parse(f"rnn,cell=lstm,length={steps},features=1000")
        x, labels = np.random.default_rng(0).standard_normal((spec.batch, 1000)).astype(np.float32), np.arange(spec.batch) % spec.classes
        network, seconds = module.Network(spec, record=()), []
        for _ in range(1 + REPEATS):
            began = time.process_time()
            network.step(x, labels)
            seconds.append(time.process_time() - began)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return statistics.median(seconds[1:]), peaks[1] - peaks[0]


def ratios(figures: list[tuple[float, float]]) -> tuple[float, float]:
    """Of time and of memory, at the last three lengths, each twice the one before."""
    (_, first), (half, second), (whole, third) = figures
    return whole / (2 * half), (third - second) / (2 * max(second - first, 0.5))


def table(backends: list[str]) -> Iterator[tuple[str, tuple[float, float], list[tuple[float, float]]]]:
    """Backend, ratios and figures."""
    for backend in backends:
        figures = []
        for length in LENGTHS:
            command = [sys.executable, "-m", "bench.selftest.studies.long_sequences", "--one", backend, str(length)]
            alone = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1")
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=alone)
            seconds, megabytes = json.loads(done.stdout.splitlines()[-1])
            figures.append((seconds, megabytes))
        yield backend, ratios(figures), figures


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench long-sequences", description=__doc__.partition("\n")[0])
    parser.add_argument("--backend", default="numpy,torch,keras", help="comma-separated (default: numpy,torch,keras)")
    parser.add_argument("--one", nargs=2, metavar=("BACKEND", "LENGTH"), help="measure one in this process and print seconds and megabytes")
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(measured(options.one[0], int(options.one[1]))))
        return Status.SAME
    print(f"| backend | time, memory over linear | {' | '.join(f'{length} steps' for length in LENGTHS)} |\n|---|---|---|---|---|")
    worst = 0.0
    for backend, (of_time, of_memory), figures in table(options.backend.split(",")):
        cells = " | ".join(f"{1000 * seconds:.0f} ms, {megabytes:.0f} MB" for seconds, megabytes in figures)
        print(f"| {backend} | {of_time:.2f}, {of_memory:.2f} | {cells} |", flush=True)
        worst = max(worst, of_time, of_memory)
    return Status.SAME if worst <= MOST else Status.FAILING


if __name__ == "__main__":
    sys.exit(main())
