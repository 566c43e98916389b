"""`python -m bench`: every command is listed, found by its name, and has its own help."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.__main__ import COMMANDS
from bench.exit_status import Status

ROOT = Path(__file__).resolve().parents[2]
PYTESTS = {name for name, command in COMMANDS.items() if command.module == "pytest"}


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "bench", *words], cwd=ROOT, capture_output=True, text=True)


def test_the_list_names_every_command_and_imports_nothing_heavy() -> None:
    begun = time.monotonic()
    done = bench()
    took = time.monotonic() - begun
    assert done.returncode == Status.SAME
    assert re.findall(r"^  (\S+)  +\S", done.stdout, flags=re.MULTILINE) == list(COMMANDS)
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert took < 2, "the first word takes more than two seconds"
    assert bench("--help").stdout == done.stdout


def test_every_module_with_a_command_line_is_listed() -> None:
    """Of bench and models, but for a process that competes for the processor and the worker's server, which only this suite starts.

    A module that only runs another one by its name is an older name of that command.
    """
    paths = [path.relative_to(ROOT) for folder in ("bench", "models") for path in (ROOT / folder).rglob("*.py")]
    texts = {path: (ROOT / path).read_text("utf-8") for path in paths}
    made = [path for path, text in texts.items() if re.search(r'^if __name__ == "__main__":', text, re.MULTILINE)]
    own = [path for path in made if not re.search(r'^if __name__ == "__main__":\n    runpy', texts[path], re.MULTILINE)]
    modules = {".".join(path.with_suffix("").parts).removesuffix(".__main__") for path in own}
    started = {"bench", "bench.selftest.studies.duet.load", "models.worker.server"}
    assert modules - started == {command.module for command in COMMANDS.values()} - {"pytest"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_own_help(name: str) -> None:
    done = bench(name, "--help")
    assert done.returncode == 0, done.stderr
    shown = {"aa": "python -m bench duet", **dict.fromkeys(PYTESTS, "python -m pytest")}.get(name, f"python -m bench {name}")
    assert done.stdout.startswith(f"usage: {shown} [")


@pytest.mark.parametrize(
    ("word", "near"), [("comparre", "did you mean compare?"), ("killgrid", "did you mean kill-grid?"), ("?", "All are")]
)
def test_a_wrong_name_is_one_sentence_with_the_nearest_name(word: str, near: str) -> None:
    done = bench(word)
    assert (done.returncode, done.stdout) == (Status.BAD_INPUT, "")
    assert near.lower() in done.stderr.lower() and done.stderr.count("\n") == 1


def test_arguments_and_exit_statuses_are_those_of_the_command() -> None:
    assert "norm=layer" in bench("matrix", "--cases=core").stdout
    assert bench("matrix", "--cases=huge").returncode == Status.BAD_INPUT
    assert "tests collected" in bench("run", "--cases=smoke", "--collect-only", "-q").stdout


def test_without_the_environment_the_missing_package_is_named() -> None:
    done = subprocess.run([sys.executable, "-S", "-m", "bench", "compare"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == Status.ENVIRONMENT
    assert "is not installed here: activate an environment first" in done.stderr and "Traceback" not in done.stderr
