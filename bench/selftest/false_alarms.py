"""How often a healthy framework is called broken: fresh seeds over the core matrix.

`python -m bench.selftest.false_alarms` prints, check by check, how many numbers were judged, how many fell outside, and
how much of its bound the worst one used, and writes `false_alarms.csv` once all that was asked for is done. What was done
is kept in `.gradgauge/sweep.jsonl`, so that an interrupted run goes on where it stopped. `--family` measures one family of networks
and keeps the rows of the others; `--network` adds a new network's runs to the rows of its family. Checks that ask for draws and
curves of their own are not swept.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

from bench import files
from bench.arguments import at_least
from bench.selftest import sweep
from models.architectures import FAMILIES
from models.backends.registry import BackendError, named

PATH = Path(__file__).with_suffix(".csv")
SEEDS = 50
KEYS = "backend", "threads", "seed"
GROUP = ["family", "check", "backend", "threads"]


def table(rows: list[sweep.Row]) -> pd.DataFrame:
    """One row a family, check, backend and number of threads: runs, numbers judged and outside, the worst share of a bound and where."""
    flat = [
        (sweep.family_of(row["network"]), check, *(row[name] for name in KEYS), *counts, f"{row['network']} {where}")
        for row in rows
        for check, (*counts, where) in row["checks"].items()
    ]
    frame = pd.DataFrame(flat, columns=["family", "check", *KEYS, "numbers", "outside", "used", "where"])
    groups = frame.sort_values(["outside", "used"]).groupby(GROUP, sort=False)
    counts = groups.agg(seeds=("seed", "nunique"), runs=("seed", "size"), numbers=("numbers", "sum"), outside=("outside", "sum"))
    return counts.join(groups[["used", "where"]].last()).round({"used": 2}).sort_index().reset_index()


def added(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """The table with the runs of other networks beside its own."""
    groups = pd.concat([old, new]).sort_values(["outside", "used"], kind="stable").groupby(GROUP, sort=False)
    counts = groups.agg(seeds=("seeds", "max"), runs=("runs", "sum"), numbers=("numbers", "sum"), outside=("outside", "sum"))
    return counts.join(groups[["used", "where"]].last()).sort_index().reset_index()


def complete(frame: pd.DataFrame, family: str) -> bool:
    """Whether the table has the runs of every network of a family, over as many seeds as it says."""
    rows = frame[(frame["check"] == "finite") & (frame["family"] == family)]
    runs = sum(len(seeds) for _, seeds in sweep.wanted(int(rows["seeds"].max()), sweep.swept([family])))
    return set(rows["runs"]) == {runs}


def summary(frame: pd.DataFrame) -> str:
    """The table in one sentence; a run is one network on one framework, seed and number of threads."""
    worst, runs = frame.loc[frame["used"].idxmax()], frame.groupby(["family", "backend", "threads"])["runs"].max().sum()
    return (
        f"{runs:,} runs over up to {frame['seeds'].max()} seeds, {frame['numbers'].sum():,} numbers judged, "
        f"{frame['outside'].sum()} outside; the nearest, in `{worst['check']}`, used {worst['used']:.0%} of its bound.\n"
    )


def read() -> pd.DataFrame:
    """The committed table."""
    return pd.read_csv(PATH)


def main() -> int:
    """Run what is missing and print the table; exit 1 when anything fell outside."""
    parser = argparse.ArgumentParser(prog="python -m bench false-alarms", description=__doc__)
    parser.add_argument("--seeds", type=at_least(1), help=f"how many fresh seeds (default: {SEEDS}; of a new network as its family has)")
    parser.add_argument("--backend", default="torch,keras", help="which frameworks (default: torch,keras)")
    parser.add_argument("--threads", default="1,2", help="how many threads a framework runs on (default: 1,2)")
    parser.add_argument("--family", choices=list(FAMILIES), help="one family of networks (default: all)")
    parser.add_argument("--network", help="one network that is new in the core matrix: its runs are added to its family's")
    options = parser.parse_args()
    try:
        backends = named(options.backend)
        sides = [(backend, at_least(1)(count)) for count in options.threads.split(",") for backend in backends]
    except (BackendError, argparse.ArgumentTypeError) as error:
        parser.error(str(error))
    networks, old = sweep.chosen(parser, options.family, [options.network] if options.network else []), read()
    families = {sweep.family_of(spec.id) for spec in networks}
    seeds = options.seeds or SEEDS
    if options.network:
        if all(complete(old, family) for family in families):
            parser.error(f"--network={options.network} would be counted twice: the table has every network of its family.")
        seeds = options.seeds or int(old.loc[old["family"].isin(families), "seeds"].max())
    rows = sweep.run(seeds, sides, only=networks)
    wanted = len(sides) * sum(len(seeds) for _, seeds in sweep.wanted(seeds, networks))
    print(table(rows).to_string(index=False))
    if len(rows) >= wanted > 0:
        others = old[~old["family"].isin(families)]
        measured = added(old, table(rows)) if options.network else pd.concat([others, table(rows)])
        files.write(PATH, sweep.by_family(measured).to_csv(index=False))
        print(summary(read()), end="")
    return int(any(counts[1] for row in rows for counts in row["checks"].values()))


if __name__ == "__main__":
    sys.exit(main())
