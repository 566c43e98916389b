"""Every command of every README does what it says: what is cheap is executed whole, what trains for minutes is collected."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import COMMANDS
from bench.checks import CHECKS
from bench.exit_status import Status
from bench.report.failure import describe_network
from bench.selftest import disturbed, false_alarms, kill_grid, made_up, mutants, power, random_networks
from bench.selftest.pages import CONTRIBUTING, PAGES, ROOT, read
from bench.selftest.studies import own_models
from models.matrix import networks
from models.parts.activations import ACTIVATIONS
from models.parts.losses import LOSSES
from models.parts.optimizers import OPTIMIZERS
from models.spec import Spec

LONG = {
    "aa", "accuracy", "bisect", "device-faults", "disturbed", "duet", "duet-power", "duet-study", "experiment", "false-alarms",
    "full-matrix", "gated-theory", "history", "hostile", "images", "kill-grid", "laws", "literature", "long-sequences", "mutants",
    "overhead", "own-models", "power", "profile", "random-networks", "releases", "run",
    "selftest", "versions",
}  # fmt: skip
"""Commands that take minutes, read what is not there or write a file, and have a self-test of their own: only their options are checked."""
TABLES = [kill_grid, power, false_alarms, random_networks, disturbed, mutants, own_models]
CELL = re.compile(r"`([^`]+)`")


def commands() -> list[str]:
    """Every command of a `sh` block, or of a workflow's `run`, once."""
    blocks = [block for page in PAGES for block in re.findall(r"```sh\n(.*?)```", read(page), flags=re.DOTALL)]
    lines = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
    lines += [run for page in PAGES for run in re.findall(r"^\s+- run: (.*)$", read(page), flags=re.MULTILINE)]
    return list(dict.fromkeys(command.strip() for line in lines if line for command in line.split("&&")))


def sentences(page: Path) -> str:
    """A page without its blocks."""
    return re.sub(r"```.*?```", "", read(page), flags=re.DOTALL)


def mentioned(start: str) -> list[str]:
    """Every command with this start that a sentence or a table names, its spaces made one each."""
    found = [" ".join(text.split()) for page in PAGES for text in CELL.findall(sentences(page))]
    return list(dict.fromkeys(text for text in found if text.startswith(start)))


def environments() -> set[str]:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    lines = "\n".join(tox["testenv"][key] for key in ("deps", "dependency_groups", "commands"))
    factors = {name for line in re.findall(r"^\s*([\w!-]+):", lines, flags=re.MULTILINE) for name in re.findall(r"\w+", line)}
    sections = {name.partition(":")[2] for name in tox.sections() if ":" in name}
    return {
        f"{name}{end}" for name, brace, _ in (each.partition("{") for each in sections) for end in ("", *["-gpu"] * bool(brace))
    } | factors


def test_there_are_commands() -> None:
    assert len(commands()) >= 40
    assert len(mentioned("python -m bench ")) >= 20
    assert len(mentioned("tox ")) >= 10
    assert len(mentioned("pytest ")) >= 5


def test_readme_is_read_to_its_end() -> None:
    assert len(read(ROOT / "README.md").splitlines()) <= 190


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("tox")])
def test_tox_environments_exist(command: str) -> None:
    name = shlex.split(command)[2]
    assert set(name.split("-")) <= environments(), f"{name} is not in tox.ini"


