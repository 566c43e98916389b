"""Which release changed a step's time, or a numeric finding: `python -m bench.timing.bisect keras 3.8.0 3.15.1 --case CASE`.

By time, the first release is the A side of a duet with each release that is tried; a release counts as changed when the duet says what
it said of the last one. By `--finding CHECK`, each release is judged by that check on the case's network. With `--model` a model of the
user's is timed or judged in place of a network; where it cannot be built or run in a release, it fails there. The exit status compares the
first release with the last: 10 where it is slower or fails, 13 where it is faster or mended, 0 where they do not differ, 11 where a duet
cannot tell, 12 where nothing was measured, 2 for bad input, 14 where a release cannot run.
"""

import argparse
import contextlib
import importlib.util
import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from packaging.version import InvalidVersion, Version

from bench.checks import CHECKS, missing
from bench.checks.own import OWN_CHECKS
from bench.evidence import admission
from bench.evidence.collect import Request, collect
from bench.evidence.own import OwnEvidence
from bench.exit_status import Status, ends_with, most_serious
from bench.judging.verdict import FAILED, PASSED, Verdict, judge
from bench.progress import clock, say
from bench.report.texts import number
from bench.timing.duet import plan, sides
from bench.timing.duet.calibration import margins_of
from bench.timing.duet.gpu import GpuError, Watch
from bench.timing.duet.plan import BUDGET, Duet
from bench.timing.duet.statistics import OPEN
from bench.timing.duet.verdict import ENVIRONMENT, NOTHING, STATUS
from bench.versions.requirements import NOTHING_BESIDE, Beside, VersionsError, read_beside
from fixtures.data.datasets import load
from models.backends.registry import BACKENDS, USUAL
from models.own.address import OwnModel, own_models
from models.own.gauge import OwnError
from models.own.observation import OwnJob, OwnObservation
from models.spec import Spec, SpecError
from models.worker.devices import DeviceError, kind, refuse_unknown
from models.worker.process import Worker, WorkerDied, WorkerError

FINDABLE = ("finite", "forward_parity", "gradient_parity", "update", "clipping", "normalization_state")
"""Checks that need one observation of steps and nothing recorded."""
OF_MODELS = tuple(name for name in OWN_CHECKS if name != "training")
"""Those of a user's own model that need nothing recorded."""


class CannotTellError(RuntimeError):
    """A release that could be placed on neither side; the message says which, and why."""

    def __init__(self, message: str, status: Status) -> None:
        """`status` is what the command ends with."""
        super().__init__(message)
        self.status = status


def releases(package: str, first: str, last: str) -> list[str]:
    """Final releases from first to last, both included, as pip knows them. Raises VersionsError."""
    try:
        low, high = Version(first), Version(last)
    except InvalidVersion as error:
        raise VersionsError(f"{error}: write for instance 3.8.0.") from None
    if importlib.util.find_spec("pip") is None:
        raise VersionsError(f"Only pip lists releases, and {sys.executable} has none: run {sys.executable} -m ensurepip.")
    done = subprocess.run([sys.executable, "-m", "pip", "index", "versions", package], capture_output=True, text=True)
    line = next((text for text in done.stdout.splitlines() if text.startswith("Available versions:")), "")
    if done.returncode or not line:
        raise VersionsError(f"pip knows no releases of {package!r}: check the name and the connection.")
    found = sorted(Version(text) for text in line.partition(":")[2].replace(" ", "").split(","))
    between = [str(version) for version in found if low <= version <= high and not version.is_prerelease]
    if len(between) < 2:
        raise VersionsError(f"{package} has fewer than two releases from {first} to {last}: name an older and a newer one.")
    return between


def first_changed(names: list[str], like_first: Callable[[str], bool]) -> tuple[str, str] | None:
    """The last name that is like the first and the first that is not, by halving; None where the last is like the first, too."""
    if like_first(names[-1]):
        return None
    low, high = 0, len(names) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if like_first(names[middle]) else (low, middle)
    return names[low], names[high]


def case_of(text: str) -> tuple[str, str, str, Spec]:
    """Backend, mode, device and network of a case id such as `keras-train_on_batch-cpu-reference`. Raises SpecError, DeviceError."""
    for backend in sorted(BACKENDS, key=len, reverse=True):
        for mode in (*BACKENDS[backend].modes, *BACKENDS[backend].recurrent_modes):
            device, _, network = text.removeprefix(f"{backend}-{mode}-").partition("-")
            if text.startswith(f"{backend}-{mode}-") and device.startswith(("cpu", "cuda")):
                refuse_unknown(device)
                return backend, mode, device, admission.network(network)
    raise SpecError(f"--case {text} is no case: write backend-mode-cpu-network, such as keras-train_on_batch-cpu-reference.")


