"""One environment for each set of requirements, built once and found again, by uv where it is installed and by pip otherwise.

Keras alone is pure Python, so a pinned Keras is put into
a folder of its own before everything else on the path (an overlay, seconds); whatever else changes gets a virtual environment.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock
from packaging.requirements import Requirement

from bench.versions.requirements import GPU, GPU_KERAS, GPU_TORCH, OVERLAID, ROOT, VersionsError, Wanted, group, replaced
from fixtures.machine.fingerprint import version
from models.backends.registry import BACKENDS, USUAL, python_of, variable_of

FOLDER = ROOT / ".gradgauge" / "environments"
IMPORTABLE = f"import importlib.util as u; print(*[b for b in {USUAL} if u.find_spec(b)])"
WORKERS_NEED = "msgspec", "numpy", "scipy", "psutil"
"""What an environment holds besides a framework, so that a worker can run in it."""
LACKED = f"print(*[m for m in {WORKERS_NEED} if not u.find_spec(m)])"
IMPORTED_AS = {"tensorflow-cpu": "tensorflow"}
"""Packages whose module has another name."""
MISSING = """
import importlib.metadata as m, sys
from packaging.requirements import Requirement
for text in [text for name in sys.argv[1:] for text in m.requires(name) or []]:
    wanted = Requirement(text)
    if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
        try:
            m.version(wanted.name)
        except m.PackageNotFoundError:
            print(wanted.name)
"""
"""Prints what distributions need and the interpreter lacks; older Keras needs packages that a newer one has dropped."""


@dataclass(frozen=True)
class Interpreter:
    """A Python and the folders that come first on its path."""

    python: str
    path: str = ""
    keras: str = ""
    workers: str = ""

    def variables(self) -> dict[str, str]:
        """The environment variables to run it with.

        `keras` is the Python in which Keras's worker runs, where it is another, and `workers` that of all of them.
        """
        inherited = os.environ.get("PYTHONPATH", "")
        path = {"PYTHONPATH": os.pathsep.join(filter(None, (self.path, inherited)))} if self.path else {}
        own = dict.fromkeys(BACKENDS, self.workers) if self.workers else {"keras": self.keras} if self.keras else {}
        return os.environ | path | {variable_of(backend): python for backend, python in own.items()}


def build(wanted: Wanted, folder: Path = FOLDER) -> Interpreter:
    """The set's interpreter, built if it is not there yet. Raises VersionsError with the installer's own reason."""
    if wanted.environment:
        return Interpreter(sys.executable, workers=python_at(wanted.environment))
    keras = ""
    if wanted.group == GPU:
        keras = _virtual_environment(replace(wanted, group=GPU_KERAS), folder) if wanted.apart else ""
        wanted = replace(wanted, group=GPU_TORCH)
    python = _virtual_environment(wanted, folder) if wanted.apart else sys.executable
    if wanted.overlay is None:
        return Interpreter(python, keras=keras)
    of_keras = keras or (python_of(OVERLAID) if python == sys.executable else "") or python
    target = folder.resolve() / name(str(wanted.overlay), python)
    with _once(target) as done:
        if not done:
            put = ["--no-deps", "--target", str(target)]
            _install(python, wanted, [*put, str(wanted.overlay)])
            interpreter = Interpreter(of_keras, str(target))
            needing, asked = [OVERLAID], {OVERLAID}
            # What is still lacking after it was put there is lacking for good; the import says so.
            while needing := sorted(set(_output(interpreter, ["-c", MISSING, *needing]).split()) - asked):
                _install(python, wanted, [*put, *needing])
                asked |= set(needing)
            _check_import(interpreter, wanted, OVERLAID)
    return Interpreter(python, str(target), keras)


def installed() -> dict[str, str]:
    """What this interpreter has of the project's own group: what an overlay runs on."""
    return {requirement.name: version(requirement.name) for requirement in group()}


def name(text: str, rest: str) -> str:
    """A folder's name that a person recognizes and no other set shares."""
    recognized = re.sub(r"[^\w.]+", "-", text).strip("-")[:60]
    return f"{recognized}-{hashlib.sha256(f'{text} {rest}'.encode()).hexdigest()[:8]}"


def _virtual_environment(wanted: Wanted, folder: Path) -> str:
    own = [r for r in group(wanted.group) if not (wanted.overlay and r.name == OVERLAID)]
    words = replaced(replaced(own, wanted.beside.requirements), wanted.others)
    installed = [*map(str, words), *wanted.beside.words]
    target = folder.resolve() / name(" ".join(map(str, wanted.others)), " ".join(sorted(installed)) + sys.version)
    python = str(target / "bin" / "python")
    with _once(target) as done:
        if not done:
            venv.create(target, symlinks=True)
            _install(python, wanted, installed)
            if wanted.overlay is None and wanted.group != GPU_TORCH:
                _check_import(Interpreter(python), wanted, _module(words, wanted))
    return python


