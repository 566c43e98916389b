"""Made-up GPUs, each under the core matrix, the equalities and planted faults: `python -m bench twins` writes `twin_grid.csv`.

What was judged before is kept, so that the command goes on where it stopped; `--again=WORD` judges rows anew whose name has the word, and
`--check` all of them without writing. Status 1 where a healthy network is red or a fault is missed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import chain
from pathlib import Path

import msgspec
import pandas as pd

from bench import files
from bench.exit_status import Status
from bench.judging.check import Need
from bench.judging.verdict import FAILED, PASSED, Verdict
from bench.metamorphic import equality_cases
from bench.progress import clock, say
from bench.selftest.faults import FAULTS, Fault
from models.backends.registry import BACKENDS, Absent
from models.matrix import networks
from models.spec import Spec

PATH = Path(__file__).with_suffix(".csv")
COMPILED = "compiled by XLA"
"""The twin of Keras on TensorFlow; the others are those of `twins.TWINS`."""
MULTIPLYING = "float32 split in four", "float32 one by one", "TF32 to nearest", "TF32 cut", "TF32 cut, sums cut"
KINDS = "network", "equality", "fault"
BACKENDS_WITH_TWINS = "torch", "keras", "keras-torch"
OF_TF32 = ("reference", "width=256", "batch=256", "act=linear,lr=1e-5", "norm=layer", "skip=two")
"""Networks judged in TF32 on every twin that has it: products of many terms, and those whose gradients cut operands turned most."""
WITHOUT_PRODUCTS = {Need.DRAWS, Need.CURVES, Need.TRAININGS, Need.HELD_OUT}
"""What a GPU's products cannot change, and trainings, whose rounding differs from one CPU to another as well."""
LARGE = "layer 5's gradient lost", "layer 5's gradient with the other sign", "gradients accumulate"
"""Faults of gradients that are larger than what TF32 rounds, which it must not hide."""
UNLIKE = {"memory", "models_dropped", "traces", "traces_of_epochs", "seeds"}
"""Equalities of what is held, traced and drawn, which have no products."""


class Row(msgspec.Struct, frozen=True):
    """One network, equality or fault on one twin: numbers judged, the share of a bound that was left, red checks, and what is wrong."""

    backend: str
    twin: str
    kind: str
    name: str
    judged: int
    left: float
    red: str
    wrong: str

    @property
    def cell(self) -> tuple[str, str, str, str]:
        """What was asked."""
        return self.backend, self.twin, self.kind, self.name


def twins_of(backend: str) -> tuple[str, ...]:
    """The twins that a backend has."""
    return (COMPILED,) if backend == "keras" else MULTIPLYING


def core(twin: str) -> list[str]:
    """The core matrix; on a twin with TF32 its float32 networks in TF32, all on the one that loses most, for in float32 it is the CPU.

    PyTorch's recurrent layers have kernels of their own, into which no twin reaches.
    """
    plain = [spec for spec in networks("core") if twin == COMPILED or spec.arch.layered]
    if "TF32" not in twin:
        return [spec.id for spec in plain]
    some = plain if twin == MULTIPLYING[-1] else [Spec.parse(name) for name in OF_TF32]
    return [spec.but(precision="tf32").id for spec in some if spec.precision == "float32"]


def faults_on(backend: str, twin: str) -> list[Fault]:
    """Two faults of each part, seen without training; in TF32, which hides small ones, those of whole gradients."""
    rows = FAULTS[BACKENDS[backend].framework]
    if "TF32" in twin:
        return [fault for faults in rows.values() for fault in faults if fault.name in LARGE]
    first = {part: [fault for fault in faults if not fault.trains] for part, faults in rows.items()}
    return list(chain.from_iterable(faults[:2] for part, faults in first.items() if part != "controls"))


def cells(backend: str, kinds: tuple[str, ...] = KINDS) -> list[tuple[str, str, str, str]]:
    """All that is to be judged of a backend; the twins of one network follow each other, for they share its reference."""
    twins, wanted = twins_of(backend), []
    if "equality" in kinds:
        names = [case.equality for case in equality_cases("core", [backend]) if case.equality not in UNLIKE]
        wanted += [(backend, twin, "equality", name) for name in names for twin in twins]
    if backend == "keras-torch":  # its networks go through the same products as PyTorch's
        return wanted
    if "fault" in kinds:
        wanted += [(backend, twin, "fault", fault.name) for twin in twins for fault in faults_on(backend, twin)]
    if "network" in kinds:
        has = {twin: core(twin) for twin in twins}
        wanted += [(backend, twin, "network", name) for name in dict.fromkeys(chain(*has.values())) for twin in twins if name in has[twin]]
    return wanted


def on(twin: str) -> AbstractContextManager[None]:
    """The framework as it is on the twin."""
    from bench.selftest.twins import TWINS, compiling_as_on_a_gpu, multiplying

    return compiling_as_on_a_gpu() if twin == COMPILED else multiplying(TWINS[twin])


def judge(backend: str, twin: str, kind: str, name: str) -> Row:
    """The row of one cell, judged in this process."""
    found = {"network": _network, "equality": _equality}.get(kind)
    if found is None:
        return _fault(backend, twin, name)
    verdicts = found(backend, twin, name)
    red = {key: verdict for key, verdict in verdicts.items() if verdict.status == FAILED}
    return _row((backend, twin, kind, name), verdicts, "; ".join(f"{key}: {verdict.worst}" for key, verdict in red.items()))


def _network(backend: str, twin: str, name: str) -> dict[str, Verdict]:
    from bench.evidence.collect import ALL
    from bench.selftest import kills

    with on(twin):
        evidence = kills.seen(backend, name, False, ALL - WITHOUT_PRODUCTS, repeats=False)
    return kills.verdicts(evidence)


