"""Healthy frameworks on fresh seeds over the core matrix, judged: the record behind the false-alarm and the power table.

Finished rows are kept in a file, so that an interrupted sweep goes on where it stopped.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.checks import BASELINE, CHECKS
from bench.judge import FAILED, judge
from bench.known import apply, read
from bench.run import Answer, Run, answer
from fixtures.data import load
from fixtures.machine import judge_on_one_thread
from models.matrix import networks
from models.run import Job, Observation, prepare_lessons
from models.spec import Spec
from models.worker import Worker

RECORD = Path(".gradgauge/sweep.jsonl")
FIRST_SEED = 5000
"""Apart from the seeds of runs and recordings."""
POWER_SEEDS = 5
"""The first seeds also tell how small an error would have been caught."""
ONCE = ("initializer", "activation")
"""Checks that no seed of a network reaches: they ask the framework for draws and curves of their own."""
JUDGED = [check for check in CHECKS.values() if check.against != BASELINE and check.name not in ONCE]
Row = dict[str, Any]


def judge_seed(spec: Spec, backend: str, worker: Worker, solved: Answer, seed: int, threads: int, power: Callable[[Run], Any]) -> Row:
    """One network, backend, seed and number of threads: per check the numbers judged and outside, and the share of the bound used."""
    own, known = spec.on(backend), read()
    run = Run(spec.id, own, backend, worker.call("observe", Observation, job=Job(backend, own, seed=seed, lessons=solved.lessons)), solved)
    counts = {}
    for check in JUDGED:
        if check.applies(spec, backend):
            verdict = judge(check, run)
            apply(verdict, known, run.seen.versions)
            outside = verdict.outside if verdict.status == FAILED else 0
            counts[check.name] = [verdict.judged, outside, 1 - verdict.left, str(verdict.worst or verdict.left_where)]
    measured = power(run) if threads == 1 and seed < FIRST_SEED + POWER_SEEDS else {}
    return {"network": spec.id, "backend": backend, "seed": seed, "threads": threads, "checks": counts, "power": measured}


def run(seeds: int, backends: list[str], threads: list[int], record: Path = RECORD, only: list[Spec] | None = None) -> list[Row]:
    """Every row of the sweep, finished ones from the record; the rest is run now, with progress on the error output."""
    from bench.selftest.power import of_run

    record.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
    done = {(row["network"], row["backend"], row["seed"], row["threads"]) for row in rows}
    sides = [(backend, count) for count in threads for backend in backends]
    todo = [
        (seed, spec, missing)
        for seed in range(FIRST_SEED, FIRST_SEED + seeds)
        for spec in (only or networks("core"))
        if (missing := [(b, count) for b, count in sides if (spec.id, b, seed, count) not in done])
    ]
    judge_on_one_thread()
    data, begun = load(), time.monotonic()
    workers = {(backend, count): Worker(backend, threads=count) for backend, count in sides} if todo else {}
    try:
        with record.open("a") as file:
            for place, (seed, spec, missing) in enumerate(todo, 1):
                solved: dict[Spec, Answer] = {}
                for backend, count in missing:
                    own = spec.on(backend)
                    if own not in solved:
                        solved[own] = answer(own, prepare_lessons(own, data.x_train, data.y_train % own.classes, seed))
                    rows.append(judge_seed(spec, backend, workers[backend, count], solved[own], seed, count, of_run))
                    file.write(json.dumps(rows[-1]) + "\n")
                file.flush()
                left = (time.monotonic() - begun) / place * (len(todo) - place) / 60
                print(f"\r{place}/{len(todo)}  seed {seed}  {spec.id}  {left:.1f} min left".ljust(100), end="", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nstopped; what is done is kept", file=sys.stderr)
    finally:
        for worker in workers.values():
            worker.close()
    return rows
