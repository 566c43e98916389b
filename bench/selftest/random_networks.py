"""Networks drawn at random from the whole of `Spec`, judged on healthy frameworks: none may be red, crash, hang or take the machine.

`python -m bench random-networks --networks=300 --seed=1 --family=rnn` judges them as `pytest --network=…` does. Each has limits of time
and memory, beyond which its process is killed and it is red. With `--edges` networks are those of `bench.selftest.edges`, each field at
its edges, and those that are refused are listed with the sentence. What was done is kept in `.gradgauge/random_networks.jsonl`, so that
an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import msgspec
import pandas as pd
import psutil

from bench import files, imported
from bench.arguments import at_least
from bench.baselines import known_failures
from bench.baselines.samples import load as load_baseline
from bench.checks import CHECKS, applies
from bench.evidence.collect import STEPS
from bench.evidence.excuses import excuse
from bench.evidence.pool import ObservationPool
from bench.exit_status import Status
from bench.judging.verdict import FAILED, KNOWN, NO_BASELINE, NOT_APPLICABLE, NOT_JUDGED, Verdict, judge
from bench.progress import clock, say
from bench.selftest import edges
from bench.selftest.drawn import draw
from bench.store import Store
from fixtures.data.datasets import load
from fixtures.machine.fingerprint import judge_on_one_thread
from models.architectures import FAMILIES
from models.backends.registry import USUAL, BackendError, named
from models.spec import Spec
from models.worker.process import WorkerError, WorkerLacks, resident

PATH = Path(__file__).with_suffix(".csv")
RECORD = Path(".gradgauge/random_networks.jsonl")
SEEDS = range(3)
"""Trainings of each network, as in a run."""
LONGEST, LARGEST = 300.0, 6e3
"""Processor seconds and MB that one network may take in all processes together: ten times what one takes on average."""
HANGS = 3600.0
"""Seconds after which a network counts as hung, on however busy a machine."""
LOOKED = 0.5
"""Seconds between two looks at the memory that a network takes."""
ENTRIES = ("bench.checks", "bench.evidence.pool", "bench.baselines.known_failures", "models.worker.server")
"""Where the code begins by which a row is made."""


class Row(msgspec.Struct):
    """What became of one network: numbers judged and outside, checks by status, and what is red or known, and why.

    `refused` counts values that were drawn for it and contradict others, `lacking` the backends that lack a part of it.
    """

    seed: int
    number: int
    network: str
    refused: int = 0
    seconds: float = 0.0
    megabytes: float = 0.0
    judged: int = 0
    outside: int = 0
    passed: int = 0
    declined: int = 0
    lacking: list[str] = []
    known: list[str] = []
    red: list[str] = []


def state() -> str:
    """Which code a row is made by, and which known failures."""
    return imported.digest(ENTRIES, known_failures.read())


def judge_each(rows: list[Row], backends: Sequence[str], answers: Connection) -> None:
    """Judge networks one after the other in this process, and send each row when it is done."""
    judge_on_one_thread()
    known = known_failures.read()
    pool = ObservationPool(load(), device="cpu", threads=1, seeds=SEEDS)
    pool.baselines |= {backend: load_baseline(backend, "cpu", STEPS) for backend in backends}
    wanted = [(backend, Spec.parse(row.network)) for row in rows for backend in backends]
    for backend, spec in wanted:
        for check in CHECKS.values():
            if applies(check, spec, backend):
                pool.want(backend, spec, check.needs | check.also)
    pool.plan(wanted)
    try:
        for row in rows:
            for backend in backends:
                _judge(row, backend, pool, known)
            answers.send(row)
    finally:
        pool.close()


def _judge(row: Row, backend: str, pool: ObservationPool, known: list[known_failures.KnownFailure]) -> None:
    """Add what every check says of a network on a backend."""
    spec = Spec.parse(row.network)
    for check in CHECKS.values():
        if not applies(check, spec, backend):
            continue
        try:
            evidence = pool.run(backend, spec, check.needs)
            verdict = judge(check, evidence)
        except WorkerLacks:
            row.lacking = list(dict.fromkeys([*row.lacking, backend]))
            continue
        except Exception as error:  # whatever it is, it is red, and the next network is judged
            row.red.append(f"{backend} {check.name}: {type(error).__name__} {error}".replace("\n", " ")[:300])
            if isinstance(error, WorkerError):
                return
            continue
        excuse(verdict, check, evidence, known)
        row.judged += verdict.judged
        row.passed += verdict.status not in (FAILED, KNOWN, NOT_JUDGED, NO_BASELINE, NOT_APPLICABLE)
        row.declined += verdict.status == NOT_JUDGED
        if verdict.status == FAILED:
            row.outside += verdict.outside
            row.red.append(_told(verdict))
        elif verdict.status == KNOWN:
            row.known.append(f"{backend} {check.name}")


def _told(verdict: Verdict) -> str:
    """A red verdict in a line."""
    worst = verdict.worst
    assert worst is not None
    bounds = f"{worst.value:.3g} in {worst.low:.3g} … {worst.high:.3g}"
    return f"{verdict.backend} {verdict.check}: {verdict.outside} of {verdict.judged} outside, worst {worst.where} {bounds}"


def drawn(seed: int, networks: int, family: str = "mlp") -> list[Row]:
    """The first networks of a seed, not judged yet."""
    draws = [draw(seed, number, family) for number in range(networks)]
    return [Row(seed, number, each.spec.id, len(each.refused)) for number, each in enumerate(draws)]


def run(rows: Sequence[Row], record: Path = RECORD, backends: Sequence[str] = USUAL) -> list[Row]:
    """What became of each network: finished ones from the record, the rest now, with progress."""
    store = Store(record, Row, state())
    cells = {f"{'+'.join(backends)} {row.network}": row for row in rows}
    todo = {cell: row for cell, row in cells.items() if cell not in store}
    begun = time.monotonic()
    for done, (cell, row) in enumerate(zip(todo, _judged(list(todo.values()), backends), strict=True), 1):
        store.keep(cell, row)
        for red in row.red:
            say(f"red  {row.network}  {red}")
        left = (time.monotonic() - begun) / done * (len(todo) - done)
        say(f"{done} of {len(todo)}  {row.network}  {row.seconds:.0f} s of a processor, {row.megabytes:.0f} MB; {clock(left)} left")
    return [store[cell] for cell in cells]


def _judged(rows: Sequence[Row], backends: Sequence[str] = USUAL) -> Iterator[Row]:
    """Rows as they are done, by processes that are killed where one network takes too much."""
    waiting = list(rows)
    while waiting:
        receiving, sending = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context("spawn").Process(target=judge_each, args=(waiting, backends, sending), daemon=False)
        process.start()
        sending.close()
        try:
            for row in list(waiting):
                yield _watched(row, process, receiving)
                waiting.pop(0)
                if not process.is_alive() and waiting:
                    break
        finally:
            process.kill()  # its workers end with it
            process.join()
            receiving.close()


def _watched(asked: Row, process: BaseProcess, answers: Connection) -> Row:
    """The row of a network, once it is there; a red one where its process took too much or died, which then has ended."""
    begun, before, most, seconds = time.monotonic(), _seconds(process), 0.0, 0.0
    while True:
        ended = ""
        try:
            if answers.poll(LOOKED):
                row: Row = answers.recv()
                row.seconds, row.megabytes = round(max(seconds, _seconds(process) - before), 1), round(max(most, _memory(process)))
                return row
        except EOFError:
            process.join()
            ended = f"the judge ended with status {process.exitcode}"
        most, seconds = max(most, _memory(process)), max(seconds, _seconds(process) - before)
        if seconds > LONGEST or time.monotonic() - begun > HANGS:
            ended = f"more than {LONGEST:.0f} s of a processor" if seconds > LONGEST else f"hung for {HANGS:.0f} s"
        if most > LARGEST:
            ended = f"more than {LARGEST:.0f} MB"
        if ended:
            process.kill()
            process.join()
            return msgspec.structs.replace(asked, seconds=round(seconds, 1), megabytes=round(most), red=[ended])


def _seconds(process: BaseProcess) -> float:
    """Processor time that a process and all it has started have taken, in seconds."""
    try:
        own = psutil.Process(process.pid)
        times = [each.cpu_times() for each in (own, *own.children(recursive=True))]
    except psutil.NoSuchProcess:
        return 0.0
    return sum(each.user + each.system for each in times)


def _memory(process: BaseProcess) -> float:
    """MB that a process and all it has started hold together."""
    try:
        return resident([process.pid or 0, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))])
    except psutil.NoSuchProcess:
        return 0.0


def table(rows: list[Row]) -> pd.DataFrame:
    """One line a network."""
    frame = pd.DataFrame([msgspec.structs.asdict(row) for row in rows])
    return frame.assign(**{name: ["; ".join(texts) for texts in frame[name]] for name in ("lacking", "known", "red")})


def summary(frame: pd.DataFrame) -> str:
    """The table in a sentence."""
    red = frame["red"].astype(bool).sum()
    declined, passed = frame["declined"].sum(), frame["passed"].sum()
    return (
        f"{len(frame):,} random networks, {frame['judged'].sum():,} numbers judged, {red} networks red; {declined:,} of "
        f"{declined + passed:,} checks could not decide; of {frame['lacking'].astype(bool).sum()} networks a framework lacks a part; "
        f"{frame['refused'].sum():,} values drawn were refused as contradictions; "
        f"at most {frame['seconds'].max():.0f} processor seconds and {frame['megabytes'].max() / 1e3:.1f} GB a network.\n"
    )


def read() -> pd.DataFrame:
    """The committed table."""
    return pd.read_csv(PATH, keep_default_na=False)


def main() -> Status:
    """Judge what is missing, print what is red and write the table; FAILING where anything is."""
    parser = argparse.ArgumentParser(prog="python -m bench random-networks", description=__doc__)
    parser.add_argument("--networks", type=at_least(1), default=200, help="how many networks (default: 200)")
    parser.add_argument("--seed", type=at_least(0), default=0, help="what they are drawn from (default: 0)")
    parser.add_argument("--family", choices=FAMILIES, default="mlp", help="of which family networks are (default: mlp)")
    parser.add_argument("--edges", action="store_true", help="networks with a field at its edge instead, of this family")
    parser.add_argument("--backend", default=",".join(USUAL), help="on which backends, with commas (default: %(default)s)")
    parser.add_argument("-o", "--output", type=Path, default=None, help="also write the table as CSV to this file")
    options = parser.parse_args()
    try:
        backends = named(options.backend)
    except BackendError as error:
        parser.error(str(error))
    asked, refused = edges.networks(options.family) if options.edges else ([], {})
    rows = [Row(0, number, network) for number, network in enumerate(asked)]
    try:
        rows = run(rows if options.edges else drawn(options.seed, options.networks, options.family), backends=backends)
    except KeyboardInterrupt:
        say("stopped; what is done is kept")
        return Status.INTERRUPTED
    frame = table(rows)
    for text, sentence in refused.items():
        print(f"refused  {text}: {sentence}")
    for row in rows:
        for red in row.red:
            print(f"{row.network}\n    {red}")
    if options.output:
        files.write(options.output, frame.to_csv(index=False))
    print(summary(frame), end="")
    return Status.FAILING if any(row.red for row in rows) else Status.SAME


if __name__ == "__main__":
    sys.exit(main())
