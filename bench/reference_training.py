"""The float64 reference's own training, recorded: `python -m bench.reference_training`.

A run is compared with it seed by seed (`bench.interval`), so it is recorded on the seeds of a run and on those
of a recording. It does not depend on a framework's version: record again when a network, a rule or the data changes.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime

from bench import baseline as baselines
from bench.checks.training import metrics
from fixtures.data import NAMES, Data, load
from fixtures.machine import fingerprint, judge_on_one_thread
from fixtures.observe import RECORDED_SEED, STEPS, held_out, trainings
from fixtures.options import RECORDING_SEEDS
from fixtures.options import SEEDS as RUN_SEEDS
from models.matrix import CASES, networks
from models.run import History
from models.spec import Spec
from models.train_on_numpy import train

SEEDS = [*range(RUN_SEEDS), *range(RECORDED_SEED, RECORDED_SEED + RECORDING_SEEDS)]
DIALECTS = ("torch", "keras")


def histories(spec: Spec, data: Data, dialect: str, twin: list[History] | None = None) -> list[History]:
    """One free run a seed; `twin`, the other dialect's runs, are taken over when the first seed's is the same to the last bit."""
    runs: list[History] = []
    for training in trainings(spec, data, SEEDS):
        runs.append(train(spec, training, dialect, *held_out(spec, data)))
        if twin and len(runs) == 1 and same(runs[0], twin[0]):
            return twin
    return runs


def same(one: History, other: History) -> bool:
    """Whether two runs took the same course: then both dialects' rules are one for this network."""
    return one.accuracy == other.accuracy and (one.losses == other.losses).all() and (one.gradient_norms == other.gradient_norms).all()


def main() -> int:
    """Train what is not recorded yet and write it, network by network."""
    parser = argparse.ArgumentParser(prog="python -m bench.reference_training", description=__doc__)
    parser.add_argument("--cases", choices=CASES, default="core", help="which networks (default: core)")
    parser.add_argument("--data", choices=[name for name in NAMES if "mnist" not in name], default="digits", help="default: digits")
    parser.add_argument("--again", action="store_true", help="also what is recorded already")
    options = parser.parse_args()
    judge_on_one_thread()
    data, begun = load(options.data), time.monotonic()
    wanted = networks(options.cases)
    for place, spec in enumerate(wanted, 1):
        twin: tuple[Spec, list[History]] | None = None
        for dialect in DIALECTS:
            baseline = baselines.load(dialect, "float64", STEPS)
            network, own = f"{data.name}/{spec.id}", spec.on(dialect)
            if baseline.reference and baselines.of_network(baseline.reference, network) and not options.again:
                continue
            runs = histories(own, data, dialect, twin[1] if twin and twin[0] == own else None)
            twin = (own, runs)
            baseline.path = baselines.reference_path(dialect)
            baseline.new = {f"{network}/{name}": values for name, values in metrics(runs, own.depth).items()}
            baselines.save(
                baseline,
                backend=f"reference-{dialect}",
                device="float64",
                steps=STEPS,
                seeds=SEEDS,
                why=f"the written-out rules of {dialect}, in float64",
                date=datetime.now(UTC).strftime("%Y-%m-%d"),
                environment={name: value for name, value in fingerprint("cpu", 1).items() if name in ("numpy", "scipy", "processor")},
            )
        print(f"{place}/{len(wanted)}  {spec.id}  {(time.monotonic() - begun) / 60:.1f} min", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