def of_model(model: OwnModel, backend: str) -> tuple[str, str]:
    """The backend, as asked or as the model's imports tell, and the mode that a model is timed in. Raises OwnError."""
    if model.aligned:
        raise OwnError(f"{model.id} is a network of both frameworks: bisect torchvision:… or keras:… by itself.")
    told = [name for name in USUAL if BACKENDS[name].framework in model.frameworks]
    if not backend and len(told) != 1:
        raise OwnError(f"{model.id} does not tell its framework: name it by --backend, such as --backend=torch.")
    chosen = backend or told[0]
    return chosen, BACKENDS[chosen].modes[0]


def by_time(
    package: str,
    names: list[str],
    backend: str,
    mode: str,
    spec: Spec | OwnModel,
    metric: str,
    budget: float,
    device: str = "cpu",
    beside: Beside = NOTHING_BESIDE,
) -> Callable[[str], Status]:
    """What a duet of the first release with another one says of it: SAME, WORSE or FASTER. Raises GpuError."""
    watch = Watch(device) if device != "cpu" else None

    def compared(name: str) -> Status:
        a, b = (sides.parse(f"{package}=={version} {backend} --{mode}", device, beside) for version in (names[0], name))
        duet = Duet(sides.cases(a, b, (spec,), device=device), margins_of([], None, 0))
        plan.run(duet, load(), budget=budget, quiet=True, watch=watch)
        judged = [each for each in duet.judged() if each.metric in (metric, "all")]
        for each in judged:
            print(f"{package} {names[0]} → {name}: {each.metric} {each.description}", flush=True)
        verdicts = {each.verdict for each in judged}
        if undecided := verdicts & {OPEN, NOTHING, ENVIRONMENT} or (not verdicts and {NOTHING}):
            status = most_serious({STATUS[verdict] for verdict in undecided})
            raise CannotTellError(f"{package} {name}: {', '.join(sorted(undecided))}; raise --budget, or name other releases.", status)
        return most_serious({STATUS[verdict] for verdict in verdicts})

    return compared


def by_finding(
    package: str,
    names: list[str],
    backend: str,
    spec: Spec | OwnModel,
    check: str,
    device: str = "cpu",
    beside: Beside = NOTHING_BESIDE,
) -> Callable[[str], Status]:
    """What a check says of a release beside the first one: SAME, WORSE where it alone fails, or FASTER where the first alone fails.

    Raises SpecError for a check that does not speak of this network.
    """
    verdict_of = _of_model(spec, backend, check, device) if isinstance(spec, OwnModel) else _of_network(spec, backend, check, device)

    def failed(name: str) -> bool:
        side = sides.parse(f"{package}=={name} {backend}", device, beside)
        variant = sides.Variant(side, side.interpreter(), backend, BACKENDS[backend].modes[0], device=device)
        worker = variant.worker()
        try:
            verdict = verdict_of(worker)
        except WorkerDied as error:
            raise CannotTellError(f"{package} {name} could not be judged: {error}", Status.ENVIRONMENT) from None
        except WorkerError as error:
            if not isinstance(spec, OwnModel):
                raise CannotTellError(f"{package} {name} could not be judged: {error}", Status.ENVIRONMENT) from None
            print(f"{package} {name}: nothing can be judged: {error}", flush=True)
            return True
        finally:
            worker.close()
        if verdict.status not in (PASSED, FAILED):
            raise CannotTellError(f"{package} {name}: {check} is {verdict.status}: {verdict.reason}", Status.NOTHING)
        worst = verdict.worst
        print(f"{package} {name}: {check} {verdict.status}{f', {number(worst.value)} at {worst.where}' if worst else ''}", flush=True)
        return verdict.status == FAILED

    of_first = failed(names[0])

    def compared(name: str) -> Status:
        of_this = failed(name)
        return Status.SAME if of_this == of_first else Status.WORSE if of_this else Status.FASTER

    return compared


