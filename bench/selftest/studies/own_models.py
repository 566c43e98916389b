"""How well users' own models are judged: `python -m bench own-models --seeds 20` measures the table `own_models.csv` again.

Models that nobody here wrote run over fresh seeds: every number outside is a false alarm. The smallest error that is caught is ten
roundings of each gradient. Faults of `bench/selftest/faults/of_own_models.py` are planted, and must be found where they are.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from bench.checks.own import OWN_CHECKS
from bench.evidence.own import OwnEvidence
from bench.exit_status import Status
from bench.judging.tolerance import ROUNDING_MULTIPLE
from bench.judging.verdict import FAILED, Verdict, judge
from bench.selftest.faults.of_own_models import OWN_FAULTS, RESNET
from bench.selftest.faults.plant import Fault, planted
from models.backends.registry import backend_module
from models.own.address import own_models
from models.own.observation import OwnJob
from models.worker.tasks.own import examine

GAUGES = Path(__file__).resolve().parents[1] / "gauges"
PATH = Path(__file__).with_suffix(".csv")
MODELS = {
    "torch": ("of_torch.py:encoder", "of_torch.py:recurrent", "of_torch.py:images", "of_torch.py:sensors", RESNET),
    "keras": ("of_keras.py:images", "of_keras.py:recurrent", "of_keras.py:regression", "of_keras.py:sensors"),
}
SLOW = (RESNET,)
"""Models that take half a minute: one seed in ten of the others."""


@dataclass
class Row:
    """One model: seeds and numbers judged, alarms, the largest number in roundings, and errors of a gradient that are caught.

    `caught_median` and `caught_worst` are the smallest error, as a share of the gradient, caught in the median and in every parameter.
    `planted` faults were found where they are by `found`. `seconds` is what one examination takes.
    """

    backend: str
    model: str
    seeds: int
    numbers: int
    alarms: int
    largest: float
    caught_median: float
    caught_worst: float
    planted: int
    found: int
    seconds: float


def evidence(backend: str, model: str, seed: int = 0) -> OwnEvidence:
    """What this process makes of a model, so that a fault can be planted in it."""
    address = own_models([model if not model.startswith("of_") else str(GAUGES / model)], Path.cwd())[0]
    return OwnEvidence(model, backend, examine(backend_module(backend), OwnJob(address, seed=seed)))


def verdicts(seen: OwnEvidence) -> dict[str, Verdict]:
    """What every check says."""
    return {name: judge(check, seen) for name, check in OWN_CHECKS.items()}


def found(backend: str, fault: Fault) -> tuple[bool, dict[str, Verdict]]:
    """Whether a fault is found by its check in its place, and all verdicts."""
    with planted(fault):
        seen = verdicts(evidence(backend, fault.network))
    verdict = seen[fault.check]
    named = any(fault.where in finding.where for finding in verdict.findings if not finding.within)
    return verdict.status == FAILED and named, seen


def measure(backend: str, model: str, seeds: int) -> Row:
    """One row."""
    numbers = alarms = 0
    largest, caught, taken = 0.0, [], []
    count = max(1, seeds // 10) if model in SLOW else seeds
    for seed in range(count):
        begun = time.monotonic()
        seen = evidence(backend, model, seed)
        taken.append(time.monotonic() - begun)
        for verdict in verdicts(seen).values():
            numbers += verdict.judged
            alarms += verdict.outside
            largest = max([largest, *(f.value for f in verdict.findings if f.high == ROUNDING_MULTIPLE)])
        gradients = [each for each in seen.seen.gradients if each.kind == "gradient" and each.size > 0]
        caught.append([ROUNDING_MULTIPLE * each.rounding / max(each.size, each.reach) for each in gradients])
    faults = [fault for fault in OWN_FAULTS[backend] if fault.network == model]
    hits = sum(found(backend, fault)[0] for fault in faults)
    everywhere = np.concatenate([np.asarray(each) for each in caught])
    return Row(
        backend, model, count, numbers, alarms, round(largest, 2), float(f"{np.median(everywhere):.2g}"),
        float(f"{np.max(everywhere):.2g}"), len(faults), hits, round(float(np.median(taken)), 1),
    )  # fmt: skip


def read() -> list[dict[str, str]]:
    """The table as it was measured."""
    with PATH.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _write(row: Row) -> None:
    """Put a row into the table, in the place of an older one of the same model."""
    names = [field.name for field in fields(Row)]
    kept = {(each["backend"], each["model"]): [each[name] for name in names] for each in (read() if PATH.exists() else [])}
    kept[row.backend, row.model] = [str(value) for value in astuple(row)]
    order = [(backend, model) for backend, models in MODELS.items() for model in models]
    with PATH.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([names, *(kept[key] for key in order if key in kept)])


def summary(rows: list[dict[str, str]]) -> str:
    """The table as Markdown."""
    head = "| model | seeds | numbers judged | false alarms | largest, of 10 | caught in the median | in all | faults found |"
    shown = [
        f"| {row['backend']} `{row['model'].rpartition('.py:')[2]}` | {row['seeds']} | {int(row['numbers']):,} | {row['alarms']} | "
        f"{row['largest']} | {row['caught_median']} | {row['caught_worst']} | {row['found']} of {row['planted']} |"
        for row in rows
    ]
    return "\n".join([head, "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", *shown])


def lines(arguments: argparse.Namespace) -> Iterator[Row]:
    """Every row that is asked for."""
    for backend in arguments.backend.split(","):
        for model in MODELS[backend]:
            if arguments.only in model:
                yield measure(backend, model, arguments.seeds)


def main() -> int:
    """Measure, print, and write the table where all of it was measured."""
    parser = argparse.ArgumentParser(prog="python -m bench own-models", description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=20, help="seeds a model (default: 20; a tenth for the one that takes long)")
    parser.add_argument("--backend", default="torch,keras", help="torch, keras or both (default: both)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only models whose name has TEXT")
    arguments = parser.parse_args()
    rows = []
    for row in lines(arguments):
        rows.append(row)
        print(*astuple(row), flush=True)
        _write(row)
    return Status.SAME if all(row.alarms == 0 and row.found == row.planted for row in rows) else Status.FAILING


if __name__ == "__main__":
    sys.exit(main())