def _equality(backend: str, twin: str, name: str) -> dict[str, Verdict]:
    from bench.baselines import known_failures
    from bench.metamorphic import decide
    from bench.metamorphic.scenarios import Scenarios
    from models.backends.registry import backend_module
    from models.worker.tasks.scenarios import take

    with on(twin):
        verdict = decide(name, Scenarios(backend, lambda scenario, given: take(backend, scenario, given)))
    known_failures.apply(verdict, known_failures.read(), backend_module(backend).versions())
    return {name: verdict}


def _fault(backend: str, twin: str, name: str) -> Row:
    from bench.selftest import kills
    from bench.selftest.faults.plant import planted

    fault = next(each for each in faults_on(backend, twin) if each.name == name)
    network = Spec.parse(f"{fault.network},precision=tf32").id if "TF32" in twin else fault.network
    with on(twin), planted(fault):
        verdicts = kills.verdicts(kills.seen(backend, network, False))
    outside = [finding.where for finding in verdicts[fault.check].findings if not finding.within]
    wrong = "" if any(fault.where in where for where in outside) else f"missed by {fault.check}"
    return _row((backend, twin, "fault", name), verdicts, wrong)


def _row(cell: tuple[str, str, str, str], verdicts: dict[str, Verdict], wrong: str) -> Row:
    judged = [verdict for verdict in verdicts.values() if verdict.judged]
    red = " ".join(key for key, verdict in verdicts.items() if verdict.status == FAILED)
    left = round(min((verdict.headroom for verdict in judged if verdict.status in (PASSED, FAILED)), default=1.0), 3)
    return Row(*cell, sum(verdict.judged for verdict in judged), left, red, wrong)


def read() -> list[Row]:
    """The committed rows."""
    if not PATH.exists():
        return []
    frame = pd.read_csv(PATH, keep_default_na=False)
    return [msgspec.convert(row, Row) for row in frame.to_dict("records")]


def write(rows: list[Row]) -> None:
    """Replace the committed rows."""
    files.write(PATH, pd.DataFrame([msgspec.structs.asdict(row) for row in rows]).to_csv(index=False))


def summary(rows: list[Row]) -> str:
    """A Markdown table: what was judged on each twin, and how much of it is wrong."""
    lines = ["| backend, twin | networks | equalities | numbers judged | least left | red | faults planted | seen |"]
    lines.append("|---|---:|---:|---:|---:|---:|---:|---:|")
    for backend, twin in dict.fromkeys((row.backend, row.twin) for row in rows):
        here = [row for row in rows if (row.backend, row.twin) == (backend, twin)]
        kind = {kind: [row for row in here if row.kind == kind] for kind in KINDS}
        healthy = kind["network"] + kind["equality"]
        seen = sum(not row.wrong for row in kind["fault"])
        shown = [f"{backend}, {twin}", len(kind["network"]), len(kind["equality"]), f"{sum(row.judged for row in healthy):,}",
                 f"{min((row.left for row in healthy), default=1.0):.0%}", sum(bool(row.wrong) for row in healthy),
                 len(kind["fault"]), seen]  # fmt: skip
        lines.append(f"| {' | '.join(map(str, shown))} |")
    missing = len({cell for backend in BACKENDS_WITH_TWINS for cell in cells(backend)} - {row.cell for row in rows})
    return "\n".join(lines) + f"\n\n{len(rows)} rows are judged, {missing} are still to be.\n"


def todo(options: argparse.Namespace, kept: dict[tuple[str, str, str, str], Row]) -> Iterator[tuple[str, str, str, str]]:
    """The cells that are missing, or to be judged again."""
    for cell in cells(options.backend, tuple(options.kind)):
        if options.twin in cell[1] and (cell not in kept or (options.again and options.again in cell[3])):
            yield cell


def main() -> int:
    """Judge what is missing, print what is wrong and the summary."""
    parser = argparse.ArgumentParser(prog="python -m bench twins", description=__doc__)
    parser.add_argument("--backend", default="torch", choices=BACKENDS_WITH_TWINS)
    parser.add_argument("--kind", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--twin", default="", help="only twins whose name contains this")
    parser.add_argument("--again", default="", help="judge rows anew whose name contains this")
    parser.add_argument("--first", type=int, default=None, help="at most so many rows now (default: all)")
    parser.add_argument("--check", action="store_true", help="judge all rows of this backend anew, and leave the committed ones alone")
    parser.add_argument("--summary", action="store_true", help="only print the committed summary")
    options = parser.parse_args()
    if options.summary:
        print(summary(read()), end="")
        return Status.SAME
    os.environ |= {"TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1", **BACKENDS[options.backend].variables}  # TF32 unless the suite forbids it
    warnings.simplefilter("ignore", UserWarning)  # frameworks' words on planted faults
    rows = {row.cell: row for row in ([] if options.check else read())}
    wanted = list(todo(options, rows))[: options.first]
    begun = time.monotonic()
    for done, cell in enumerate(wanted, 1):
        try:
            rows[cell] = judge(*cell)
        except Absent as lack:  # a part of a network that the framework does not have
            say(f"{done} of {len(wanted)}  {', '.join(cell)}: {lack}")
            continue
        if not options.check:
            write(list(rows.values()))
        left = clock((time.monotonic() - begun) / done * (len(wanted) - done))
        say(f"{done} of {len(wanted)}  {', '.join(cell)}: {rows[cell].wrong or rows[cell].red or 'green'}; {left} left")
    wrong = [row for row in rows.values() if row.wrong]
    print("\n".join(f"{', '.join(row.cell)}\n    {row.wrong}" for row in wrong))
    print(summary(list(rows.values())), end="")
    return Status.FAILING if wrong else Status.SAME


if __name__ == "__main__":
    sys.exit(main())
