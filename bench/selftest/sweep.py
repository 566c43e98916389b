"""Healthy frameworks on fresh seeds over the core matrix, judged: the record behind the false-alarm and the power table.

Finished rows are kept in a file, so that an interrupted sweep goes on where it stopped; rows of other code do not count.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from bench import imported
from bench.baselines.known_failures import KnownFailure, apply, read
from bench.checks import CHECKS, ITSELF
from bench.evidence.collect import ALL, Collection, Request, reference_of
from bench.evidence.evidence import Evidence
from bench.evidence.reference import ReferenceResult
from bench.judging.check import Need
from bench.judging.verdict import FAILED, KNOWN, judge
from bench.store import Store
from fixtures.data.datasets import Data, load
from fixtures.machine.fingerprint import judge_on_one_thread
from models.architectures import FAMILIES, graph
from models.matrix import networks, symmetric
from models.nodes import Recurrent
from models.parts.cells import CELLS
from models.spec import Spec, SpecError
from models.worker.process import Worker

RECORD = Path(".gradgauge/sweep.jsonl")
FIRST_SEED = 5000
"""Apart from the seeds of runs and recordings."""
POWER_SEEDS = 5
"""The first seeds also tell how small an error would have been caught."""
APART = ("initializer", "activation", "training")
"""Checks that a sweep does not judge: the first two ask the framework for draws and curves of their own, whatever the seed;
training's interval is for the mean of a run's seeds and is tested on the recordings themselves (`test_interval.py`)."""
JUDGED = [check for check in CHECKS.values() if check.name not in APART]
NEEDS = ALL - {Need.DRAWS, Need.CURVES, Need.BASELINE}
AT_ONCE = 10
"""Seeds for which a network is built once."""
LAWS_ALONE = set(symmetric())
LAWS_SEEDS = 10
"""The most seeds for networks that are looked at for exact laws alone: beside these laws, of which each is looked at in several
networks, nothing is asked of them."""
ENTRIES = ("bench.checks", "bench.evidence.collect", "bench.baselines.known_failures", "models.worker.server")
"""Where the code begins by which a row is made."""
Row = dict[str, Any]


@cache
def family_of(network: str) -> str:
    """The family of networks that a network's id names."""
    arch = Spec.parse(network).arch
    return next(word for word, each in FAMILIES.items() if isinstance(arch, each))


def by_family(frame: pd.DataFrame) -> pd.DataFrame:
    """A table in the order of families; it has a column `family`, or one of networks."""
    families = frame["family"] if "family" in frame else frame["network"].map(family_of)
    return frame.iloc[families.map(list(FAMILIES).index).argsort(kind="stable")]


def swept(families: Iterable[str] = FAMILIES) -> list[Spec]:
    """Networks of the core matrix and those for exact laws alone, of some families, whose cells both frameworks have."""
    every = [spec for spec in (*networks("core"), *symmetric()) if family_of(spec.id) in families]
    return [spec for spec in every if all(CELLS[node.cell].torch for node in graph(spec).of(Recurrent))]


def chosen(parser: argparse.ArgumentParser, family: str | None, ids: list[str]) -> list[Spec]:
    """The swept networks of one family, or those of these ids; the parser ends with a sentence for one that is not swept."""
    if not ids:
        return swept([family] if family else FAMILIES)
    if family:
        parser.error("--network names networks by themselves: leave out --family.")
    try:
        specs = [Spec.parse(each) for each in dict.fromkeys(ids)]
    except SpecError as error:
        parser.error(str(error))
    if unknown := [spec.id for spec in specs if spec not in swept()]:
        parser.error(f"--network={unknown[0]} is not swept: `python -m bench matrix` lists the networks that are.")
    return specs


def state() -> str:
    """Which code a row was made by, and which known failures of the checks that are judged.

    `models/matrix.py` says which networks there are. It changes no row but of a network that moves between those that are trained and
    those for laws alone.
    """
    names = {check.name for check in JUDGED}
    return imported.digest(ENTRIES, [entry for entry in read() if entry.check in names], leave_out=("models.matrix",))


CODE = state()


