"""List what documentation promises, with the law that tests each: `--uncovered`, `--backend`, and the table of coverage.

`--script` writes a script of a few lines that shows one place of a law without this suite. Ends with 0, or with 2 for a place that there is
not or that cannot be written.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from bench import files
from bench.exit_status import Status, ends_with
from bench.files import WriteError
from bench.judging.check import Check
from bench.judging.tolerance import ROUNDING_MULTIPLE
from bench.metamorphic import EQUALITIES, ITSELF, decide
from bench.metamorphic.promised import LAWS, shown
from bench.metamorphic.scenarios import Scenarios
from bench.promises import AREAS
from models.backends.registry import BACKENDS, info
from models.worker.process import Worker, WorkerError

FRAMEWORKS = {backend: row.framework for backend, row in BACKENDS.items() if row.framework in AREAS}
"""By backend, whose promises hold on it."""


class PromiseError(ValueError):
    """A place of a law that there is not, or that no script shows; the message is one sentence."""


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


def script(backend: str, place: str) -> str:
    """The script that shows a place, `LAW: CASE: WAY against FIRST`; of a law alone its worst place now. Raises PromiseError, WorkerError."""
    law, _, where = place.partition(": ")
    known = sorted(name for name, row in EQUALITIES.items() if shown(name, FRAMEWORKS[backend]) and row.applies(info(backend)))
    if law not in known:
        raise PromiseError(f"--script: {law!r} is no law that a script shows on {backend}: name one of {', '.join(known)}.")
    with closing(Worker(backend)) as worker:
        if not where and law in LAWS:
            ask = lambda scenario, given: worker.call("scenario", scenario=scenario, **{"with": given})  # noqa: E731
            verdict = decide(law, Scenarios(backend, ask))
            if verdict.worst is None:
                raise PromiseError(f"--script: {law} holds on {backend}: name a place, as `LAW: CASE` or `LAW: CASE: WAY`.")
            where = verdict.worst.where
        sentence = Check(EQUALITIES[law].function, ITSELF).law
        return worker.call("script", str, law=law, sentence=sentence, place=where, multiple=float(ROUNDING_MULTIPLE))


@ends_with(Status.BAD_INPUT, PromiseError, WriteError)
def main(arguments: Sequence[str] | None = None) -> Status:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench promises", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--backend", choices=list(FRAMEWORKS), help="list its promises, each with its law or the reason why none tests it")
    parser.add_argument("--uncovered", action="store_true", help="list only those that no law tests")
    parser.add_argument(
        "--script", metavar="PLACE", help="write a script that shows a place of a law, as a failure names it: LAW: CASE: WAY"
    )
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write the script here instead of to the terminal")
    chosen = parser.parse_args(arguments)
    if chosen.script is not None:
        try:
            text = script(chosen.backend or "torch", chosen.script)
        except WorkerError as error:
            raise PromiseError(f"--script: {error}") from None
        print(files.write(chosen.output, text) if chosen.output else text, end="" if not chosen.output else "\n")
    elif chosen.backend or chosen.uncovered:
        for backend in [chosen.backend] if chosen.backend else ["torch", "keras"]:
            print("\n".join(listed(backend, chosen.uncovered)))
    else:
        print(coverage())
    return Status.SAME


if __name__ == "__main__":
    sys.exit(main())
