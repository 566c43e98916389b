"""What all duets so far say together: the trend of every case, where it changed, and whether small steps have added up.

`python -m bench.timing.history` reads .gradgauge/duets/history.jsonl. A duet's A side is placed where earlier duets have put it, so a
chain of duets between neighbouring versions, none of them slower by its margin, still has a level relative to its first side, the
anchor. The exit status is 10 where a case has drifted beyond its margin, 0 where none has, 12 where no duet is recorded.
"""

import argparse
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from bench.exit_status import Status, ends_with
from bench.report.record import RecordError
from bench.timing.duet.record import FOLDER, Past, read_history
from bench.timing.duet.statistics import ALPHA, CONFIDENCE

CHANGE, SHORTEST = 0.01, 3
"""Level of a change point, shared by all places where one could be, and the fewest duets on either side of it."""
Z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
"""Half an interval's width in standard deviations."""
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Point:
    """Where a duet puts its B side: log of its value over the anchor's, and the variance of that."""

    when: str
    label: str
    level: float
    variance: float
    margin: float


@dataclass(frozen=True)
class Track:
    """One metric of one case through time."""

    case: str
    metric: str
    machine: str
    anchor: str
    points: list[Point]

    @property
    def drift(self) -> tuple[float, float, float]:
        """The last side over the anchor with its interval: what single duets each found too small to matter, added up."""
        last = self.points[-1]
        half = Z * math.sqrt(last.variance)
        return math.exp(last.level), math.exp(last.level - half), math.exp(last.level + half)

    @property
    def drifted(self) -> bool:
        """Whether the last side is shown to be above the anchor by more than a single duet's margin."""
        last = self.points[-1]
        return bool(stats.norm.sf((last.level - math.log1p(last.margin)) / max(math.sqrt(last.variance), 1e-9)) <= ALPHA)


def tracks(history: list[Past]) -> list[Track]:
    """A track for every case, metric, machine and anchor; what cannot be connected to an earlier duet begins a new one."""
    found: list[Track] = []
    placed: dict[tuple[str, str, str, str], tuple[Track, float, float]] = {}
    for past in history:
        for outcome in past.outcomes:
            if outcome.estimate is None:
                continue
            seen, own = outcome.estimate, (outcome.case, outcome.metric, past.machine)
            a, b = (_side(past, side) for side in (0, 1))
            if (*own, a) not in placed:
                found.append(Track(*own, a, []))
                placed[*own, a] = found[-1], 0.0, 0.0
            track, level, variance = placed[*own, a]
            point = Point(past.when, b, level + seen.mean, variance + _variance(seen.low, seen.high), outcome.margin)
            track.points.append(point)
            if b != track.anchor:  # an A/A duet moves nothing
                placed[*own, b] = track, point.level, point.variance
    return found


def changes(track: Track) -> list[int]:
    """Indices of points from which on the level is another one: the most significant split, then within its halves.

    Welch's t of neighbouring stretches, at a level shared by all possible places (Scott and Knott's binary segmentation).
    """
    levels = np.asarray([point.level for point in track.points])

    def split(start: int, end: int) -> list[int]:
        places = range(start + SHORTEST, end - SHORTEST + 1)
        if not places:
            return []
        tests = {place: _p(levels[start:place], levels[place:end]) for place in places}
        best = min(tests, key=tests.__getitem__)
        if not tests[best] * len(tests) <= CHANGE:
            return []
        return [*split(start, best), best, *split(best, end)]

    return split(0, len(levels))


def _p(one: np.ndarray, other: np.ndarray) -> float:
    if one.std() == 0 and other.std() == 0:
        return float(one.mean() == other.mean())
    return float(stats.ttest_ind(one, other, equal_var=False).pvalue)


def _variance(low: float, high: float) -> float:
    """Of an estimate whose interval this is; the interval's t is taken as normal, which errs towards a larger variance."""
    return ((high - low) / 2 / Z) ** 2


def _side(past: Past, side: int) -> str:
    """What a side is recognized by: how it was asked for, with the versions that answered."""
    versions = past.versions[side] if len(past.versions) > side else {}
    return " ".join([(past.a, past.b)[side], *(f"({name} {version})" for name, version in versions.items() if " " not in name)])


def text(found: list[Track]) -> str:
    """A block a track: its line, its changes, its drift."""
    lines = []
    for track in found:
        ratio, low, high = track.drift
        levels = [point.level for point in track.points]
        mark = "✗ drifted" if track.drifted else "= within"
        lines.append(f"{mark:<10} {track.case}  {track.metric}  {bars(levels)}  {len(levels)} duets")
        lines.append(f"    last   × {ratio:.3f} ({low:.3f} … {high:.3f}) of {track.anchor}")
        for place in changes(track):
            point = track.points[place]
            step = math.exp(np.mean(levels[place:]) - np.mean(levels[:place]))
            lines.append(f"    change × {step:.3f} from {point.when} on, {point.label}")
    return "\n".join(lines)


def bars(levels: list[float]) -> str:
    """Levels as a line of bars, lowest to highest."""
    low, high = min(levels), max(levels)
    return "".join(BARS[round((level - low) / (high - low) * (len(BARS) - 1)) if high > low else 0] for level in levels)


@ends_with(Status.BAD_INPUT, RecordError)
def main(arguments: list[str] | None = None) -> Status:
    """Read, print, judge."""
    parser = argparse.ArgumentParser(prog="python -m bench history", description=__doc__)
    parser.add_argument("--record-dir", type=Path, default=FOLDER)
    parser.add_argument("--case", default="", help="only cases whose id contains this")
    parser.add_argument("--metric", default="", help="only this metric")
    given = parser.parse_args(arguments)
    found = [track for track in tracks(read_history(given.record_dir)) if given.case in track.case and given.metric in ("", track.metric)]
    if not found:
        print("No duet is recorded here yet: run tox -e duet.")
        return Status.NOTHING
    print(text(found))
    return Status.WORSE if any(track.drifted for track in found) else Status.SAME


if __name__ == "__main__":
    sys.exit(main())
