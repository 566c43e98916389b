"""Faults and false alarms in models of packages that nobody here wrote: `python -m bench packaged-models --seeds 100`.

An error of 1e-4 is planted into the gradient of one layer's weight, as a wrong float32 kernel would have it, and must be found there and
nowhere else. Each model then runs over fresh seeds, in which every number outside is a false alarm. What was done is kept in
`.gradgauge/packaged.jsonl`, so that an interrupted run goes on where it stopped, as one does that is asked for more seeds. A model whose
package is not installed is left out; `packaged_models.csv` has what was measured.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import sys
import time
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import msgspec

from bench.exit_status import Status
from bench.imported import digest
from bench.judging.tolerance import ROUNDING_MULTIPLE
from bench.judging.verdict import FAILED
from bench.selftest.faults.of_own_models import OFF
from bench.selftest.faults.of_parameters import wrong_gradient_in_keras, wrong_gradient_of
from bench.selftest.faults.plant import Fault
from bench.selftest.studies.own_models import GAUGES, evidence, found, verdicts
from bench.selftest.studies.tables import keep
from bench.store import Store
from models.backends.registry import backend_module

PATH = Path(__file__).with_name("packaged_models.csv")
RECORD = Path(".gradgauge/packaged.jsonl")


@dataclass(frozen=True)
class Packaged:
    """A model of a package, and the parameter whose gradient is made wrong."""

    backend: str
    name: str
    package: str
    parameter: str

    @property
    def address(self) -> str:
        """As a user types it."""
        return f"{GAUGES}/of_packages{'_keras' if self.backend == 'keras' else ''}.py:{self.name}"

    @property
    def installed(self) -> bool:
        """Whether its file can be imported here."""
        needed = ("keras_hub",) if self.backend == "keras" else ("timm", "diffusers")
        return all(importlib.util.find_spec(each) is not None for each in needed)


MODELS = (
    Packaged("torch", "encoder", "torch", "encoder.layers.0.linear1.weight"),
    Packaged("torch", "vit", "timm", "blocks.3.attn.qkv.weight"),
    Packaged("torch", "resnet", "timm", "layer2.0.conv2.weight"),
    Packaged("torch", "efficientnet", "timm", "blocks.1.0.conv_exp.weight"),
    Packaged("torch", "lstm", "torch", "lstm.weight_hh_l0_reverse"),
    Packaged("torch", "unet", "diffusers", "unet.mid_block.resnets.0.conv1.weight"),
    Packaged("keras", "encoder", "keras-hub", "encoder.feedforward_intermediate_dense.kernel"),
    Packaged("keras", "resnet", "keras-hub", "stack0_block0_1_conv.kernel"),
    Packaged("keras", "lstm", "keras", "both.backward_lstm.lstm_cell.recurrent_kernel"),
    Packaged("keras", "unet", "keras-hub", "encoder.mid_block_0.conv1.kernel"),
)


@dataclass
class Row:
    """A model: where its fault was found, by how many roundings, and what fresh seeds gave.

    `also` counts other parameters that were red. `seconds` is what one examination takes, `numbers` what was judged over all seeds,
    `largest` the largest of them in roundings of ten that are allowed.
    """

    backend: str
    model: str
    package: str
    version: str
    parameters: int
    planted: str
    found: str
    roundings: float
    also: int
    seconds: float
    seeds: int = 0
    numbers: int = 0
    alarms: int = 0
    largest: float = 0.0


def fault(model: Packaged, factor: float = OFF) -> Fault:
    """The fault that is planted into a model."""
    plant = (wrong_gradient_of if model.backend == "torch" else wrong_gradient_in_keras)(model.parameter, factor)
    return Fault("one layer's gradient", model.address, "gradient_parity", model.parameter, plant)


def planted_row(model: Packaged) -> Row:
    """Plant the fault and look where it is found."""
    caught, seen = found(model.backend, fault(model))
    red = [f for verdict in seen.values() if verdict.status == FAILED for f in verdict.findings if not f.within]
    here = [f for f in red if f.place.parameter.endswith(model.parameter)]
    begun = time.process_time()
    healthy = evidence(model.backend, model.address)
    seconds = round(time.process_time() - begun, 1)
    version = importlib.metadata.version(model.package)
    return Row(
        model.backend, model.name, model.package, version, healthy.seen.parameters, model.parameter,
        here[0].where if caught and here else "", round(here[0].value, 1) if here else 0.0, len(red) - len(here), seconds,
    )  # fmt: skip


class Seed(msgspec.Struct):
    """What one fresh seed gave: how many numbers, those outside in words, and the largest in roundings of ten that are allowed."""

    numbers: int = 0
    outside: list[str] = []
    largest: float = 0.0


def judge_seed(model: Packaged, seed: int) -> Seed:
    """Run a fresh seed and tell what is outside."""
    done = Seed()
    for name, verdict in verdicts(evidence(model.backend, model.address, seed)).items():
        done.numbers += verdict.judged
        done.outside += [f"{name} {f.where} {f.value:.3g}, {f.high:.3g} allowed" for f in verdict.findings if not f.within]
        done.largest = max([done.largest, *(round(f.value, 2) for f in verdict.findings if f.high == ROUNDING_MULTIPLE)])
    return done


def judge_seeds(model: Packaged, row: Row, seeds: range, store: Store[Seed]) -> Row:
    """Run the seeds that are not in the store, and count what is outside in all of them."""
    for seed in seeds:
        cell = f"{model.backend} {model.name} {row.package} {row.version} seed {seed}"
        done = store.get(cell) or store.keep(cell, judge_seed(model, seed))
        row.seeds += 1
        row.numbers += done.numbers
        row.alarms += len(done.outside)
        row.largest = max(row.largest, done.largest)
        for outside in done.outside:
            print(f"{model.backend} {model.name} seed {seed}: {outside}", flush=True)
    return row


def table(rows: list[dict[str, str]]) -> str:
    """The table as Markdown."""
    head = "| model | package | planted 1e-4 into the gradient of | found | others red | seeds | numbers | false alarms | seconds |"
    shown = [
        f"| {r['backend']} `{r['model']}` | {r['package']} {r['version']} | `{r['planted']}` | {'yes' if r['found'] else 'no'}, "
        f"{float(r['roundings']):.0f} roundings | {r['also']} | {r['seeds']} | {int(r['numbers']):,} | {r['alarms']} | {r['seconds']} |"
        for r in rows
    ]
    return "\n".join([head, "| --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: |", *shown])


def main() -> int:
    """Measure, print, and keep each row as it is done."""
    parser = argparse.ArgumentParser(prog="python -m bench packaged-models", description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3, help="fresh seeds a model (default: 3)")
    parser.add_argument("--backend", default="torch,keras", help="torch, keras or both (default: both)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only models whose name has TEXT")
    parser.add_argument("--write", action="store_true", help="keep the rows in packaged_models.csv")
    given = parser.parse_args()
    names, order = [field.name for field in fields(Row)], [(model.backend, model.name) for model in MODELS]
    good, configured = [], set[str]()
    store = Store(RECORD, Seed, digest(["bench.selftest.studies.packaged"], data=["bench/selftest/gauges/of_packages*.py"]))
    for model in MODELS:
        if model.backend not in given.backend.split(",") or given.only not in model.name:
            continue
        if not model.installed:
            print(f"{model.backend} {model.name} left out: its packages are not installed here")
            continue
        if model.backend not in configured:
            backend_module(model.backend).configure(1)  # as a worker does
            configured.add(model.backend)
        row = judge_seeds(model, planted_row(model), range(given.seeds), store)
        print(*astuple(row), flush=True)
        good.append(bool(row.found) and not row.also and not row.alarms)
        if given.write:
            keep(PATH, names, [str(value) for value in astuple(row)], order)
    if not good:
        return Status.NOTHING
    return Status.SAME if all(good) else Status.FAILING


if __name__ == "__main__":
    sys.exit(main())
