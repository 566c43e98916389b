"""How often the duet is right on this machine, beside other tools' rules on the same series.

`python -m bench duet-power` reads what `python -m bench duet-study` has measured in real workers: equal sides for false alarms, 3 % and
5 % of work added for power. Our own rule is played as it runs: restart after restart, early stop, confirmation on
restarts that come later, 60 s of rounds at most. Comparisons without a restart in common are few, so each rule is also asked about
random draws of the measured restarts; such draws share restarts, and their number says nothing about how many were measured.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench import files
from bench.exit_status import Status
from bench.report import text_table
from bench.selftest.studies.duet.rules import RULES, rate, shortened
from bench.selftest.studies.duet.study import PLANTED, RECORD, Restart, read
from bench.timing.duet.metrics import METRICS
from bench.timing.duet.plan import BUDGET, SLICE, MetricTest, update
from bench.timing.duet.rounds import Series
from bench.timing.duet.statistics import LEAST, OPEN, SLOWER

TABLE = Path(__file__).with_name("power.txt")
DRAWS = 400
OURS = "duet"


@dataclass
class Tally:
    """What a rule said about one slowdown: comparisons, those that it flagged, those left open, and seconds of rounds they took."""

    asked: int = 0
    flagged: int = 0
    open: int = 0
    seconds: list[float] = field(default_factory=list)


def play(restarts: Sequence[Series], margin: float, budget: float = BUDGET, piece: float = SLICE) -> tuple[str, int, float]:
    """The duet's verdict on these restarts in this order, how many it needed, and seconds of rounds."""
    test, spent = MetricTest("study", "step", margin), 0.0
    for used, series in enumerate(restarts, start=1):
        short = shortened(series, piece)
        spent += short.seconds
        value = METRICS["step"].log_ratio(short, 0, 1)
        assert value is not None
        test.log_ratios.append(value)
        update([test])
        if test.verdict:
            return test.verdict, used, spent
        if spent >= budget and used >= LEAST:
            break
    return OPEN, len(test.log_ratios), spent


def disjoint(restarts: Sequence[Series], margin: float) -> Tally:
    """Comparisons one after the other, none of which shares a restart; one that the record ends in does not count."""
    tally, at = Tally(), 0
    while at < len(restarts):
        verdict, used, spent = play(restarts[at:], margin)
        at += used
        if verdict == OPEN and at >= len(restarts) and spent < BUDGET:
            break
        _count(tally, verdict, spent)
    return tally


def drawn(restarts: Sequence[Series], margin: float, draws: int = DRAWS) -> Tally:
    """Comparisons of restarts drawn at random, without one twice in a comparison."""
    tally, rng = Tally(), np.random.default_rng(11)
    for _ in range(draws):
        verdict, _, spent = play([restarts[n] for n in rng.permutation(len(restarts))], margin)
        _count(tally, verdict, spent)
    return tally


def others(rule: str, restarts: Sequence[Series], draws: int = DRAWS) -> Tally:
    """Another tool's rule on runs of neighbouring restarts, since its processes follow each other, from random places."""
    needs, flags = RULES[rule]
    tally, rng = Tally(), np.random.default_rng(12)
    if len(restarts) < needs:
        return tally
    for start in rng.integers(0, len(restarts) - needs + 1, draws):
        tally.asked += 1
        tally.flagged += flags(restarts[start : start + needs])
    return tally


def _count(tally: Tally, verdict: str, spent: float) -> None:
    tally.asked += 1
    tally.flagged += verdict == SLOWER
    tally.open += verdict == OPEN
    tally.seconds.append(spent)


def table(record: list[Restart], margin: float) -> str:
    """The whole table as Markdown, with how it was come by."""
    restarts = {factor: [each.series[number] for each in record if len(each.series) > number] for number, factor in enumerate(PLANTED)}
    counts = " + ".join(str(len(series)) for series in restarts.values())
    lines = [
        f"{counts} restarts of {record[0].side} (equal sides, +3 %, +5 %), load average {_range([each.load for each in record])}.",
        f"Margin {100 * margin:g} %, {BUDGET:g} s of rounds at most. {DRAWS} draws a cell, sharing restarts, but in the first row.",
        "",
    ]
    rows = [["rule", "A/A flagged", "+3 % found", "+5 % found", "A/A open", "median seconds"]]
    for name, ask in ((f"{OURS}, no restart in common", disjoint), (f"{OURS}, restarts drawn", drawn)):
        tallies = {factor: ask(series, margin) for factor, series in restarts.items()}
        none, said = tallies[1.0], (_counted if ask is disjoint else _share)
        cells = [said(tally.flagged, tally.asked) for tally in tallies.values()]
        cells += [said(none.open, none.asked), f"{np.median(none.seconds):.0f}" if none.asked else "–"]
        rows.append([name, *cells])
    for rule in RULES:
        tallies = {factor: others(rule, series) for factor, series in restarts.items()}
        rows.append([rule, *(_share(tally.flagged, tally.asked) for tally in tallies.values()), "–", "–"])
    return "\n".join([*lines, *text_table.markdown(rows, numbers=True)]) + "\n"


def _counted(hits: int, of: int) -> str:
    return f"{rate(hits, of)} of {of}" if of else "–"


def _share(hits: int, of: int) -> str:
    """Without an interval: draws of the same restarts are not independent."""
    return f"{100 * hits / of:.1f} %" if of else "–"


def _range(values: list[float]) -> str:
    return f"{min(values):.1f} … {max(values):.1f}"


def main(arguments: list[str] | None = None) -> Status:
    """Print the table, and keep it."""
    parser = argparse.ArgumentParser(prog="python -m bench duet-power", description=__doc__)
    parser.add_argument("--record", type=Path, default=RECORD)
    parser.add_argument("--margin", type=float, default=METRICS["step"].margin, help="margin of a step (default: the metric's own)")
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name} beside this module")
    given = parser.parse_args(arguments)
    record = read(given.record)
    if len(record) < LEAST:
        print(f"{given.record} holds {len(record)} restarts: measure more with python -m bench duet-study.", file=sys.stderr)
        return Status.NOTHING
    made = table(record, given.margin)
    print(made, end="")
    if given.write:
        files.write(TABLE, made)
    return Status.SAME


if __name__ == "__main__":
    sys.exit(main())
