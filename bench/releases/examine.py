"""One Keras release examined: a worker of that release runs every case, and what was seen is kept."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from packaging.version import InvalidVersion, Version

from bench import imported
from bench.checks import CHECKS
from bench.evidence.collect import Request, collect
from bench.judging.verdict import FAILED, NOT_JUDGED, PASSED, Verdict, judge
from bench.metamorphic import EQUALITIES, decide
from bench.metamorphic.scenarios import Scenarios
from bench.progress import say
from bench.report import texts
from bench.store import Store
from bench.versions.environments import VersionsError, Wanted, build, installed
from fixtures.data.datasets import load
from models.backends.registry import BACKENDS
from models.spec import Spec
from models.worker.devices import kind
from models.worker.process import Worker, WorkerError

FOLDER = Path(".gradgauge/releases")
NEEDS_OLD = Version("3.1")
OLD = "tensorflow-cpu==2.16.2 numpy<2"
"""What releases before 3.1 run beside on TensorFlow, in an environment of their own."""
MARKS = {PASSED: "·", FAILED: "BREAKS", NOT_JUDGED: "–"}
GONE = "lacks"
"""What a release did not have yet: the scenario itself failed."""


@dataclass(frozen=True)
class Seen:
    """What one release did with one case: a word for the table, and the numbers behind it."""

    word: str
    numbers: str = ""

    @property
    def broken(self) -> bool:
        """Whether the case was judged and does not hold."""
        return self.word not in (MARKS[PASSED], MARKS[NOT_JUDGED])


@dataclass
class Examined:
    """What one release did: the versions it ran with, and by case what was seen."""

    versions: dict[str, str] = field(default_factory=dict)
    cases: dict[str, Seen] = field(default_factory=dict)


def wanted(release: str, device: str = "cpu", backend: str = "keras") -> Wanted:
    """What a release is installed as on a backend. Raises VersionsError."""
    old = OLD if device == "cpu" else OLD.replace("tensorflow-cpu", "tensorflow[and-cuda]")
    try:
        beside = f" {old}" if Version(release) < NEEDS_OLD and BACKENDS[backend].library == "tensorflow" else ""
    except InvalidVersion:
        raise VersionsError("that is not a version number: write for instance 3.14.1.") from None
    return Wanted(f"keras=={release}{beside}", group="judge")


def examine(release: str, backend: str, cases: list[str], folder: Path = FOLDER, *, fresh: bool = False, device: str = "cpu") -> Examined:
    """Run `cases` on one release, in one process that is replaced when it dies; what was seen before is not run again.

    Raises VersionsError where the release cannot be had, WorkerError where it does not start, WriteError.
    """
    code = imported.digest((__name__, "models.worker.server"), (installed(), sys.version))
    versions, results = Store(folder / "results.jsonl", dict[str, str], code), Store(folder / "results.jsonl", Seen, code)
    own = " ".join([release, backend, *[device] * (device != "cpu")])
    missing = [case for case in cases if fresh or f"{own} {case}" not in results]
    if missing or own not in versions:
        interpreter = build(wanted(release, device, backend), folder)
        start = lambda: Worker(backend, device=device, python=interpreter.python, path=interpreter.path)  # noqa: E731
        workers = [start()]
        scenarios = Scenarios(backend, lambda scenario, given: workers[-1].call("scenario", scenario=scenario, **{"with": given}))
        try:
            ran_with = versions.keep(own, workers[0].call("versions", dict[str, str]))
            if ran_with["keras"] != release:
                raise VersionsError(f"{ran_with['keras']} was imported from {interpreter.path}: delete that folder.")
            for case in missing:
                if not workers[-1].alive:
                    workers.append(start())
                word = results.keep(f"{own} {case}", _seen(case, scenarios, workers[-1], kind(device))).word
                say(f"Keras {release}  {case:<36} {word}")
        finally:
            for worker in workers:
                worker.close()
    return Examined(versions[own], {case: results[f"{own} {case}"] for case in cases})


def _seen(case: str, scenarios: Scenarios, worker: Worker, device: str = "cpu") -> Seen:
    try:
        verdict = decide(case, scenarios) if case in EQUALITIES else _parity(case, worker, scenarios.backend, device)
    except WorkerError as error:
        return Seen(GONE, str(error).splitlines()[0])
    worst = verdict.worst
    text = f"{worst.where}: {texts.number(worst.value)} for {texts.allowed(worst)} {worst.note}".strip() if worst else verdict.reason
    return Seen(MARKS[verdict.status], text)


def _parity(case: str, worker: Worker, backend: str, device: str) -> Verdict:
    """Gradient parity of one network: the loss that train_on_batch reports has an equality of its own."""
    check = CHECKS["gradient_parity"]
    return judge(check, collect(Request(Spec.parse(case), backend, load(), check.needs, device=device), worker.submit))
