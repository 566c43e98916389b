"""One environment for each set of requirements, built once and found again, by uv where it is installed and by pip otherwise.

A set replaces what `pyproject.toml` asks for under the same names. Keras alone is pure Python, so a pinned Keras is put into
a folder of its own before everything else on the path (an overlay, seconds); whatever else changes gets a virtual environment.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from fixtures.machine.fingerprint import version
from models.backends.registry import PYTHON_OF, python_of

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".gradgauge" / "environments"
GROUP, OVERLAID = "cpu", "keras"
IMPORTED_AS = {"tensorflow-cpu": "tensorflow"}
"""Packages whose module has another name."""
BUILT_FOR = {"torch": "torchvision"}
"""Packages of which each release needs one release of another: pip finds it."""
GPU, GPU_TORCH, GPU_KERAS = "gpu", "gpu-torch", "gpu-keras"
"""On a GPU each framework has an environment of its own, since their wheels hold the same CUDA libraries in two versions."""
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


class VersionsError(ValueError):
    """A set of requirements that cannot be read, installed or imported; the message is one sentence."""


@dataclass(frozen=True)
class Wanted:
    """A set of requirements that replace those of a dependency group: `keras==3.10.0`, or several words.

    `library` is what Keras is imported on, where that is not what its own settings say.
    """

    text: str
    group: str = GROUP
    library: str = ""

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """The parsed set. Raises VersionsError."""
        try:
            found = tuple(Requirement(word) for word in self.text.split())
        except InvalidRequirement as error:
            first = str(error).partition("\n")[0]
            raise VersionsError(f"{self.text!r} is no set of requirements ({first}): write keras==3.12.0, or several in quotes.") from None
        if not found:
            raise VersionsError("An empty set of requirements names no version: write keras==3.12.0, or several in quotes.")
        return found

    @property
    def overlay(self) -> Requirement | None:
        """The Keras that goes into a folder of its own: one that is pinned."""
        pinned = [r for r in self.requirements if r.name == OVERLAID and re.fullmatch(r"==[\w.]+", str(r.specifier))]
        return pinned[0] if pinned else None

    @property
    def others(self) -> tuple[Requirement, ...]:
        """What needs a virtual environment."""
        return tuple(r for r in self.requirements if r is not self.overlay and r != self.overlay)


@dataclass(frozen=True)
class Interpreter:
    """A Python and the folders that come first on its path."""

    python: str
    path: str = ""
    keras: str = ""

    def variables(self) -> dict[str, str]:
        """The environment variables to run it with; `keras` is the Python in which Keras's worker runs, where it is another."""
        inherited = os.environ.get("PYTHONPATH", "")
        path = {"PYTHONPATH": os.pathsep.join(filter(None, (self.path, inherited)))} if self.path else {}
        return os.environ | path | ({f"{PYTHON_OF}KERAS": self.keras} if self.keras else {})


def build(wanted: Wanted, folder: Path = FOLDER) -> Interpreter:
    """The set's interpreter, built if it is not there yet. Raises VersionsError with the installer's own reason."""
    keras = ""
    if wanted.group == GPU:
        keras = _virtual_environment(replace(wanted, group=GPU_KERAS), folder) if wanted.others else ""
        wanted = replace(wanted, group=GPU_TORCH)
    python = _virtual_environment(wanted, folder) if wanted.others else sys.executable
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


def group(name: str = GROUP, path: Path = ROOT / "pyproject.toml") -> list[Requirement]:
    """A dependency group of the project, those that it includes too."""
    groups: dict[str, list[str | dict[str, str]]] = tomllib.loads(path.read_text(encoding="utf-8"))["dependency-groups"]
    found: list[Requirement] = []
    for entry in groups[name]:
        found += group(entry["include-group"], path) if isinstance(entry, dict) else [Requirement(entry)]
    return found


def installed() -> dict[str, str]:
    """What this interpreter has of the project's own group: what an overlay runs on."""
    return {requirement.name: version(requirement.name) for requirement in group()}


def replaced(own: list[Requirement], by: tuple[Requirement, ...]) -> list[str]:
    """The project's requirements with those of the same name replaced; what is built for one release of another is any that fits."""
    names = {canonicalize_name(requirement.name) for requirement in by}
    freed = {companion for name, companion in BUILT_FOR.items() if name in names}
    kept = [r.name if r.name in freed else str(r) for r in own if canonicalize_name(r.name) not in names]
    return kept + [str(r) for r in by]


def name(text: str, rest: str) -> str:
    """A folder's name that a person recognizes and no other set shares."""
    recognized = re.sub(r"[^\w.]+", "-", text).strip("-")[:60]
    return f"{recognized}-{hashlib.sha256(f'{text} {rest}'.encode()).hexdigest()[:8]}"


def _virtual_environment(wanted: Wanted, folder: Path) -> str:
    words = replaced([r for r in group(wanted.group) if not (wanted.overlay and r.name == OVERLAID)], wanted.others)
    target = folder.resolve() / name(" ".join(map(str, wanted.others)), " ".join(sorted(words)) + sys.version)
    python = str(target / "bin" / "python")
    with _once(target) as done:
        if not done:
            venv.create(target, symlinks=True)
            _install(python, wanted, words)
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
        done = subprocess.run([*command, *words], capture_output=True, text=True)
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


def _module(words: list[str], wanted: Wanted) -> str:
    """What must be importable in an environment of these requirements: Keras, or where it is not asked for what was wanted first."""
    first = next(r.name for r in wanted.others)
    return OVERLAID if any(Requirement(word).name == OVERLAID for word in words) else IMPORTED_AS.get(first, first)


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