def _of_network(spec: Spec, backend: str, check: str, device: str) -> Callable[[Worker], Verdict]:
    if lacking := missing(CHECKS[check], spec, backend):
        raise SpecError(f"--finding {check} needs {lacking}, which {spec.id} on {backend} does not have: name another network in --case.")
    request = Request(spec, backend, load(), CHECKS[check].needs, device=kind(device))
    return lambda worker: judge(CHECKS[check], collect(request, worker.submit))


def _of_model(model: OwnModel, backend: str, check: str, device: str) -> Callable[[Worker], Verdict]:
    job = OwnJob(model, kind(device), compiled=check == "execution")

    def verdict(worker: Worker) -> Verdict:
        seen = worker.call("examine", OwnObservation, own=job)
        return judge(OWN_CHECKS[check], OwnEvidence(model.id, backend, seen, repeats=device == "cpu"))

    return verdict


def _announced(compared: Callable[[str], Status], most: int) -> Callable[[str], Status]:
    """The same comparison, which says after each how many are done, of at most how many, and how long the rest will take."""
    begun, done = time.monotonic(), 0

    def announced(name: str) -> Status:
        nonlocal done
        status, done = compared(name), done + 1
        say(f"{done} of at most {most} comparisons, {clock((time.monotonic() - begun) / done * (most - done))} left")
        return status

    return announced


@ends_with(Status.ENVIRONMENT, GpuError)
@ends_with(Status.BAD_INPUT, VersionsError, SpecError, DeviceError, OwnError)
def main(arguments: list[str] | None = None) -> Status:
    """Halve until neighbours differ."""
    parser = argparse.ArgumentParser(prog="python -m bench bisect", description=__doc__)
    parser.add_argument("package")
    parser.add_argument("first")
    parser.add_argument("last")
    parser.add_argument("--case", default="keras-train_on_batch-cpu-reference", help="what is timed or judged; -cuda- in it is a GPU")
    parser.add_argument("--model", metavar="ADDRESS", help="a model of your own in place of a network, as pytest takes it")
    parser.add_argument("--backend", choices=BACKENDS, default="", help="the backend of --model, where its imports do not tell")
    parser.add_argument("--device", default="cpu", help="the device of --model (default: cpu)")
    parser.add_argument("--with", type=Path, dest="beside", metavar="FILE", help="a requirements.txt of yours, put beside every release")
    parser.add_argument("--metric", default="step", help="which metric of the duet (default: step)")
    of_networks, of_models = ", ".join(FINDABLE), ", ".join(OF_MODELS)
    told = f"judge numbers instead of time: {of_networks}; with --model {of_models}"
    parser.add_argument("--finding", choices=sorted({*FINDABLE, *OF_MODELS}), metavar="CHECK", help=told)
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds of rounds per duet")
    given = parser.parse_args(arguments)
    try:
        spec: Spec | OwnModel
        if given.model:
            (spec,) = own_models([given.model], Path.cwd())
            backend, mode = of_model(spec, given.backend)
            device = given.device
            refuse_unknown(device)
        else:
            backend, mode, device, spec = case_of(given.case)
        if given.finding and given.finding not in (OF_MODELS if given.model else FINDABLE):
            raise SpecError(f"--finding {given.finding} is no check of {'models' if given.model else 'networks'} that one run can tell.")
        beside = NOTHING_BESIDE if given.beside is None else read_beside(given.beside)
        if not 0 < given.budget < math.inf:
            raise SpecError(f"--budget={given.budget:g} must be a positive number of seconds.")
        names = releases(given.package, given.first, given.last)
        print(f"{len(names)} releases: {', '.join(names)}", flush=True)
        if given.finding:
            compared = by_finding(given.package, names, backend, spec, given.finding, device, beside)
        else:
            compared = by_time(given.package, names, backend, mode, spec, given.metric, given.budget, device, beside)
        compared = _announced(compared, 1 + math.ceil(math.log2(max(len(names) - 1, 1))))
        of_last = compared(names[-1])
        found = first_changed(names, lambda name: (of_last if name == names[-1] else compared(name)) == Status.SAME)
    except CannotTellError as error:
        print(error)
        return error.status
    except KeyboardInterrupt:
        return Status.INTERRUPTED
    what, of = given.finding or given.metric, given.model or given.case
    if found is None:
        print(f"{what} of {of} is the same in {given.package} {given.first} and {given.last}.")
        return Status.SAME
    print(f"{what} of {of} changed from {given.package} {found[0]} to {found[1]}.")
    return of_last


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
