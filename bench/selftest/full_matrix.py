"""Every network of the full matrix, judged once on both frameworks: none may be red, crash or hang.

`python -m bench full-matrix --part=3 --write` judges every `PARTS`th network from the third on, as `random_networks.py` judges its own,
with the same limits of time and memory, and writes the part's line into `full_matrix.csv`. Networks of a kind follow each other in the
matrix, so that each part has some of every kind. What was done is kept in `.gradgauge/random_networks.jsonl`, so that an interrupted part
goes on where it stopped.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
from dataclasses import astuple, dataclass, fields
from functools import cache
from pathlib import Path

from bench.exit_status import Status
from bench.progress import say
from bench.selftest.random_networks import Row, run, state
from bench.selftest.studies.tables import keep, read
from models.matrix import networks

PATH = Path(__file__).with_suffix(".csv")
PARTS = 240
"""How many parts the matrix is judged in: each takes some minutes of a processor."""
PACKAGES = ("torch", "keras", "tensorflow_cpu")


@dataclass(frozen=True)
class Part:
    """What became of a part's networks, and of what code and versions that is true.

    `lacking` counts networks of which a framework lacks a part, `known` those with known failures. `seconds` are of a processor and all of
    them together, `megabytes` the most that one network took.
    """

    part: int
    networks: int
    judged: int
    passed: int
    declined: int
    lacking: int
    known: int
    red: int
    seconds: int
    megabytes: int
    versions: str
    code: str


def rows(part: int) -> list[Row]:
    """The networks of a part, the first of which is 1, not judged yet."""
    return [Row(0, number, name) for number, name in enumerate(_names()) if number % PARTS == part - 1]


@cache
def _names() -> tuple[str, ...]:
    return tuple(spec.id for spec in networks("full"))


def line(part: int, judged: list[Row]) -> Part:
    """A part's line in the table."""
    return Part(
        part=part,
        networks=len(judged),
        judged=sum(row.judged for row in judged),
        passed=sum(row.passed for row in judged),
        declined=sum(row.declined for row in judged),
        lacking=sum(bool(row.lacking) for row in judged),
        known=sum(bool(row.known) for row in judged),
        red=sum(bool(row.red) for row in judged),
        seconds=round(sum(row.seconds for row in judged)),
        megabytes=round(max(row.megabytes for row in judged)),
        versions=" ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES),
        code=state()[:12],
    )


def summary() -> str:
    """The committed table in a sentence."""
    table = read(PATH)
    names = ("networks", "judged", "passed", "declined", "lacking", "red", "seconds")
    total = {name: sum(int(row[name]) for row in table) for name in names}
    return (
        f"{len(table)} of {PARTS} parts, {total['networks']:,} of {len(networks('full')):,} networks: {total['judged']:,} numbers judged, "
        f"{total['red']} networks red; {total['declined']:,} of {total['declined'] + total['passed']:,} checks could not decide; "
        f"of {total['lacking']} networks a framework lacks a part; {total['seconds'] / total['networks']:.1f} processor seconds a network, "
        f"at most {max(int(row['megabytes']) for row in table) / 1e3:.1f} GB.\n"
    )


def main() -> Status:
    """Judge a part, print what is red and write its line; FAILING where anything is."""
    parser = argparse.ArgumentParser(prog="python -m bench full-matrix", description=__doc__)
    parts = range(1, PARTS + 1)
    parser.add_argument("--part", type=int, choices=parts, metavar="K", help=f"which part, 1 to {PARTS}; without it, the table")
    parser.add_argument("--write", action="store_true", help="put the part's line into full_matrix.csv")
    options = parser.parse_args()
    if options.part is None:
        print(summary(), end="")
        return Status.SAME
    try:
        judged = run(rows(options.part))
    except KeyboardInterrupt:
        say("stopped; what is done is kept")
        return Status.INTERRUPTED
    for row in judged:
        for red in row.red:
            print(f"{row.network}\n    {red}")
    done = line(options.part, judged)
    print(*astuple(done))
    if options.write:
        keep(PATH, [field.name for field in fields(Part)], [str(value) for value in astuple(done)], [(str(part),) for part in parts])
    return Status.FAILING if done.red else Status.SAME


if __name__ == "__main__":
    sys.exit(main())
