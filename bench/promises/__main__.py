"""List what documentation promises, with the law that tests each: `--uncovered`, `--backend`, and the table of coverage.

Ends with 0, or with 1 where a promise has a law that the backend's core and full sets do not judge.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from bench.exit_status import Status
from bench.promises import AREAS
from models.backends.registry import BACKENDS

FRAMEWORKS = {backend: row.framework for backend, row in BACKENDS.items() if row.framework in AREAS}
"""By backend, whose promises hold on it."""


def coverage() -> str:
    """The table that README shows: by area and backend, how many promises have a law there, of how many."""
    lines = [f"| area | {' | '.join(f'`{backend}`' for backend in FRAMEWORKS)} |", "|---|" + "---|" * len(FRAMEWORKS)]
    areas = dict.fromkeys(area for by_area in AREAS.values() for area in by_area)
    totals = {backend: [0, 0] for backend in FRAMEWORKS}
    for area in areas:
        cells = []
        for backend, framework in FRAMEWORKS.items():
            rows = AREAS[framework].get(area, ())
            tested = sum(promise.tested_on(backend) for promise in rows)
            totals[backend] = [totals[backend][0] + tested, totals[backend][1] + len(rows)]
            cells.append(f"{tested} of {len(rows)}" if rows else "–")
        lines.append(f"| {area} | {' | '.join(cells)} |")
    lines.append(f"| **all** | {' | '.join(f'**{tested} of {count}**' for tested, count in totals.values())} |")
    return "\n".join(lines)


def listed(backend: str, uncovered: bool) -> list[str]:
    """The promises that hold on a backend, a line each, by area."""
    lines = []
    for area, rows in AREAS[FRAMEWORKS[backend]].items():
        chosen = [promise for promise in rows if not (uncovered and promise.tested_on(backend))]
        if chosen:
            lines.append(f"{area}, {backend}")
        for promise in chosen:
            told = promise.law if promise.tested_on(backend) else f"no law: {promise.why or f'{promise.name} is not judged on {backend}'}"
            lines += [f"  {promise.entry}: {promise.sentence}", f"    {told}", f"    {promise.page}"]
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench promises", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--backend", choices=list(FRAMEWORKS), help="list its promises, each with its law or the reason why none tests it")
    parser.add_argument("--uncovered", action="store_true", help="list only those that no law tests")
    chosen = parser.parse_args(arguments)
    if chosen.backend or chosen.uncovered:
        for backend in [chosen.backend] if chosen.backend else ["torch", "keras"]:
            print("\n".join(listed(backend, chosen.uncovered)))
    else:
        print(coverage())
    return Status.SAME


if __name__ == "__main__":
    sys.exit(main())
