"""Results are kept by cell and by the code that made them; the code is what is really imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import imported
from bench.store import Store
from bench.versions.runs import CODE, DATA

ROOT = Path(__file__).resolve().parents[2]


def made(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_result_is_found_again_by_its_cell_and_not_by_other_code(tmp_path: Path) -> None:
    store = Store(tmp_path / "deep" / "results.jsonl", dict[str, float], "abc")
    assert store.get("a b") is None and "a b" not in store
    store.keep("a b", {"x": 1.0})
    store.keep("a b", {"x": 2.0})
    again = Store(tmp_path / "deep" / "results.jsonl", dict[str, float], "abc")
    assert again["a b"] == {"x": 2.0} and dict(again.items()) == {"a b": {"x": 2.0}}
    assert np.isnan(Store(store.path, dict[str, float], "abc").keep("nan", {"x": float("nan")})["x"])
    assert np.isnan(Store(store.path, dict[str, float], "abc")["nan"]["x"])
    assert "a b" not in Store(tmp_path / "deep" / "results.jsonl", dict[str, float], "other")
    assert "a b" not in Store(tmp_path / "deep" / "results.jsonl", list[str], "abc")


def test_a_line_that_was_cut_off_is_no_result_and_spoils_none(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    store = Store(path, int, "abc")
    store.keep("one", 1)
    path.write_bytes(path.read_bytes() + b'{"cell": "two", "co')
    store = Store(path, int, "abc")
    store.keep("three", 3)
    assert dict(Store(path, int, "abc").items()) == {"one": 1, "three": 3}


def test_imports_are_followed_wherever_they_stand(tmp_path: Path) -> None:
    made(tmp_path, {
        "entry.py": "from p.a import b\nplugins = ('p.plugin',)",
        "p/__init__.py": "", "p/a/__init__.py": "", "p/a/b.py": "def f():\n    import p.late as late", "p/late.py": "name = f'p.tasks.{1}'",
        "p/plugin.py": "import entry, numpy", "p/tasks/__init__.py": "", "p/tasks/one.py": "", "p/unused.py": "",
        "p/tasks/deep/__init__.py": "name = f'{__name__}.{1}'", "p/tasks/deep/two.py": "",
    })  # fmt: skip
    found = imported.modules(["entry"], tmp_path)
    assert set(found) == {"entry", "p", "p.a", "p.a.b", "p.late", "p.plugin", "p.tasks", "p.tasks.one", "p.tasks.deep", "p.tasks.deep.two"}


def test_only_what_changes_a_result_changes_the_digest(tmp_path: Path) -> None:
    made(tmp_path, {"entry.py": '"""Says."""\nx = 1', "data/a.json": "1"})
    digest = lambda words=1: imported.digest(["entry"], words, ["data/*.json"], tmp_path)  # noqa: E731
    before = digest()
    made(tmp_path, {"entry.py": '"""Says more."""\n# why\nx = 1', "other.py": "x = 2", "README.md": "words"})
    assert digest() == before
    assert digest(2) != before
    made(tmp_path, {"data/a.json": "2"})
    assert digest() != before
    made(tmp_path, {"entry.py": "x = 2", "data/a.json": "1"})
    assert digest() != before


@pytest.mark.parametrize("file", [
    "conftest.py", "bench/symmetry/weights.py", "bench/report/summary.py", "bench/test_parity.py", "fixtures/plugin/terminal.py",
    "models/worker/server.py", "models/parts/norms.py", "models/backends/keras/scenarios/trained.py",
    "models/backends/keras/libraries/jax.py",
])  # fmt: skip
def test_the_code_of_a_run_is_known_without_a_list(file: str) -> None:
    assert ROOT / file in imported.modules(CODE).values()


def test_what_a_run_really_imports_is_in_its_digest() -> None:
    runs = "conftest, fixtures.plugin.hooks, bench.test_parity, bench.test_step_time, models.worker.server, models.backends.keras.network"
    code = f"import sys, {runs}; print(*sys.modules)"
    words = [sys.executable, "-c", code]
    loaded = set(subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split())
    own = {name for name in loaded if name.partition(".")[0] in ("bench", "fixtures", "models", "conftest")}
    assert len(own) > 100
    assert own <= imported.modules(CODE).keys()


def test_a_run_does_not_depend_on_words_or_on_self_tests() -> None:
    names = imported.modules(CODE)
    assert not [name for name in names if name.startswith(("bench.selftest", "bench.releases", "bench.timing.duet"))]
    assert not [pattern for pattern in DATA if "README" in pattern or pattern.endswith(".md")]
