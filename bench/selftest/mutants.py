"""Mutants of the judges: small changes to what decides between red and green, each of which the self-tests must notice.

`tox -e mutation` draws `--sample` mutants of every module from `--seed`, runs the self-tests that belong to the module on each, and prints
how many were killed; `-o FILE` writes the table as CSV, with every survivor. The changes are Cosmic Ray's. A mutant is imported in the
place of its module by a copy of this process (`os.fork`), so that no file is changed. Changes of annotations alone change nothing and are
not drawn; others that change nothing stand in `equivalent_mutants.csv`, each with the reason. What was done is kept in
`.gradgauge/mutants.jsonl`.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import importlib.abc
import importlib.machinery
import itertools
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType, ModuleType

import msgspec
import pandas as pd

from bench import files
from bench.arguments import at_least
from bench.exit_status import Status
from bench.progress import clock, say
from bench.selftest.forks import ended
from bench.selftest.hostile import QUIET
from bench.store import Store

ROOT = Path(__file__).resolve().parents[2]
PATH = Path(__file__).with_suffix(".csv")
EQUIVALENT = PATH.with_name("equivalent_mutants.csv")
RECORD = Path(".gradgauge/mutants.jsonl")
TESTS = "bench/selftest/test_{}.py"
LONGEST, FEWEST = 5.0, 30.0
"""A mutant is killed that takes so many times as long as the tests do without, and no less than `FEWEST` seconds."""
IMPORTED = ("numpy", "pandas", "pytest", "scipy.stats", "scipy.special", "sklearn.datasets", "msgspec", "jaxtyping", "matplotlib", "jinja2")
"""What is imported once for all mutants: nothing of the suite, which each imports anew."""
LAWS = ("judge", "exact", "judges_that_cannot_fail", "any_network")
MODULES: dict[str, tuple[str, ...]] = {
    "bench.judging.check": ("judge",),
    "bench.judging.finding": ("judge", "interval", "baseline"),
    "bench.judging.place": ("judge", "compare"),
    "bench.judging.verdict": ("judge", "baseline"),
    "bench.checks": ("judge", "exact"),
    "bench.checks.activation": ("constants", "judges_that_cannot_fail", "judge"),
    "bench.checks.clipping": LAWS,
    "bench.checks.convolution": ("convolution",),
    "bench.checks.derivative": ("exact",),
    "bench.checks.evaluation": LAWS,
    "bench.checks.finite": LAWS,
    "bench.checks.gain": LAWS,
    "bench.checks.initializer": ("constants", "judges_that_cannot_fail", "judge"),
    "bench.checks.gradient_bound": LAWS,
    "bench.checks.invariants": LAWS,
    "bench.checks.loss_scale": ("precision",),
    "bench.checks.normalization": LAWS,
    "bench.checks.parity": LAWS,
    "bench.checks.precision": ("precision",),
    "bench.checks.recurrence": ("recurrence",),
    "bench.checks.relations": LAWS,
    "bench.checks.reproducible": ("reproducible",),
    "bench.checks.signals": LAWS,
    "bench.checks.symmetries": ("exact",),
    "bench.checks.training": ("judge", "interval", "baseline"),
    "bench.checks.underflow": ("precision",),
    "bench.checks.update": LAWS,
    "bench.baselines.interval": ("interval", "baseline", "judge"),
    "bench.baselines.known_failures": ("baseline",),
    "bench.baselines.metrics": ("pairs", "judge"),
    "bench.baselines.own": ("own_training",),
    "bench.baselines.pairs": ("pairs",),
    "bench.baselines.recording": ("baseline", "pairs"),
    "bench.baselines.samples": ("baseline", "interval"),
    "bench.baselines.validation": ("baseline",),
    "bench.compare.change": ("compare", "compare_runs"),
    "bench.compare.findings": ("compare",),
    "bench.compare.render": ("compare",),
    "bench.compare.runs": ("compare",),
    "bench.compare.samples": ("compare",),
    "bench.compare.times": ("compare",),
    "bench.timing.duet.verdict": ("duet", "duet_power"),
}
"""Every module that judges, with the self-tests that belong to it."""


class Mutant(msgspec.Struct, frozen=True):
    """A module's whole source with one change, and what the change is: operator, line, and the line as it reads then."""

    operator: str
    line: int
    reads: str
    source: str