@cache
def helped(command: str) -> str:
    words = [sys.executable, "-m", *(("pytest",) if command == "pytest" else ("bench", command)), "--help"]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def check_options(words: list[str]) -> None:
    """The front door has the command, or it is pytest itself, and it has the options."""
    name, options = words[0], {word.partition("=")[0] for word in words if word.startswith("-")}
    assert name in COMMANDS or name == "pytest", words
    assert options <= set(re.findall(r"(?<![\w-])--?\w[\w-]*", helped(name))), f"{name} lacks an option of {words}"


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("python -m")])
def test_python_commands_run(command: str, tmp_path: Path) -> None:
    module, *words = shlex.split(command)[2:]
    assert module == "bench", "the front door runs every command"
    check_options(words)
    if words[0] in LONG or {"--plot", "--require-gpu"} & set(words):
        return
    words = [str(made_up.path(tmp_path)) if word in ("OLD.json", "NEW.json", "BASE", ".gradgauge") else word for word in words]
    done = subprocess.run([sys.executable, "-m", "bench", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == Status.SAME, done.stderr
    assert done.stdout


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("pytest")])
def test_pytest_commands_collect_what_they_name(command: str, tmp_path: Path) -> None:
    words = [sys.executable, "-m", *shlex.split(command), "--collect-only", "-q", f"--record-dir={tmp_path}"]
    words = [word.replace(".gradgauge/report", str(tmp_path / "report")) for word in words]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PYTEST_ADDOPTS": "-p no:cacheprovider"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+(/\d+)? tests collected", done.stdout)


def test_only_the_installation_of_tox_is_left_to_ci() -> None:
    others = [c for c in commands() if not c.startswith(("tox", "python -m", "pytest"))]
    assert others == ["python3 -m pip install tox"]


@pytest.mark.parametrize("command", mentioned("python -m bench "))
def test_a_sentence_names_commands_and_options_that_there_are(command: str) -> None:
    words = shlex.split(command)[3:]
    if words[0] != "COMMAND":
        check_options(words)


@pytest.mark.parametrize("command", mentioned("tox "))
def test_a_sentence_names_environments_that_there_are_and_options_of_what_they_run(command: str) -> None:
    before, _, after = command.partition(" -- ")
    _, run, name, *words = shlex.split(before)
    assert run == "-e" and set(name.split("-")) <= environments(), f"{name} is not in tox.ini"
    assert set(words) <= {"--notest"}
    first = name.partition("-")[0]
    check_options([first if first in COMMANDS else "pytest", *shlex.split(after)])


@pytest.mark.parametrize("command", mentioned("pytest "))
def test_a_sentence_names_options_and_files_of_pytest_that_there_are(command: str) -> None:
    words = shlex.split(command)
    check_options(words)
    named = [word for word in words[1:] if word.startswith("bench/")]
    assert all((ROOT / path).exists() for path in named), f"{command} names a file that is not there"


def test_the_table_of_commands_is_that_of_the_front_door() -> None:
    text = read(ROOT / "README.md")
    table = text[text.index("| command | what it does |") :].partition("\n\n")[0]
    first = [line.split("|")[1] for line in table.splitlines()[2:]]
    assert [name for cell in first for name in CELL.findall(cell)] == list(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = sentences(page)
    for target in re.findall(r"\]\((?!http)([^)]+)\)", text):
        path, _, heading = target.partition("#")
        if path.startswith("../../actions"):
            continue  # of the forge, not of the tree
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.relative_to(ROOT)}: {target}"
        titles = (
            [
                re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-")
                for title in re.findall(r"^#+ (.*)$", read(file), re.MULTILINE)
            ]
            if heading
            else []
        )
        assert not heading or heading in titles, f"{page.relative_to(ROOT)}: {target}"
    for path in CELL.findall(text):
        if re.fullmatch(r"[\w./-]+\.(py|json|md|csv|txt|yml|toml|ini)|[\w./]+/", path) and path.split(".")[0] not in (
            "",
            "report",
            "junit",
        ):
            below = page.parent.rglob(path) if page.parent != ROOT else ()
            assert (ROOT / path).exists() or list(below), f"{page.relative_to(ROOT)} names {path}"


def test_every_folder_of_code_is_described() -> None:
    """In the README.md of its own or in that of the folder above it."""
    for folder in sorted({path.parent for top in ("models", "fixtures", "bench") for path in (ROOT / top).rglob("*.py")} - {ROOT}):
        if "__pycache__" in folder.parts or (folder / "README.md").exists():
            continue
        above = folder.parent
        while not (above / "README.md").exists():
            above = above.parent
        assert f"{folder.relative_to(above).parts[0]}/" in read(above / "README.md"), f"{folder.relative_to(ROOT)} is described nowhere"


