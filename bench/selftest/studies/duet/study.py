"""Raw series for the error-rate study: the same environment on both sides, and variants that were really made slower.

`python -m bench duet-study --minutes 10` adds restarts to a record, one JSON line each, until the time is over; it goes on
where it stopped. Every restart has two fresh workers, A and B, and three duets, one after the other: with the same step in both, with
every 33rd step of B's taken twice, and with every 20th. Their rounds are A B B A, as any duet's.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
from pathlib import Path

import msgspec

from bench import files
from bench.exit_status import Status
from bench.selftest.studies.duet.load import competing
from bench.timing.duet import rounds, sides
from bench.timing.duet.plan import SLICE
from bench.timing.duet.rounds import Series
from fixtures.data.datasets import load
from models.spec import Spec
from models.worker.process import WorkerError

RECORD = Path(".gradgauge/duet-study.jsonl")
NETWORK = Spec.of(depth=4)
"""A step of about a millisecond, of which a block holds some 25, so that single steps taken twice are spread evenly."""
PLANTED = (1.0, 1.03, 1.05)
"""How many times as long B takes, duet by duet."""


class Restart(msgspec.Struct):
    """One restart of the study: when, the load average then, seconds that starting took, and a series for the first ones of `PLANTED`."""

    when: float
    load: float
    starting: float
    side: str
    series: list[Series]


def read(path: Path = RECORD) -> list[Restart]:
    """Everything measured so far, in the order of time; a last line that was cut off is left out."""
    if not path.exists():
        return []
    found = []
    for line in path.read_bytes().splitlines():
        try:
            found.append(msgspec.json.decode(line, type=Restart))
        except files.NO_JSON:
            continue
    return found


def collect(side: str, *, minutes: float, seconds: float, processes: int, planted: tuple[float, ...] = PLANTED, path: Path = RECORD) -> int:
    """Add restarts until the time is over; returns how many."""
    end, added, number = time.monotonic() + 60 * minutes, 0, len(read(path))
    one = sides.parse(side)
    case = sides.cases(one, one, (NETWORK,))[0]
    data = load()
    path.parent.mkdir(parents=True, exist_ok=True)
    with competing(processes, seed=number):
        while time.monotonic() < end:
            begun = time.monotonic()
            series = []
            with rounds.fresh((case.a, case.b), number) as pair:
                starting = time.monotonic() - begun
                for factor in planted:
                    pair.variants = (case.a, dataclasses.replace(case.b, slowdown=factor))
                    series.append(rounds.measure(pair, case, data, restart=number, seconds=seconds))
            with path.open("ab") as record:
                record.write(msgspec.json.encode(Restart(time.time(), os.getloadavg()[0], starting, side, series)) + b"\n")
            number, added = number + 1, added + 1
            fewest, took = min(len(each.wall[0]) for each in series), time.monotonic() - begun
            print(f"restart {number}: {fewest} rounds or more, {took:.0f} s, load {os.getloadavg()[0]:.1f}", flush=True)
    return added


def main(arguments: list[str] | None = None) -> Status:
    """Collect."""
    parser = argparse.ArgumentParser(prog="python -m bench duet-study", description=__doc__)
    parser.add_argument("--side", default="torch", help="what runs on both sides (default: torch)")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=SLICE, help=f"seconds of rounds in each duet of a restart (default: {SLICE:g})")
    parser.add_argument("--load", type=int, default=1, metavar="PROCESSES", help="how many processes compete (default: 1)")
    parser.add_argument("--equal", action="store_true", help="equal sides alone, on which false alarms are counted")
    given = parser.parse_args(arguments)
    try:
        planted = PLANTED[:1] if given.equal else PLANTED
        collect(given.side, minutes=given.minutes, seconds=given.seconds, processes=given.load, planted=planted)
    except (ValueError, WorkerError) as error:
        print(error, file=sys.stderr)
        return Status.BAD_INPUT
    except KeyboardInterrupt:
        return Status.INTERRUPTED
    return Status.SAME


if __name__ == "__main__":
    sys.exit(main())
