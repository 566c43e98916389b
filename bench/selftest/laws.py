"""How good the laws of promises are: false alarms over fresh draws, the smallest error that is caught, and processor time, law by law.

`python -m bench laws` takes every law of one backend in this process, over draws shifted by a seed, and writes its rows of `laws.csv`.
A number outside that is a known failure is counted apart. The smallest error is the least factor 1 + ε, of twelve to a hundred
thousandth, that makes a way red when its healthy result is multiplied by it: ways that must agree bit for bit catch a last digit.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

from bench import files
from bench.arguments import at_least
from bench.baselines import known_failures
from bench.judging.verdict import FAILED, KNOWN, NOT_APPLICABLE
from bench.metamorphic import EQUALITIES, decide
from bench.metamorphic.promised import LAWS, _judged
from bench.metamorphic.scenarios import Scenarios
from bench.progress import say, shown, track
from bench.promises import AREAS
from bench.report import text_table
from models.backends.registry import BACKENDS, backend_module, info
from models.worker.tasks.scenarios import take

PATH = Path(__file__).with_suffix(".csv")
SEEDS = 5
FACTORS = tuple(float(f"{digit}e{power}") for power in range(-12, 0) for digit in (1, 2, 5))
"""Errors that are tried, the smallest first, relative to a way's result."""
KEYS = ["backend", "threads", "law"]
APART = 1009
"""What a seed is moved by, so that no draw of one run comes again in another."""
Told = dict[str, Any]


@contextmanager
def other_draws(seed: int, framework: str) -> Iterator[None]:
    """Every seed that a law sets is moved, and with it all data and weights that it draws; 0 leaves them as they are."""
    rng = np.random.default_rng
    with mock.patch.object(np.random, "default_rng", lambda given=None: rng(given if given is None else [given, seed] if seed else given)):
        if framework == "torch":
            import torch

            class Moved(torch.Generator):
                def manual_seed(self, given: int) -> torch.Generator:
                    return super().manual_seed(given + APART * seed)

            manual_seed = torch.manual_seed
            with (
                mock.patch.object(torch, "Generator", Moved),
                mock.patch.object(torch, "manual_seed", lambda s: manual_seed(s + APART * seed)),
            ):
                yield
        else:
            import keras

            set_seed = keras.utils.set_random_seed
            with mock.patch.object(keras.utils, "set_random_seed", lambda given: set_seed(given + APART * seed)):
                yield


def measured(backend: str, law: str, seeds: int, known: list[known_failures.KnownFailure]) -> dict[str, Any] | None:
    """One row of the table; nothing where this release has no part of the law."""
    outside = excused = numbers = 0
    used, where, caught, seconds = 0.0, "", list[float](), list[float]()
    for seed in range(seeds):
        began = time.process_time()
        with other_draws(seed, info(backend).framework):
            told = take(backend, law, {})
        verdict = decide(law, Scenarios(backend, _giving(told)))
        seconds.append(time.process_time() - began)
        if verdict.status == NOT_APPLICABLE:
            return None
        findings = list(verdict.findings)
        known_failures.apply(verdict, known, backend_module(backend).versions())
        red = sum(not finding.within for finding in findings)
        outside, excused = outside + red * (verdict.status == FAILED), excused + red * (verdict.status == KNOWN)
        numbers += len(findings)
        for finding in findings:
            if finding.within and finding.high > 0 and finding.value / finding.high >= used:
                used, where = finding.value / finding.high, str(finding.where)
        caught += [] if seed else list(smallest(told))
    return {
        "seeds": seeds, "cases": len(told), "numbers": numbers, "outside": outside, "known": excused,
        "used": round(used, 3), "where": where,
        "caught": float(np.median(caught)) if caught else np.nan, "caught in all": max(caught, default=np.nan),
        "seconds": round(float(np.median(seconds)), 2),
    }  # fmt: skip


