"""The recipes for adding a part, applied to a copy of the suite word for word, and the copy run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.selftest.pages import PAGES, ROOT, read

RECIPE = re.compile(r"```python\n# (\S+): (a new file|a row of (\w+))\n(.*?)```", flags=re.DOTALL)
FUTURE = "from __future__ import annotations\n"


def recipes() -> list[tuple[str, str, str]]:
    """File, table (empty for a new file) and text of every recipe, on whatever page it stands."""
    return [(file, table, text) for page in PAGES for file, _, table, text in RECIPE.findall(read(page))]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The suite with every recipe applied."""
    root = tmp_path_factory.mktemp("recipes")
    for name in ("bench", "models", "fixtures", "baselines"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "selftest"))
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, root / name)
    for file, table, text in recipes():
        path = root / file
        if not table:
            assert not path.exists(), file
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            continue
        source = path.read_text(encoding="utf-8")
        head = re.search(rf"^{table}\b[^\n]*= \{{\n(    check\.name: check\n    for check in \(\n)?", source, flags=re.MULTILINE)
        assert head, f"{file} has no table {table}"
        imports = "".join(line for line in text.splitlines(keepends=True) if line.startswith("from "))
        source = source[: head.end()] + text.removeprefix(imports) + source[head.end() :]
        path.write_text(source.replace(FUTURE, FUTURE + imports, 1), encoding="utf-8")
    return root


def test_there_is_a_recipe_for_every_kind_of_part() -> None:
    assert {table for _, table, _ in recipes()} == {"", "ACTIVATIONS", "NORMS", "CHECKS", "BACKENDS"}


def test_the_suite_with_all_recipes_is_green_on_what_they_add(copy: Path) -> None:
    words = [sys.executable, "-m", "pytest", "-q", "--network=act=softsign", "--network=norm=one_group", "--backend=torch,keras,torch-twin"]
    files = ["bench/test_parity.py", "bench/test_theory.py", "bench/test_itself.py"]
    done = subprocess.run([*words, *files, f"--record-dir={copy}"], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((copy / "latest.json").read_text(encoding="utf-8"))
    judged = {(v["check"], v["backend"], v["subject"]) for v in record["verdicts"] if v["status"] == "passed"}
    for backend in ("torch", "keras", "torch-twin"):
        for network in ("act=softsign", "norm=one_group"):
            assert {("gradient_parity", backend, network), ("positive", backend, network)} <= judged
        assert ("activation", backend, "act=softsign") in judged


def test_the_main_job_judges_and_times_an_added_backend(copy: Path) -> None:
    words = [sys.executable, "-m", "pytest", "-q", "--cases=smoke", "--backend=torch-twin", "--seeds=1", f"--record-dir={copy}"]
    done = subprocess.run(words, cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((copy / "latest.json").read_text(encoding="utf-8"))
    assert {"gradient_parity", "update", "evaluation"} <= {v["check"] for v in record["verdicts"] if v["status"] == "passed"}
    assert [timing["backend"] for timing in record["timings"]] == ["torch-twin"]


def test_a_new_row_is_a_network_of_the_core_matrix(copy: Path) -> None:
    listed = subprocess.run([sys.executable, "-m", "models.matrix", "--cases=core"], cwd=copy, capture_output=True, text=True, check=True)
    assert {"act=softsign", "norm=one_group"} <= set(re.findall(r"^\S+", listed.stdout, flags=re.MULTILINE))
