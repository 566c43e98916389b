"""Which check catches which fault: `python -m bench.selftest.kill_grid` plants them all and writes `kill_grid.csv`.

The self-tests compare every fault's row with that file as they go, so it cannot grow stale, and README's summary of it
is checked against it.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import time
import warnings
from pathlib import Path
from typing import NamedTuple

from bench import files
from bench.checks import CHECKS
from bench.progress import shown, track
from bench.selftest.faults import Fault, catalogue

PATH = Path(__file__).with_suffix(".csv")


class Line(NamedTuple):
    """One fault and the checks that are red with it, the one that must be first."""

    backend: str
    part: str
    fault: str
    network: str
    caught: tuple[str, ...]


def row(backend: str, part: str, fault: Fault, caught: list[str]) -> Line:
    """The line of one fault."""
    others = [name for name in caught if name != fault.check]
    return Line(backend, part, fault.name, fault.network, tuple([fault.check] * (fault.check in caught) + others))


def read() -> list[Line]:
    """The committed grid."""
    with PATH.open(encoding="utf-8", newline="") as file:
        return [Line(b, part, fault, network, tuple(caught.split())) for b, part, fault, network, caught in list(csv.reader(file))[1:]]


def write(lines: list[Line]) -> None:
    """Replace the committed grid."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["backend", "part", "fault", "network", "caught by"])
    writer.writerows([*line[:4], " ".join(line.caught)] for line in lines)
    files.write(PATH, text.getvalue())


def summary(lines: list[Line]) -> str:
    """A Markdown table: check × broken part, how many of the part's faults the check catches, and how many nobody else does."""
    parts = list(dict.fromkeys(line.part for line in lines))
    table = [["caught by", *parts, "only by this check"], ["---", *["---:"] * (len(parts) + 1)]]
    for name in CHECKS:
        caught = [sum(name in line.caught for line in lines if line.part == part) for part in parts]
        table.append([f"`{name}`", *(str(count or "") for count in [*caught, sum(line.caught == (name,) for line in lines)])])
    table.append(["*planted*", *(str(sum(line.part == part for line in lines)) for part in parts), ""])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in table) + f"\n{len(lines)} faults in all.\n"


def main() -> int:
    """Plant every fault; exit 1 when one is missed by the check that must catch it."""
    from bench.selftest.kills import broken, catchers

    parser = argparse.ArgumentParser(prog="python -m bench kill-grid", description=__doc__)
    parser.add_argument("--summary", action="store_true", help="only print the committed grid's summary")
    parser.add_argument("--only", default="", help="plant only faults whose name contains this, and keep the other rows")
    options = parser.parse_args()
    if options.summary:
        print(summary(read()), end="")
        return 0
    warnings.simplefilter("ignore", UserWarning)  # Keras's words on planted faults
    kept = {(line.backend, line.fault): line for line in read()} if options.only else {}
    lines, begun = [], time.monotonic()
    for backend, part, fault in track(list(catalogue()), "faults"):
        if (backend, fault.name) in kept and options.only not in fault.name:
            lines.append(kept[backend, fault.name])
            continue
        lines.append(row(backend, part, fault, catchers(broken(backend, fault)[1])))
        missed = "" if lines[-1].caught[:1] == (fault.check,) else f"  MISSED by {fault.check}"
        print(f"{time.monotonic() - begun:5.0f} s  {backend}  {fault.name}: {' '.join(lines[-1].caught)}{missed}", file=sys.stderr)
    write(lines)
    print(summary(lines), end="")
    return int(any(line.caught[:1] != (fault.check,) for line, (_, _, fault) in zip(lines, catalogue(), strict=True)))


if __name__ == "__main__":
    with shown():
        sys.exit(main())
