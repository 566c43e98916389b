"""How often a healthy training is called changed where another machine's rounding would be: threads, instructions, load.

`python -m bench.selftest.studies.executions` trains the recorded seeds of every third core network again in executions that were not
recorded, judges each by its recording, prints a table, and writes `executions.csv` once all that was asked for is done. What was done is
kept in `.gradgauge/executions.jsonl`, so that an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from bench import files, imported, progress
from bench.baselines import samples as baselines
from bench.checks import CHECKS
from bench.evidence.collect import Request, collect
from bench.evidence.pool import RECORDED_SEED, UNTRAINED
from bench.evidence.schedule import STEPS
from bench.judging.verdict import judge
from bench.selftest.studies.duet.load import competing
from bench.store import Store
from fixtures.data.datasets import load
from fixtures.plugin.options import SEEDS
from models.matrix import networks
from models.spec import Spec
from models.worker.process import Worker

EVERY = slice(1, None, 3)
"""Which core networks are trained: 23, so that both frameworks in all executions make 230 trainings, each of several seeds."""
PATH = Path(__file__).with_suffix(".csv")
RECORD = Path(".gradgauge/executions.jsonl")
ENTRIES = ("bench.checks.training", "bench.evidence.collect", "bench.baselines.samples", "models.worker.server")
"""Where the code begins by which a row is made."""


@dataclass(frozen=True)
class Execution:
    """How the frameworks' workers run: threads, environment variables, and competing loads beside them."""

    threads: int = 1
    variables: Mapping[str, str] = field(default_factory=dict)
    busy: int = 0


AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
EXECUTIONS = {
    "as usual": Execution(),
    "two threads": Execution(threads=2),
    "AVX2 alone": Execution(variables=AVX2),
    "two threads, AVX2 alone": Execution(threads=2, variables=AVX2),
    "busy machine": Execution(busy=os.cpu_count() or 1),
}


@dataclass
class Row:
    """One network on one backend in one execution: numbers judged and outside, and the largest share of a bound that was used, where."""

    network: str
    backend: str
    execution: str
    numbers: int
    outside: int
    used: float
    where: str


def row(spec: Spec, backend: str, execution: str, worker: Worker) -> Row:
    """Recorded seeds of one network, trained in the execution of `worker` and judged by their recording."""
    data = load()
    baseline = baselines.load(backend, "cpu", {data.name: STEPS[data.name]})
    request = Request(spec, backend, data, UNTRAINED, range(RECORDED_SEED, RECORDED_SEED + SEEDS), baseline=baseline)
    seen = collect(request, worker.submit)
    seen.more = lambda seeds: collect(dataclasses.replace(request, seeds=seeds), worker.submit).seen.trainings
    verdict = judge(CHECKS["training"], seen)
    nearest = min(verdict.findings, key=lambda finding: finding.headroom, default=None)
    used, where = (1 - nearest.headroom, nearest.where) if nearest else (0.0, verdict.reason)
    return Row(spec.id, backend, execution, verdict.judged, verdict.outside, used, where)


def run(chosen: list[Spec], backends: list[str], executions: list[str], record: Path = RECORD) -> list[Row]:
    """Every row; finished ones from the record, the rest now, with progress."""
    recordings = [path.read_text(encoding="utf-8") for path in sorted(baselines.FOLDER.glob("*-cpu.json"))]
    store = Store(record, Row, imported.digest(ENTRIES, recordings))
    cells = {f"{spec.id} {backend} {name}": (spec, backend, name) for name in executions for backend in backends for spec in chosen}
    for name in executions:
        execution = EXECUTIONS[name]
        for backend in backends:
            todo = {cell: spec for cell, (spec, *side) in cells.items() if side == [backend, name] and cell not in store}
            if not todo:
                continue
            worker = Worker(backend, threads=execution.threads, variables=execution.variables)
            try:
                with competing(execution.busy):
                    for cell in progress.track(list(todo), f"{backend} {name}"):
                        store.keep(cell, row(todo[cell], backend, name, worker))
            finally:
                worker.close()
    return [store[cell] for cell in cells]


def table(rows: list[Row]) -> pd.DataFrame:
    """One row a backend and execution: trainings, numbers judged, numbers outside, the largest share of a bound used, and where."""
    frame = pd.DataFrame(map(dataclasses.asdict, rows))
    frame["where"] = frame["network"] + " " + frame["where"]
    groups = frame.sort_values(["outside", "used"]).groupby(["backend", "execution"], sort=False)
    counts = groups.agg(trainings=("network", "size"), numbers=("numbers", "sum"), outside=("outside", "sum"))
    return counts.join(groups[["used", "where"]].last()).round({"used": 2}).sort_index().reset_index()


def summary(found: pd.DataFrame) -> str:
    """What the table says, in one sentence."""
    counts = found[["trainings", "numbers", "outside"]].sum()
    return (
        f"{counts['trainings']:,} trainings in {found['execution'].nunique()} executions of both frameworks, {counts['numbers']:,} numbers "
        f"judged, {counts['outside']:,} outside; the nearest used {found['used'].max():.0%} of its bound."
    )


def main(arguments: list[str] | None = None) -> int:
    """Run what is missing, print the table, and write it where no network was left out; 1 when anything fell outside."""
    parser = argparse.ArgumentParser(prog="python -m bench executions", description=__doc__)
    parser.add_argument("--network", action="append", help="only this network (repeatable)")
    parser.add_argument("--backend", default="torch,keras", help="which frameworks (default: torch,keras)")
    parser.add_argument("--all", action="store_true", help="every core network that is trained; an hour and more")
    options = parser.parse_args(arguments)
    core = [spec for spec in networks("core") if spec.trained]
    every = core if options.all else core[EVERY]
    chosen = [Spec.parse(text, features=64) for text in options.network] if options.network else every
    with progress.shown():
        found = table(run(chosen, options.backend.split(","), list(EXECUTIONS)))
    print(found.to_string(index=False))
    print(summary(found))
    if chosen == every:
        files.write(PATH, found.to_csv(index=False))
    return int(found["outside"].any())


if __name__ == "__main__":
    sys.exit(main())
