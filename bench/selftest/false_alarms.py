"""How often a healthy framework is called broken: fresh seeds over the core matrix, every check but training.

`python -m bench.selftest.false_alarms --seeds=10` prints, check by check, how many numbers were judged, how many fell
outside, and how much of its bound the worst one used. What was done is kept in `.gradgauge/false_alarms.jsonl`, so that
an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd

from bench.checks import BASELINE, CHECKS
from bench.judge import judge
from bench.run import Run, answer
from bench.symmetry import relation_lessons
from fixtures.data import load
from models.matrix import networks, symmetric
from models.run import Job, Observation, prepare_lessons
from models.spec import Spec
from models.worker import Worker

FIRST_SEED = 5000
"""Apart from the seeds of runs and recordings."""
JUDGED = [check for check in CHECKS.values() if check.against != BASELINE and check.name != "initializer"]
Row = dict[str, Any]


def judge_seed(spec: Spec, backend: str, worker: Worker, data: Any, seed: int) -> Row:
    """One network, backend and seed: per check the numbers judged, the numbers outside and the share of the bound used."""
    own = spec.on(backend)
    lessons = prepare_lessons(own, data.x_train, data.y_train % own.classes, seed)
    seen = worker.call("observe", Observation, job=Job(backend, own, seed=seed, lessons=lessons, relations=relation_lessons(own, lessons)))
    run = Run(spec.id, own, backend, seen, answer(own, lessons))
    verdicts = [judge(check, run) for check in JUDGED if check.applies(spec, backend)]
    counts = {v.check: [v.judged, v.outside, 1 - v.left, str(v.worst or v.left_where)] for v in verdicts}
    return {"network": spec.id, "backend": backend, "seed": seed, "threads": 1, "checks": counts}


def table(rows: list[Row]) -> pd.DataFrame:
    """One row a check and backend: networks × seeds, numbers judged, numbers outside, the worst share of a bound used and where."""
    columns = ["check", "backend", "runs", "numbers", "outside", "used", "where"]
    flat = [
        (check, row["backend"], 1, judged, outside, used, f"{row['network']} {where}")
        for row in rows
        for check, (judged, outside, used, where) in row["checks"].items()
    ]
    frame = pd.DataFrame(flat, columns=columns)
    worst = frame.sort_values(["outside", "used"]).groupby(["check", "backend"])[["used", "where"]].last()
    return frame.groupby(["check", "backend"])[["runs", "numbers", "outside"]].sum().join(worst).round({"used": 2})


def main() -> int:
    """Run what is missing and print the table; exit 1 when anything fell outside."""
    parser = argparse.ArgumentParser(prog="python -m bench.selftest.false_alarms", description=__doc__)
    parser.add_argument("--seeds", type=int, default=50, help="how many fresh seeds (default: 50)")
    parser.add_argument("--backend", default="torch,keras", help="which frameworks (default: torch,keras)")
    parser.add_argument("--record", type=Path, default=Path(".gradgauge/false_alarms.jsonl"), help="where finished rows are kept")
    options = parser.parse_args()
    options.record.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in options.record.read_text().splitlines()] if options.record.exists() else []
    done = {(row["network"], row["backend"], row["seed"]) for row in rows}
    backends = options.backend.split(",")
    seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
    todo = [(s, b, n) for n in seeds for s in (*networks("core"), *symmetric()) for b in backends if (s.id, b, n) not in done]
    data, begun = load(), time.monotonic()
    workers = {backend: Worker(backend) for backend in backends} if todo else {}
    try:
        with options.record.open("a") as record:
            for place, (spec, backend, seed) in enumerate(todo, 1):
                rows.append(judge_seed(spec, backend, workers[backend], data, seed))
                record.write(json.dumps(rows[-1]) + "\n")
                record.flush()
                left = (time.monotonic() - begun) / place * (len(todo) - place)
                print(
                    f"\r{place}/{len(todo)}  seed {seed}  {backend} {spec.id}  {left / 60:.1f} min left".ljust(100), end="", file=sys.stderr
                )
    except KeyboardInterrupt:
        print("\nstopped; what is done is kept", file=sys.stderr)
    finally:
        for worker in workers.values():
            worker.close()
    print(table(rows).to_string())
    return int(any(counts[1] for row in rows for counts in row["checks"].values()))


if __name__ == "__main__":
    sys.exit(main())