class Outcome(msgspec.Struct, frozen=True):
    """Whether a mutant was killed, and in how many seconds."""

    killed: bool
    seconds: float


def mutants(module: str) -> list[Mutant]:
    """Every mutant of a module that is another program."""
    from cosmic_ray.plugins import get_operator, operator_names

    source = path_of(module).read_text(encoding="utf-8")
    found, seen = [], {_program(source)}
    for name in sorted(operator_names()):
        if "Variable" in name:  # these ask for names
            continue
        for changed in _changed(source, get_operator(name)()):
            try:
                program = _program(changed)
            except SyntaxError:
                continue
            if program not in seen:
                seen.add(program)
                line = next(
                    n for n, (one, other) in enumerate(zip(source.splitlines(), changed.splitlines(), strict=False)) if one != other
                )
                found.append(Mutant(name.partition("/")[2], line + 1, changed.splitlines()[line].strip(), changed))
    return found


def _changed(source: str, operator: object) -> Iterator[str]:
    """A source with the operator applied once, place by place, up to one whose syntax the operator does not know."""
    from cosmic_ray.mutating import mutate_code

    with contextlib.suppress(AttributeError):
        for occurrence in itertools.count():
            if (changed := mutate_code(source, operator, occurrence)) is None:
                return
            yield changed


def _program(source: str) -> str:
    """What a source does: its syntax tree without annotations."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
    return ast.dump(tree)


def path_of(module: str) -> Path:
    """A module's file."""
    place = ROOT / Path(*module.split("."))
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