def smallest(told: Told) -> Iterator[float]:
    """For each way that must be the same as its case's first, the smallest factor that makes it red; infinite where none does."""
    for case, seen in told.items():
        ways = seen["ways"]
        first = next(iter(ways))
        for way, result in ways.items():
            if way == first or seen["apart"] or isinstance(result, str) or isinstance(ways[first], str):
                continue
            if not any(np.any(np.asarray(each, np.float64)) for each in result):
                continue  # a way that leads to zeros is as it was, whatever it is multiplied by
            judged = lambda error, case=case, seen=seen, way=way, first=first: next(  # noqa: E731
                _judged(
                    {case: {**seen, "ways": {first: seen["ways"][first], way: [np.asarray(a) * (1 + error) for a in seen["ways"][way]]}}}
                )
            )
            yield next((error for error in FACTORS if not judged(error).within), np.inf)


def _giving(told: Told) -> Callable[[str, dict[str, Any]], Told]:
    return lambda scenario, given: told


def read() -> pd.DataFrame:
    """The committed table."""
    return pd.read_csv(PATH)


def table(frame: pd.DataFrame) -> str:
    """The table of README: a row a law, every backend and number of threads together."""
    rows = []
    for law, group in frame.groupby("law", sort=True):
        most = group.loc[group["used"].idxmax()]
        rows.append([
            f"`{law}`", f"{group.groupby('backend')['cases'].first().sum():,}", f"{group['numbers'].sum():,}",
            str(group["outside"].sum()), f"{most['used']:.0%}", *(_error(group[column]) for column in ("caught", "caught in all")),
            *(_seconds(group[group["backend"] == backend]) for backend in ("torch", "keras")),
        ])  # fmt: skip
    head = ["law", "cases", "numbers", "outside", "nearest", "smallest error caught, median", "in every way", "s, `torch`", "s, `keras`"]
    return "\n".join(text_table.markdown([head, *rows]))


def summary(frame: pd.DataFrame) -> str:
    """The table in a sentence."""
    sides = frame.groupby(["backend", "threads"])["seeds"].first()
    told = "; ".join(f"`{backend}` on {threads} thread{'s' * (threads > 1)}, {seeds} draws" for (backend, threads), seeds in sides.items())
    return (
        f"{frame['numbers'].sum():,} numbers judged ({told}), {frame['outside'].sum()} outside, "
        f"{frame['known'].sum():,} more of known failures; the nearest used {frame['used'].max():.0%} of its bound."
    )


def _error(column: pd.Series[float]) -> str:
    worst = column.dropna().max()
    return "–" if np.isnan(worst) else "never" if np.isinf(worst) else f"{worst:.0e}"


def _seconds(group: pd.DataFrame) -> str:
    return f"{group['seconds'].min():.1f}" if len(group) else "–"


def main() -> int:
    """Take every law of a backend and write its rows; exit 1 when a number fell outside that is not known."""
    parser = argparse.ArgumentParser(prog="python -m bench laws", description=__doc__.partition("\n")[0] if __doc__ else "")
    backends = [name for name, row in BACKENDS.items() if row.framework in AREAS]
    parser.add_argument("--backend", default="torch", choices=backends, help="whose promises (default: torch)")
    parser.add_argument("--seeds", type=at_least(1), default=SEEDS, help=f"how many draws, the first as committed (default: {SEEDS})")
    parser.add_argument("--threads", type=at_least(1), default=1, help="how many threads the framework runs on (default: 1)")
    parser.add_argument(
        "--only", action="append", metavar="LAW", choices=sorted(LAWS), help="only this law; the rows of the others are kept"
    )
    chosen = parser.parse_args()
    backend_module(chosen.backend).configure(chosen.threads)
    known, rows = known_failures.read(), []
    for law in track([law for law in chosen.only or sorted(LAWS) if EQUALITIES[law].applies(info(chosen.backend))], "laws"):
        row = measured(chosen.backend, law, chosen.seeds, known)
        if row:
            rows.append({"backend": chosen.backend, "threads": chosen.threads, "law": law, **row})
            say(f"{law}: {row['numbers']} numbers, {row['outside']} outside, nearest {row['used']:.0%}, {row['seconds']} s")
    frame = pd.DataFrame(rows)
    if PATH.exists():
        others = read()
        frame = pd.concat([others[~others[KEYS].apply(tuple, axis=1).isin(frame[KEYS].apply(tuple, axis=1))], frame])
    files.write(PATH, frame.sort_values(KEYS).to_csv(index=False))
    print(summary(frame))
    return int(bool(sum(row["outside"] for row in rows)))


if __name__ == "__main__":
    with shown():
        sys.exit(main())
