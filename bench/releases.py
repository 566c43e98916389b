"""Which Keras release breaks what: equalities and gradient parity on real releases, each in a folder of its own.

`python -m bench.releases` installs every release without its dependencies, runs the same cases on each and prints a table of which
are broken where. Releases before 3.1 need an older TensorFlow, which gets an environment of its own. Installed releases and results
are kept, so that a run that was interrupted goes on at the case where it was.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from packaging.version import InvalidVersion, Version

from bench import files
from bench.baselines.samples import FOLDER as BASELINES
from bench.checks import CHECKS
from bench.evidence.evidence import Evidence
from bench.evidence.reference import solve
from bench.files import WriteError
from bench.judging.verdict import FAILED, NOT_JUDGED, PASSED, Verdict, judge
from bench.metamorphic import EQUALITIES, decide
from bench.metamorphic.scenarios import Scenarios
from bench.versions.environments import VersionsError, installer
from bench.versions.sources import digest
from fixtures.data.datasets import load
from models.observation import Job, Observation
from models.reference.draws import prepare_forced_steps
from models.spec import Spec, SpecError
from models.worker.process import Worker, WorkerError

FOLDER = Path(".gradgauge/releases")
TABLE = BASELINES / "keras_releases.md"
SOURCES = (
    "models/**/*.py", "fixtures/data/datasets.py",
    "bench/metamorphic/*.py", "bench/checks/parity.py", "bench/judging/*.py", "bench/evidence/*.py",
)  # fmt: skip
"""What a kept result depends on."""
PAIRS = ("3.0.1", "3.0.2", "3.0.5", "3.4.1", "3.5.0", "3.6.0", "3.7.0", "3.9.2", "3.10.0", "3.13.2", "3.14.1", "3.15.1")
NEEDS_OLD = Version("3.1")
OLD = (
    "tensorflow-cpu==2.16.2", "numpy<2", "h5py", "optree", "dm-tree", "namex", "rich", "absl-py", "ml_dtypes", "packaging",
    "msgspec", "scipy", "psutil",
)  # fmt: skip
"""What releases before 3.1 ran beside, and what our worker needs."""
EQUAL = (
    "micro_batches_schedule", "micro_batches_average", "loss_scaling", "averaged_weights", "reported_train_on_batch",
    "reported_test_on_batch", "reported_fit", "reported_evaluate", "iterations", "steps_per_execution", "penalty_once",
    "early_stopping_again", "refused", "half_precision_norm", "function_in_function", "traces", "memory",
)  # fmt: skip
"""Equalities that some release is known to break; `--only` takes any other."""
NETWORKS = ("norm=layer,depth=4", "norm=group,depth=4", "norm=batch,depth=4", "norm=batch,depth=4,input=shifted")
MARKS = {PASSED: "·", FAILED: "BREAKS", NOT_JUDGED: "–"}
GONE = "lacks"
"""What a release did not have yet: the road itself failed."""


@dataclass(frozen=True)
class Seen:
    """What one release did with one case: a word for the table, and the story behind it."""

    word: str
    story: str = ""


def install(release: str, folder: Path = FOLDER) -> Path:
    """The folder of a Keras release, filled by pip unless it is there. Raises ReleaseError with pip's last line."""
    try:
        Version(release)
    except InvalidVersion:
        raise ReleaseError("that is not a version number: write for instance 3.14.1.") from None
    target = folder.resolve() / f"keras-{release}"
    if not (target / "keras" / "__init__.py").exists():
        _pip(sys.executable, "--no-deps", "--target", str(target), f"keras=={release}")
    return target


def interpreter(release: str, folder: Path = FOLDER) -> str:
    """The Python that a release runs under: this one, or one beside an older TensorFlow for releases before 3.1."""
    if Version(release) >= NEEDS_OLD:
        return sys.executable
    home = folder.resolve() / "tensorflow-2.16.2"
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        _pip(str(python), *OLD)
        (home / "ready").touch()
    return str(python)


class ReleaseError(RuntimeError):
    """A release that cannot be installed; the message is one sentence."""


def _pip(python: str, *arguments: str) -> None:
    try:
        command = installer(python)
    except VersionsError as error:
        raise ReleaseError(str(error)) from None
    done = subprocess.run([*command, *arguments], capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip() or "no word").splitlines()[-1]
        raise ReleaseError(f"pip could not install {arguments[-1]} ({last}): check the release's number and the connection.")


@dataclass
class Examined:
    """What one release did: the versions it ran with, and by case what was seen."""

    versions: dict[str, str] = field(default_factory=dict)
    cases: dict[str, Seen] = field(default_factory=dict)


def probe_device(release: str, backend: str, cases: list[str], folder: Path = FOLDER, *, fresh: bool = False) -> Examined:
    """Run `cases` on one release, in one process that is replaced when it dies; what was seen before is not run again."""
    path, python = install(release, folder), interpreter(release, folder)
    kept = folder / f"{release}-{backend}-{digest((release, backend, sys.version), SOURCES)}.json"
    seen = Examined() if fresh else _kept(kept)
    missing = [case for case in cases if case not in seen.cases]
    workers = [Worker(backend, python=python, path=str(path))] if missing else []
    scenarios = Scenarios(backend, lambda scenario, given: workers[-1].call("scenario", scenario=scenario, **{"with": given}))
    try:
        if workers:
            seen.versions = workers[-1].call("versions")
            if seen.versions["keras"] != release:
                raise ReleaseError(f"asked for Keras {release}, but {seen.versions['keras']} was imported from {path}: delete that folder.")
        for case in missing:
            if not workers[-1].alive:
                workers.append(Worker(backend, python=python, path=str(path)))
            seen.cases[case] = _seen(case, scenarios, workers[-1])
            files.write(kept, msgspec.json.encode(seen).decode())
            print(f"Keras {release}  {case:<36} {seen.cases[case].word}", file=sys.stderr, flush=True)
    finally:
        for worker in workers:
            worker.close()
    return Examined(seen.versions, {case: seen.cases[case] for case in cases})