class _Replaced(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Imports another source in the place of one module's."""

    def __init__(self, module: str, source: str) -> None:
        self.module, self.source = module, source

    def find_spec(self, name: str, path: object, target: ModuleType | None = None) -> importlib.machinery.ModuleSpec | None:
        """Only the module's."""
        if name != self.module:
            return None
        file, package = path_of(name), path_of(name).name == "__init__.py"
        found = importlib.machinery.ModuleSpec(name, self, origin=str(file), is_package=package)
        found.has_location = True
        if package:
            found.submodule_search_locations = [str(file.parent)]
        return found

    def get_source(self, fullname: str) -> str:
        """The other source."""
        return self.source

    def get_code(self, fullname: str) -> CodeType:
        """Compiled as if it stood in the module's file."""
        return compile(self.source, str(path_of(fullname)), "exec")


def run(module: str, source: str, longest: float) -> Outcome:
    """The module's self-tests with another source of it, in a copy of this process; the first failure ends them."""
    words = ["-x", "-q", *QUIET, "-m", "not slow", *(TESTS.format(name) for name in MODULES[module])]
    begun = time.monotonic()
    if not (pid := os.fork()):
        _be(module, source, words)
    status = ended(pid, longest)
    return Outcome(status != 0, round(time.monotonic() - begun, 1))


def _be(module: str, source: str, words: list[str]) -> None:
    """Test and end; never returns."""
    status = 1
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.chdir(ROOT)
        for name in [each for each in sys.modules if each.partition(".")[0] in ("bench", "fixtures", "models", "conftest")]:
            if name != __name__:
                del sys.modules[name]
        sys.meta_path.insert(0, _Replaced(module, source))
        status = int(importlib.import_module("pytest").main(words))
    finally:
        os._exit(status)


def judge(modules: Sequence[str], sample: int, seed: int, record: Path = RECORD) -> Iterator[tuple[str, int, list[tuple[Mutant, Outcome]]]]:
    """Module, how many mutants it has, and what became of those that were drawn. Raises RuntimeError where the tests fail without."""
    for name in IMPORTED:
        importlib.import_module(name)
    for number, module in enumerate(modules):
        every = mutants(module)
        drawn = random.Random(f"{seed} {module}").sample(every, min(sample, len(every)))
        store = Store(record, Outcome, _code(module))
        todo = [mutant for mutant in drawn if _cell(mutant) not in store]
        longest = 0.0
        if todo:
            healthy = run(module, path_of(module).read_text(encoding="utf-8"), 3600)
            if healthy.killed:
                raise RuntimeError(f"The self-tests of {module} fail without a mutant: mend that first.")
            longest = max(FEWEST, LONGEST * healthy.seconds)
        for done, mutant in enumerate(todo, 1):
            outcome = store.keep(_cell(mutant), run(module, mutant.source, longest))
            word = "killed" if outcome.killed else f"SURVIVED {mutant.line}: {mutant.reads}"
            left = longest / LONGEST * (len(todo) - done)
            say(f"{number + 1} of {len(modules)}  {module} {done} of {len(todo)}  {word}; at most {clock(left)} left in this module")
        yield module, len(every), [(mutant, store[_cell(mutant)]) for mutant in drawn]


def _cell(mutant: Mutant) -> str:
    return f"{mutant.operator} {mutant.line} {mutant.reads}"


def _code(module: str) -> str:
    """A module and its tests, whose outcome a mutant's is."""
    texts = [path_of(module), *(ROOT / TESTS.format(name) for name in MODULES[module])]
    return f"{hash_of(''.join(path.read_text(encoding='utf-8') for path in texts))}"


def hash_of(text: str) -> str:
    """Ten digits that name a text."""
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()[:10]


def table(judged: Sequence[tuple[str, int, list[tuple[Mutant, Outcome]]]]) -> pd.DataFrame:
    """One line a module: how many mutants it has, were drawn, were killed and change nothing, and the lines of those that survived."""
    rows, known = [], equivalent()
    for module, every, drawn in judged:
        left = [mutant for mutant, outcome in drawn if not outcome.killed]
        survivors = [f"{mutant.line} `{mutant.reads}`" for mutant in left if (module, mutant.reads) not in known]
        rows.append((module, every, len(drawn), len(drawn) - len(left), len(left) - len(survivors), " · ".join(survivors)))
    return pd.DataFrame(rows, columns=["module", "mutants", "drawn", "killed", "equivalent", "survived"])


def equivalent() -> set[tuple[str, str]]:
    """Module and line of the mutants that change nothing that a test could see."""
    frame = pd.read_csv(EQUIVALENT, keep_default_na=False)
    return set(zip(frame["module"], frame["reads"], strict=True))


def summary(frame: pd.DataFrame) -> str:
    """The table in a sentence."""
    drawn, killed, same = (frame[name].sum() for name in ("drawn", "killed", "equivalent"))
    return (
        f"{killed} of {drawn} mutants killed ({killed / drawn:.0%}) and {same} that change nothing, drawn from the "
        f"{frame['mutants'].sum():,} of {len(frame)} modules.\n"
    )


def read() -> pd.DataFrame:
    """The committed table."""
    return pd.read_csv(PATH, keep_default_na=False)


def main() -> Status:
    """Run what is missing and print the table; FAILING where a mutant survived."""
    parser = argparse.ArgumentParser(prog="python -m bench mutants", description=__doc__)
    parser.add_argument("--sample", type=at_least(1), default=20, help="mutants drawn of each module (default: 20)")
    parser.add_argument("--seed", type=at_least(0), default=0, help="what they are drawn from (default: 0)")
    parser.add_argument("--only", default="", metavar="TEXT,…", help="only modules whose name has one of these in it")
    parser.add_argument("-o", "--output", type=Path, help="also write the table as CSV to this file")
    options = parser.parse_args()
    judged, chosen = [], [module for module in MODULES if any(text in module for text in options.only.split(","))]
    try:
        for each in judge(chosen, options.sample, options.seed):
            judged.append(each)
    except ModuleNotFoundError as error:
        say(f"{error.name} is not installed here: tox -e mutation has it.")
        return Status.ENVIRONMENT
    except RuntimeError as error:
        say(str(error))
        return Status.FAILING
    except KeyboardInterrupt:
        say("stopped; what is done is kept")
    if not judged:
        return Status.NOTHING
    frame = table(judged)
    print(frame.to_string(index=False))
    if options.output:
        files.write(options.output, frame.to_csv(index=False))
    print(summary(frame), end="")
    return Status.FAILING if frame["survived"].any() else Status.SAME


if __name__ == "__main__":
    sys.exit(main())