def test_layers_are_shown_as_lint_holds_them() -> None:
    contracts = tomllib.loads(read(ROOT / "pyproject.toml"))["tool"]["importlinter"]["contracts"]
    held = [re.split(r" \| ", layer) for layer in next(each for each in contracts if each["type"] == "layers")["layers"]]
    block = next(
        text for text in re.findall(r"```text\n(.*?)```", read(CONTRIBUTING), flags=re.DOTALL) if text.startswith("bench.selftest")
    )
    shown = [line.split(", ") for line in block.splitlines()]
    tests = [name for name in held[1] if ".test_" in name]
    held[1] = [name for name in held[1] if name not in tests] + ["bench/test_*.py"]
    assert shown == held


def test_the_numbers_of_networks_are_right() -> None:
    core = networks("core")
    text = " ".join(read(ROOT / "README.md").split())
    assert f"takes {len(core)} networks through" in text
    assert f"trains {sum(spec.trained for spec in core)} of them" in text


@pytest.mark.parametrize(("field", "rows"), [("act", ACTIVATIONS), ("loss", LOSSES), ("optimizer", OPTIMIZERS)])
def test_the_table_of_parts_names_every_row_of_the_core_matrix_and_of_the_full_one(field: str, rows: dict[str, Any]) -> None:
    line = next(line for line in read(ROOT / "models" / "README.md").splitlines() if line.startswith(f"| `{field}` |"))
    core, full = (CELL.findall(cell) for cell in line.split("|")[2:4])
    assert sorted(core) == sorted(name for name, row in rows.items() if row.core)
    assert sorted(full) == sorted(name for name, row in rows.items() if not row.core)


def test_what_power_is_said_to_be_is_in_its_table() -> None:
    table, text = power.read(), " ".join(read(ROOT / "README.md").split())
    met = {
        (kind, backend): (part[kind].dropna() <= power.GOALS[kind]) for kind in power.GOALS for backend, part in table.groupby("backend")
    }
    (here, there), (torch, keras) = ([met[kind, backend] for backend in ("torch", "keras")] for kind in ("gradient", "accuracy trained"))
    assert here.sum() == there.sum() and f"by 1e-4 in {here.sum()} of {len(here)}" in text
    assert f"0.01 in accuracy in {torch.sum()} (PyTorch) and {keras.sum()} (Keras) of {len(torch)} trained networks" in text


def test_the_table_of_checks_names_every_check_and_its_file() -> None:
    text = read(ROOT / "bench" / "checks" / "README.md")
    table = text[text.index("| red check |") :].partition("\n\n")[0]
    rows = [line.split("|")[1:3] for line in table.splitlines()[2:]]
    named = {check: CELL.findall(file)[0] for checks, file in rows for check in CELL.findall(checks)}
    assert named == {name: f"{check.function.__module__.rpartition('.')[2]}.py" for name, check in CHECKS.items()}


def test_the_table_of_exit_statuses_names_every_status() -> None:
    text = read(ROOT / "bench" / "README.md")
    table = text[text.index("| status | meaning |") :].partition("\n\n")[0]
    assert [int(number) for number in re.findall(r"^\| (\d+) \|", table, flags=re.MULTILINE)] == sorted(Status)


def test_the_reference_network_is_described_as_it_is() -> None:
    assert describe_network(Spec()).startswith("depth 16 · width 64 · relu · no norm · no skip · he_normal · no clip · momentum")


@pytest.mark.parametrize(
    "table", [kill_grid, power, false_alarms, random_networks, disturbed, mutants, own_models], ids=lambda module: module.PATH.name
)
def test_committed_tables_are_shown_as_they_are(table: Any) -> None:
    assert table.summary(table.read()) in read(ROOT / "bench" / "selftest" / "README.md"), f"README shows an older {table.PATH.name}"
