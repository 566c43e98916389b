"""A side of a duet: an environment, a framework in it, and the way it runs a step, read from what a person types.

`keras==3.12.0`, `"tensorflow-cpu==2.20.0 keras==3.12.0"`, `torch`, `torch --compile`, `/path/to/python torch`: words that name a
backend, a mode (`--compile`), a Python, and everything else as requirements that replace the project's own.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.timing.cases import TimedCase
from bench.versions.environments import Interpreter, build, importable, python_at
from bench.versions.requirements import GPU_KERAS, GPU_TORCH, NOTHING_BESIDE, Beside, VersionsError, Wanted
from models.backends.registry import BACKENDS
from models.own.address import OwnModel
from models.spec import Spec
from models.worker.process import Worker

FRAMEWORK_OF = {name: backend for backend, row in BACKENDS.items() for name in row.distributions}
"""The backend that a requirement of this name is about."""


@dataclass(frozen=True)
class Side:
    """One environment: how it was asked for, its requirements or Python, and the backends and modes it was asked to run."""

    text: str
    wanted: Wanted | None
    python: str
    backends: tuple[str, ...]
    mode: str

    def interpreter(self) -> Interpreter:
        """The Python to run, built from the requirements where there are any. Raises VersionsError."""
        return build(self.wanted) if self.wanted else Interpreter(self.python)


@dataclass(frozen=True)
class Variant:
    """One way to run a step on one side; `slowdown` is the factor by which a planted variant takes longer."""

    side: Side
    interpreter: Interpreter
    backend: str
    mode: str
    threads: int = 1
    device: str = "cpu"
    slowdown: float = 1.0

    def worker(self) -> Worker:
        """A fresh process of this variant's framework in its environment."""
        own, path = self.interpreter.python, self.interpreter.path
        python = "" if own == sys.executable else own
        return Worker(self.backend, device=self.device, threads=self.threads, python=python, path=path)

    def timed(self, spec: Spec) -> TimedCase:
        """The step that this variant takes on a network."""
        return TimedCase(self.backend, self.mode, spec, self.device)


@dataclass(frozen=True)
class DuetCase:
    """One step on both sides: the same network or user's own model, what differs being the environment, the framework or the mode."""

    spec: Spec | OwnModel
    a: Variant
    b: Variant

    @property
    def id(self) -> str:
        """`torch-eager-cpu-reference`, or `torch-eager:keras-jit-cpu-reference` where the sides differ."""
        one, other = f"{self.a.backend}-{self.a.mode}", f"{self.b.backend}-{self.b.mode}"
        return f"{one if one == other else f'{one}:{other}'}-{self.a.device}-{self.spec.id}"


def parse(text: str, device: str = "cpu", beside: Beside = NOTHING_BESIDE) -> Side:
    """A side from what was typed, with builds for `device` and a user's own requirements. Raises VersionsError in one sentence."""
    words = text.split()
    if not words:
        raise VersionsError("An empty side names nothing: write --a torch, --a keras==3.12.0 or --a /path/to/python.")
    modes = [word[2:] for word in words if word.startswith("--")]
    plain = [word for word in words if not word.startswith("--")]
    backends = tuple(word for word in plain if word in BACKENDS)
    pythons = [word for word in plain if os.sep in word]
    rest = " ".join(word for word in plain if word not in (*backends, *pythons))
    if len(backends) > 1 or len(modes) > 1 or len(pythons) > 1 or (pythons and rest):
        raise VersionsError(f"{text!r} says one thing twice: a side is one Python or a set of requirements, one framework and one mode.")
    python = python_at(pythons[0]) if pythons else sys.executable
    wanted = Wanted(rest, beside=beside) if rest else None
    if wanted and not backends:
        backends = tuple(dict.fromkeys(FRAMEWORK_OF[r.name.lower()] for r in wanted.requirements if r.name.lower() in FRAMEWORK_OF))[:1]
    if wanted and device != "cpu":
        wanted = replace(wanted, group=GPU_TORCH if backends == ("torch",) else GPU_KERAS)
    backends = backends or importable(python, text)
    able = tuple(backend for backend in backends if not modes or modes[0] in (*BACKENDS[backend].modes, *BACKENDS[backend].recurrent_modes))
    if not able:
        known = ", --".join((*BACKENDS[backends[0]].modes, *BACKENDS[backends[0]].recurrent_modes))
        raise VersionsError(f"--{modes[0]} in {text!r} is no mode of {backends[0]}: use one of --{known}.")
    return Side(text, wanted, python, able, modes[0] if modes else "")


def cases(a: Side, b: Side, networks: Sequence[Spec | OwnModel], *, device: str = "cpu", threads: int = 1) -> list[DuetCase]:
    """Every network in every framework that both sides have, or in the one that each side names; a model in its own framework's.

    Raises VersionsError.
    """
    pairs = [(one, one) for one in a.backends if one in b.backends] or [(a.backends[0], b.backends[0])]
    at, bt = a.interpreter(), b.interpreter()
    found = []
    for spec in networks:
        able = pairs
        if isinstance(spec, OwnModel):
            if spec.aligned:
                raise VersionsError(f"{spec.id} is a network of each framework: time torchvision:… or keras:… by itself.")
            able = [pair for pair in pairs if all(_holds(spec, backend) for backend in pair)]
            if not able:
                raise VersionsError(f"{spec.id} is of {' and '.join(spec.frameworks)}, which not both sides are: name it in --a and --b.")
        for side in (a, b) if isinstance(spec, OwnModel) or spec.arch.layered else ():
            if side.mode and not any(side.mode in BACKENDS[backend].modes for backend in side.backends):
                raise VersionsError(f"--{side.mode} in {side.text!r} writes recurrent layers, and {spec.id} has none: use --network rnn.")
        for one, other in able:
            variants = [
                Variant(side, where, backend, side.mode or BACKENDS[backend].modes[0], threads, device)
                for side, where, backend in ((a, at, one), (b, bt, other))
            ]
            found.append(DuetCase(spec, *variants))
    return found


def _holds(model: OwnModel, backend: str) -> bool:
    """Whether a backend is of a framework that the model's file imports; any is where that is not known."""
    return not model.frameworks or BACKENDS[backend].framework in model.frameworks