@contextmanager
def _once(target: Path) -> Iterator[bool]:
    """Whether a folder is filled already; one process at a time fills it, and what was left half done is begun anew."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        done = (target / "complete").exists()
        if not done:
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
        yield done
        (target / "complete").touch()


def _install(python: str, wanted: Wanted, words: list[str]) -> None:
    """With the first installer that can: an index that only pip's settings name is not known to uv."""
    for command in installers(python):
        done = subprocess.run([*command, *words], capture_output=True, text=True, cwd=wanted.beside.folder or None)
        if not done.returncode:
            return
    raise VersionsError(f"{wanted.text} cannot be installed here: {_reason(done.stderr).rstrip('.')}.")


def installers(python: str) -> list[list[str]]:
    """How packages are put into a Python's environment: by uv, or else by pip. Raises VersionsError where both are absent."""
    found = []
    if uv := shutil.which("uv") or shutil.which("uv", path=os.path.dirname(sys.executable)):
        found.append([uv, "pip", "install", "--quiet", "--python", python])
    if importlib.util.find_spec("pip"):
        found.append([sys.executable, "-m", "pip", "--python", python, "install", "--quiet"])
    if not found:
        raise VersionsError(f"{sys.executable} has no pip and there is no uv: run {sys.executable} -m ensurepip.")
    return found


def _reason(printed: str) -> str:
    """Why an installer failed, from all that it printed: pip's last ERROR that names a cause, or uv's whole sentence."""
    if "╰─▶" in printed:
        return " ".join(printed.partition("╰─▶")[2].split())
    reasons = [line.removeprefix("ERROR: ") for line in printed.splitlines() if line.startswith("ERROR: ")]
    reasons = reasons or printed.strip().splitlines() or ["the installer failed"]
    return next((r for r in reversed(reasons) if "No matching" in r or "conflict" in r.lower()), reasons[-1])


def _module(words: list[Requirement], wanted: Wanted) -> str:
    """What must be importable in an environment of these requirements: Keras, or where it is not asked for what was wanted first."""
    first = next(r.name for r in wanted.others)
    return OVERLAID if any(word.name == OVERLAID for word in words) else IMPORTED_AS.get(first, first)


def python_at(word: str) -> str:
    """The Python of an environment that is there: its bin/python, or its folder. Raises VersionsError."""
    path = Path(word).expanduser()
    path = path / "bin" / "python" if path.is_dir() else path
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise VersionsError(f"{word} is no Python that can be run: name an environment's bin/python, or requirements (keras==3.12.0).")
    return str(path.absolute())


def importable(python: str, text: str) -> tuple[str, ...]:
    """The usual backends whose framework a Python has. Raises VersionsError where it has none, or where no worker could run."""
    try:
        done = subprocess.run([python, "-c", f"{IMPORTABLE}; {LACKED}"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise VersionsError(f"{text!r} does not answer as a Python does ({error}): name an environment's bin/python.") from None
    elsewhere = [backend for backend in USUAL if python == sys.executable and python_of(backend)]
    installed, _, lacking = done.stdout.strip(" ").partition("\n")
    found = tuple(dict.fromkeys([*installed.split(), *elsewhere]))
    if done.returncode or not found:
        raise VersionsError(f"{text!r} has neither torch nor keras installed: install one there, with {', '.join(WORKERS_NEED)}.")
    if lacking.strip():
        raise VersionsError(f"{text!r} lacks what a worker needs: run {python} -m pip install {lacking.strip()}.")
    return found


def _check_import(interpreter: Interpreter, wanted: Wanted, module: str) -> None:
    """Raises VersionsError where a module installs and cannot be imported, so that no run is begun."""
    done = subprocess.run(
        [interpreter.python, "-c", f"import {module}"], capture_output=True, text=True, cwd=ROOT,
        env=interpreter.variables()
        | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
        | ({"KERAS_BACKEND": wanted.library} if wanted.library else {}),
    )  # fmt: skip
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise VersionsError(
            f"{wanted.text} installs and cannot be imported: {last.rstrip('.')}; name what goes with it, such as an older TensorFlow."
        )


def _output(interpreter: Interpreter, arguments: list[str]) -> str:
    return subprocess.run([interpreter.python, *arguments], capture_output=True, text=True, check=True, env=interpreter.variables()).stdout
