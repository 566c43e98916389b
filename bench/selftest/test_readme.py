"""Every command of the README does what it says: what is cheap is executed whole, what trains for minutes is collected."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.checks import CHECKS
from bench.report.failure import describe_network
from bench.selftest import false_alarms, kill_grid, made_up, power
from models.matrix import networks
from models.spec import Spec

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHORTENED = {
    "python -m bench.releases": ["--help"],
    "python -m bench.selftest.kill_grid": ["--summary"],
    "python -m bench.selftest.power": ["--summary"],
    "python -m bench.selftest.false_alarms": ["--help"],
    "python -m bench.selftest.studies.overhead": ["--help"],
    "python -m bench.timing.history": ["--help"],
    "python -m bench.timing.bisect keras 3.8.0 3.15.1 --case keras-train_on_batch-cpu-reference": ["--help"],
    "python -m bench.selftest.studies.duet.study --minutes 10": ["--help"],
    "python -m bench.selftest.studies.duet.power": ["--help"],
    "python -m bench.selftest.studies.theory_accuracy": ["--help"],
    "python -m bench.selftest.studies.literature explosion": ["--help"],
    "python -m bench.theory depth=24,init=default --plot profile.png": ["--help"],
}
"""What takes minutes, or writes a file, and has a self-test of its own is only asked for its help, or for what it wrote before."""


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    lines = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [command.strip() for line in lines if line for command in line.split("&&")]


def environments() -> set[str]:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    lines = "\n".join(tox["testenv"][key] for key in ("deps", "dependency_groups", "commands"))
    factors = {name for line in re.findall(r"^\s*([\w!-]+):", lines, flags=re.MULTILINE) for name in re.findall(r"\w+", line)}
    return {name.partition(":")[2] for name in tox.sections() if ":" in name} | factors


def test_there_are_commands() -> None:
    assert len(commands()) >= 10


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("tox")])
def test_tox_environments_exist(command: str) -> None:
    name = shlex.split(command)[2]
    assert set(name.split("-")) <= environments(), f"{name} is not in tox.ini"


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("python -m")])
def test_python_commands_run(command: str, tmp_path: Path) -> None:
    words = [sys.executable, *shlex.split(command)[1:], *SHORTENED.get(command, [])]
    words = [str(made_up.path(tmp_path)) if word in ("OLD.json", "NEW.json") else word for word in words]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("pytest")])
def test_pytest_commands_collect_what_they_name(command: str, tmp_path: Path) -> None:
    words = [sys.executable, "-m", *shlex.split(command), "--collect-only", "-q", f"--record-dir={tmp_path}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PYTEST_ADDOPTS": "-p no:cacheprovider"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+(/\d+)? tests collected", done.stdout)


def test_only_the_two_setup_commands_are_left_to_ci() -> None:
    others = [c for c in commands() if not c.startswith(("tox", "python -m", "pytest"))]
    assert others == ["python3 -m pip install tox"]


def test_the_numbers_of_networks_are_right() -> None:
    core = networks("core")
    assert f"takes {len(core)} networks through" in README
    assert f"trains {sum(spec.trained for spec in core)} of them" in README


def test_the_table_of_checks_names_every_check() -> None:
    table = README[README.index("| red check |") :].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", table)) == set(CHECKS)


def test_the_reference_network_is_described_as_it_is() -> None:
    assert describe_network(Spec()).startswith("depth 16 · width 64 · relu · no norm · no skip · he_normal · no clip · momentum")


@pytest.mark.parametrize("table", [kill_grid, power, false_alarms], ids=lambda module: module.PATH.name)
def test_committed_tables_are_shown_as_they_are(table: Any) -> None:
    assert table.summary(table.read()) in README, f"README shows an older {table.PATH.name}"
