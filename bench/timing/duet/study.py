"""Raw series for the error-rate study: the same environment on both sides, and lanes that were really made slower.

`python -m bench.timing.duet.study --minutes 10` adds restarts to a record, one JSON line each, until the time is over; it goes on
where it stopped. Every restart has two fresh workers. A runs the step; B runs the same, and besides one of which every 33rd step
is taken twice, and one of which every 20th is. Rounds are A B B₃ B₅ B₅ B₃ B A.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
from pathlib import Path

import msgspec

from bench.timing.duet import rounds, sides
from bench.timing.duet.load import competing
from bench.timing.duet.rounds import Series
from fixtures.data import load
from models.spec import Spec
from models.worker import WorkerError

RECORD = Path(".gradgauge/duet-study.jsonl")
NETWORK = Spec(depth=4)
"""A step of about a millisecond, of which a block holds some 25, so that single steps taken twice are spread evenly."""
PLANTED = (1.0, 1.03, 1.05)
"""What the lanes after A take longer."""


class Restart(msgspec.Struct):
    """One restart of the study: when, the load average then, seconds that starting took, and the series of lanes A, B, B₃, B₅."""

    when: float
    load: float
    starting: float
    side: str
    series: Series


def read(path: Path = RECORD) -> list[Restart]:
    """Everything measured so far, in the order of time; a last line that was cut off is left out."""
    if not path.exists():
        return []
    found = []
    for line in path.read_bytes().splitlines():
        try:
            found.append(msgspec.json.decode(line, type=Restart))
        except msgspec.DecodeError:
            continue
    return found


def collect(side: str, *, minutes: float, seconds: float, processes: int, path: Path = RECORD) -> int:
    """Add restarts until the time is over; returns how many."""
    end, added, number = time.monotonic() + 60 * minutes, 0, len(read(path))
    one = sides.parse(side)
    case = sides.cases(one, one, (NETWORK,))[0]
    lanes = [case.a, *(dataclasses.replace(case.b, slowdown=factor) for factor in PLANTED)]
    data = load()
    path.parent.mkdir(parents=True, exist_ok=True)
    with competing(processes, seed=number):
        while time.monotonic() < end:
            begun = time.monotonic()
            with rounds.fresh(lanes, number) as pair:
                starting = time.monotonic() - begun
                series = rounds.measure(pair, case, data, restart=number, seconds=seconds)
            with path.open("ab") as record:
                record.write(msgspec.json.encode(Restart(time.time(), os.getloadavg()[0], starting, side, series)) + b"\n")
            number, added = number + 1, added + 1
            print(
                f"restart {number}: {len(series.wall[0])} rounds, {time.monotonic() - begun:.0f} s, load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
    return added


def main(arguments: list[str] | None = None) -> int:
    """Collect."""
    parser = argparse.ArgumentParser(prog="python -m bench.timing.duet.study", description=__doc__)
    parser.add_argument("--side", default="torch", help="what runs on both sides (default: torch)")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=8.0, help="seconds of rounds in a restart (default: 8)")
    parser.add_argument("--load", type=int, default=1, metavar="PROCESSES", help="how many processes compete (default: 1)")
    given = parser.parse_args(arguments)
    try:
        collect(given.side, minutes=given.minutes, seconds=given.seconds, processes=given.load)
    except (ValueError, WorkerError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