def judged(spec: Spec, threads: int, run: Evidence, seed: int, known: list[KnownFailure], measure: Callable[[Evidence], Any]) -> Row:
    """One network, backend, seed and number of threads: per check the numbers judged and outside, and the share of the bound used."""
    counts, trained = {}, spec not in LAWS_ALONE
    for check in JUDGED:
        asked = check.against == ITSELF or trained  # as in a run: networks that are not trained are there for exact laws alone
        if asked and not check.missing(run.spec, run.collected):
            verdict = judge(check, run)
            apply(verdict, known, run.seen.versions)
            outside = verdict.outside if verdict.status == FAILED else 0
            compared = () if verdict.status == KNOWN else verdict.findings  # how near a known failure comes says nothing
            nearest = min(compared, key=lambda f: f.headroom, default=None)
            counts[check.name] = [verdict.judged, outside, 1 - nearest.headroom if nearest else 0.0, nearest.where if nearest else ""]
    power = measure(run) if trained and threads == 1 and seed < FIRST_SEED + POWER_SEEDS else {}
    place = {"network": spec.id, "backend": run.backend, "seed": seed, "threads": threads}
    return {**place, "checks": counts, "power": power}


def cell(network: str, backend: str, seed: int, threads: int) -> str:
    """What a row is found again by."""
    return f"{network} {backend} {seed} {threads}"


def wanted(seeds: int, only: list[Spec] | None = None) -> list[tuple[Spec, range]]:
    """Every network with the seeds that a sweep over `seeds` looks at it with."""
    counts = [(spec, min(seeds, LAWS_SEEDS) if spec in LAWS_ALONE else seeds) for spec in only or swept()]
    return [(spec, range(FIRST_SEED, FIRST_SEED + count)) for spec, count in counts]


def run(seeds: int, sides: list[tuple[str, int]], record: Path = RECORD, only: list[Spec] | None = None) -> list[Row]:
    """Every row of the sweep over `sides` (backend, threads): finished ones from the record, the rest now, with progress.

    Networks are built once for `AT_ONCE` seeds; while the judge is at one network, the workers are at the next.
    """
    from bench.selftest.power import of_run

    store = Store(record, Row, CODE)
    todo = []
    for spec, own_seeds in wanted(seeds, only):
        missing = [seed for seed in own_seeds if not all(cell(spec.id, backend, seed, threads) in store for backend, threads in sides)]
        todo += [(missing[start : start + AT_ONCE], spec) for start in range(0, len(missing), AT_ONCE)]
    todo.sort(key=lambda part: (part[1] in LAWS_ALONE, part[0][0]))
    known = read()
    judge_on_one_thread()
    data, begun = load(), time.monotonic()
    workers = {side: Worker(side[0], threads=side[1]) for side in sides} if todo else {}
    ahead: deque[tuple[list[int], Spec, list[tuple[int, Collection]]]] = deque()
    try:
        for place in range(len(todo) + 1):
            if place < len(todo):
                ahead.append((*todo[place], _asked(*todo[place], workers, data)))
            if place == 0:
                continue
            block, spec, collections = ahead.popleft()
            for count, collection in collections:
                for seed, each in zip(block, collection.result(), strict=True):
                    if (own := cell(spec.id, each.backend, seed, count)) not in store:
                        store.keep(own, judged(spec, count, each, seed, known, of_run))
            left = (time.monotonic() - begun) / place * (len(todo) - place) / 60
            print(f"\r{place}/{len(todo)}  seeds to {block[-1]}  {spec.id}  {left:.1f} min left".ljust(100), end="", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nstopped; what is done is kept", file=sys.stderr)
    finally:
        for worker in workers.values():
            worker.close()
    if todo:
        print(f"\n{(time.monotonic() - begun) / 60:.1f} min", file=sys.stderr)
    rows = [row for _, row in store.items()]
    asked = {spec.id for spec, _ in wanted(seeds, only)}
    return [r for r in rows if r["seed"] < FIRST_SEED + seeds and (r["backend"], r["threads"]) in sides and r["network"] in asked]


def _asked(block: list[int], spec: Spec, workers: dict[tuple[str, int], Worker], data: Data) -> list[tuple[int, Collection]]:
    """By number of threads, what each worker was asked to do with every seed; the reference's results are shared."""
    results: dict[tuple[Spec, int], ReferenceResult] = {}
    needs = NEEDS - {Need.TRAININGS, Need.HELD_OUT} if spec in LAWS_ALONE else NEEDS
    asked = []
    for (backend, count), worker in workers.items():
        own, requests = spec.on(backend), []
        for seed in block:
            result = results.setdefault((own, seed), results.get((own, seed)) or reference_of(own, data, seed))
            requests.append(Request(spec, backend, data, needs, (seed,), repeats=count == 1, reference=result))
        asked.append((count, Collection(requests, worker.submit)))
    return asked