def _kept(path: Path) -> Examined:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Examined)
    except (OSError, msgspec.MsgspecError):
        return Examined()


def _seen(case: str, scenarios: Scenarios, worker: Worker) -> Seen:
    try:
        verdict = decide(case, scenarios) if case in EQUALITIES else _parity(case, worker, scenarios.backend)
    except WorkerError as error:
        return Seen(GONE, str(error).splitlines()[0])
    worst = verdict.worst
    text = f"{worst.where}: {worst.value:.3g} for {worst.low:.3g} … {worst.high:.3g} {worst.note}".strip() if worst else verdict.reason
    return Seen(MARKS[verdict.status], text)


def _parity(case: str, worker: Worker, backend: str) -> Verdict:
    """Gradient parity of one network: the loss that train_on_batch reports has an equality of its own."""
    spec, data = Spec.parse(case), load()
    answered = solve(spec, prepare_forced_steps(spec, data.x_train, data.y_train, 0))
    observed = worker.call("observe", Observation, job=Job(backend, spec, forced_steps=answered.forced_steps))
    run = Evidence(spec.id, spec, backend, observed, answered)
    return judge(CHECKS["gradient_parity"], run)


def table(results: dict[str, Examined]) -> list[str]:
    """A row a case, a column a release, in Markdown."""
    releases = list(results)
    lines = ["| case | " + " | ".join(releases) + " |", "|---|" + "---|" * len(releases)]
    for case in next(iter(results.values())).cases:
        lines.append(f"| `{case}` | " + " | ".join(results[release].cases[case].word for release in releases) + " |")
    return lines


def changes(results: dict[str, Examined]) -> list[str]:
    """What each release broke and mended that its left neighbour in the table did not."""
    lines = []
    for (old, before), (new, after) in itertools.pairwise(results.items()):
        healthy = {name: [seen.word == MARKS[PASSED] for seen in (before.cases[name], after.cases[name])] for name in after.cases}
        told = {
            verb: ", ".join(f"`{name}`" for name, state in healthy.items() if state == as_told) or "nothing"
            for verb, as_told in (("breaks", [True, False]), ("mends", [False, True]))
        }
        lines.append(f"- {old} → {new} breaks {told['breaks']}; mends {told['mends']}.")
    return lines


def stories(results: dict[str, Examined]) -> list[str]:
    """What is behind every word of the table that is not a pass."""
    return [
        f"{release:<8}{case:<26} {seen.word:<7}{seen.story}"
        for release, examined in results.items()
        for case, seen in examined.cases.items()
        if seen.word != MARKS[PASSED]
    ]


def page(results: dict[str, Examined]) -> str:
    """The table, what changed between neighbours and the numbers behind it, in Markdown."""
    sets: dict[str, list[str]] = {}
    for release, examined in results.items():
        beside = " and ".join(f"{name} {version}" for name, version in examined.versions.items() if name != "keras")
        sets.setdefault(beside, []).append(release)
    beside = "; ".join(f"{', '.join(releases)} on {versions}" for versions, releases in sets.items())
    return "\n".join([
        "# Which Keras release breaks what", "",
        f"Written by `python -m bench.releases --write`: Keras {beside}; CPU, float32. · holds, BREAKS does not, – could not be judged,",
        f"{GONE}: the release does not have it. Equalities have their laws in `bench/equalities/`; a network stands for gradient",
        "parity with the float64 reference.", "",
        *table(results), "", *changes(results), "", "```text", *stories(results), "```", "",
    ])  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Examine releases and print the table; 0 if every release could be examined."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.releases", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--releases", default=",".join(PAIRS), help="comma-separated Keras releases")
    parser.add_argument("--only", action="append", metavar="CASE", help="only this equality or network; may be repeated")
    parser.add_argument("--backend", default="keras", help="keras (TensorFlow), keras-torch or keras-jax")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"where releases are kept (default: {FOLDER})")
    parser.add_argument("--fresh", action="store_true", help="run again what was run before")
    parser.add_argument("--write", action="store_true", help=f"write the page to {TABLE.relative_to(BASELINES.parent)}, too")
    chosen = parser.parse_args(arguments)
    cases, results = chosen.only or [*EQUAL, *NETWORKS], dict[str, Examined]()
    try:
        for network in (case for case in cases if case not in EQUALITIES):
            Spec.parse(network)
    except SpecError as error:
        print(f"--only: {error} Or name an equality: {', '.join(EQUALITIES)}.", file=sys.stderr)
        return 2
    for release in chosen.releases.split(","):
        began = time.monotonic()
        try:
            results[release] = probe_device(release, chosen.backend, cases, chosen.folder, fresh=chosen.fresh)
        except (ReleaseError, WorkerError, WriteError, OSError) as error:
            print(f"Keras {release} could not be examined: {error}", file=sys.stderr)
            return 2
        broken = [case for case, seen in results[release].cases.items() if seen.word not in (MARKS[PASSED], MARKS[NOT_JUDGED])]
        print(f"Keras {release}: {', '.join(broken) or 'nothing breaks'} ({time.monotonic() - began:.0f} s)", file=sys.stderr, flush=True)
    print("\n".join([*table(results), "", *changes(results), "", *stories(results)]))
    if chosen.write:
        files.write(TABLE, page(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
