"""What theory says of a network before it is trained: predicted profile, depth scales, diagnosis and remedies.

`python -m bench.theory depth=40,act=sigmoid,init=glorot_uniform`; with `--plot FILE` also the profiles that PyTorch and Keras
show with their own initialization, inside the predicted band.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.evidence import admission
from bench.evidence.collect import Collection, Request, reference_of
from bench.exit_status import Status
from bench.files import WriteError
from bench.judging.check import Need
from bench.progress import shown
from bench.report.failure import describe_network
from bench.theory import recurrent
from bench.theory.bands import why_not
from bench.theory.plot import draw
from bench.theory.profile import coverage, lines
from fixtures.data.datasets import Data, DataError, load
from models.architectures import graph
from models.backends.registry import BackendError, info, named
from models.matrix import CASES
from models.nodes import Recurrent
from models.observation import WatchedPass
from models.spec import Spec, SpecError
from models.worker.devices import DeviceError, kind, refuse_unknown
from models.worker.process import Worker, WorkerError

SEEDS = 3
"""Networks that each framework initializes for a plot."""


def measured(spec: Spec, backend: str, data: Data, seeds: range, device: str = "cpu") -> list[WatchedPass]:
    """The first pass of the framework's own initialization, one per seed. Raises WorkerError."""
    worker, reference = Worker(backend, device=device), reference_of(spec.on(backend), data, steps=1)
    try:
        requests = [Request(spec, backend, data, {Need.NATIVE}, (seed,), kind(device), reference=reference) for seed in seeds]
        return [evidence.native for evidence in Collection(requests, worker.submit).result()]
    finally:
        worker.close()


def _through_time(spec: Spec, backends: list[str], data: Data) -> Iterator[str]:
    """What theory says of a recurrent network: once for frameworks that begin it alike, and for each that begins it otherwise."""
    alike: dict[tuple[Spec, tuple[str, ...]], list[str]] = {}
    for backend in backends:
        each = spec.on(backend)
        x = np.asarray(data.x_train[: each.batch], np.float64)
        told = recurrent.lines(each, x, data.y_train[: each.batch] % each.classes, info(backend).conventions)
        alike.setdefault((each, tuple(told)), []).append(backend)
    for (each, said), those in alike.items():
        own = f"   begun by {' and '.join(those)}" if len(alike) > 1 else ""
        yield from (f"{each.id}   {describe_network(each)}{own}", "", *said, "")


def main(arguments: list[str] | None = None) -> int:
    """Print, and draw if asked to; Status.BAD_INPUT for what cannot be read or written, ENVIRONMENT where a framework cannot compute."""
    parser = argparse.ArgumentParser(prog="python -m bench theory", description=__doc__)
    parser.add_argument("network", nargs="?", help="a network's id, e.g. depth=40,act=sigmoid,init=glorot_uniform (default: reference)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw band and measured profiles into FILE (png, svg or pdf)")
    parser.add_argument("--backend", default="torch,keras", help="which frameworks to draw (default: torch,keras)")
    parser.add_argument("--device", default="cpu", help="where frameworks compute what is drawn: cpu, cuda or cuda:0 (default: cpu)")
    parser.add_argument("--coverage", choices=CASES, help="list which networks of a set have a band, and which a closed form")
    options = parser.parse_args(arguments)
    with shown():
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    if options.coverage:
        print("\n".join(coverage(options.coverage)))
        return Status.SAME
    try:
        backends = named(options.backend, installed=bool(options.plot))
        refuse_unknown(options.device)
        spec, data = admission.network(options.network or "reference"), load()
        if graph(spec).of(Recurrent):
            print("\n".join(_through_time(spec, backends, data)), flush=True)
        for each in () if graph(spec).of(Recurrent) else dict.fromkeys(spec.on(backend) for backend in backends):
            if reason := why_not(each):
                raise SpecError(f"Theory predicts nothing of {each.id}: {reason}")
            admission.refuse_too_large(each, admission.weight_of_theory(each), "choose a smaller network")
            x = np.asarray(data.x_train[: each.batch], np.float64)
            for line in (f"{each.id}   {describe_network(each)}", "", *lines(each, x, data.y_train[: each.batch] % each.classes), ""):
                print(line, flush=True)
        if options.plot and graph(spec).of(Recurrent):
            raise SpecError(
                f"Profiles by layer are drawn of networks whose layers follow each other, and {spec.id} has time steps: leave out --plot."
            )
        if options.plot:
            seen = {backend: measured(spec, backend, data, range(SEEDS), options.device) for backend in backends}
            x = reference_of(spec.on(backends[0]), data, steps=1).forced_steps[0].x
            draw(options.plot, {backend: spec.on(backend) for backend in backends}, x, seen)
            print(f"drawn into {options.plot}")
    except WorkerError as error:
        print(error, file=sys.stderr)
        return Status.ENVIRONMENT
    except (BackendError, SpecError, DataError, DeviceError, WriteError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return Status.BAD_INPUT
    return Status.SAME


if __name__ == "__main__":
    sys.exit(main())
