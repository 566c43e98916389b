"""Sets of requirements become environments, and their runs a table; nothing here installs a framework."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from bench.exit_status import Status
from bench.selftest import made_up
from bench.versions import __main__ as command
from bench.versions import environments, requirements, table
from bench.versions import runs as runs_of_versions
from bench.versions.environments import Interpreter
from bench.versions.requirements import VersionsError, Wanted


def test_only_a_pinned_keras_is_laid_over() -> None:
    assert str(Wanted("keras==3.10.0").overlay) == "keras==3.10.0"
    assert Wanted("keras==3.10.0").others == ()
    assert Wanted("keras>=3.10").overlay is None
    both = Wanted("keras==3.0.2 tensorflow-cpu==2.16.2 numpy<2")
    assert (str(both.overlay), [str(r) for r in both.others]) == ("keras==3.0.2", ["tensorflow-cpu==2.16.2", "numpy<2"])


def texts(own: list[Requirement], by: tuple[Requirement, ...]) -> list[str]:
    return [str(requirement) for requirement in requirements.replaced(own, by)]


def test_a_set_replaces_what_the_project_asks_for() -> None:
    own = requirements.group()
    assert {"torch", "keras", "tensorflow-cpu", "numpy", "pytest"} <= {r.name for r in own}
    words = texts(own, (Requirement("numpy<2"), Requirement("Tensorflow_CPU==2.16.2")))
    assert [w for w in words if "numpy" in w.lower() or "tensorflow" in w.lower()] == ["numpy<2", "Tensorflow_CPU==2.16.2"]
    assert "torch==2.13.0" in words
    words = texts(own, (Requirement("torch==2.12.0"),))
    assert [w for w in words if "torch" in w] == ["torchvision", "torch==2.12.0"]
    words = texts(own, (Requirement("torch==2.12.0"), Requirement("torchvision==0.27.0")))
    assert [w for w in words if "torch" in w] == ["torch==2.12.0", "torchvision==0.27.0"]


@pytest.mark.parametrize("word", ["--report=pages", "--record-dir=records"])
def test_a_folder_for_all_sets_is_refused_before_anything_is_built(word: str, monkeypatch, capsys) -> None:
    monkeypatch.setattr(runs_of_versions, "build", lambda _: pytest.fail("nothing is built"))
    assert command.main(["keras==3.13.2", "keras==3.15.1", "--cases=smoke", word]) == Status.BAD_INPUT
    assert "--report and --record-dir are one folder, and every set has its own" in capsys.readouterr().err


def test_what_pip_cannot_satisfy_is_one_sentence(monkeypatch, tmp_path: Path) -> None:
    said = "WARNING: x\nERROR: Could not find a version\nERROR: No matching distribution found for keras==99\n"
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, "", said))
    with pytest.raises(VersionsError, match=r"^keras==99 cannot be installed here: No matching distribution found for keras==99\.$"):
        environments.build(Wanted("keras==99"), tmp_path)
    assert not list(tmp_path.glob("*/complete"))


def test_uv_installs_where_it_is_and_pip_where_uv_is_not_or_fails(monkeypatch, tmp_path: Path) -> None:
    asked: list[str] = []

    def run(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(Path(words[0]).name)
        return subprocess.CompletedProcess(words, asked[-1] == "uv", "", "")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(environments.shutil, "which", lambda name, path=None: f"/bin/{name}")
    environments._install("python", Wanted("keras==3.1"), ["keras==3.1"])
    assert asked == ["uv", Path(sys.executable).name]
    monkeypatch.setattr(environments.shutil, "which", lambda name, path=None: None)
    assert [words[1:3] for words in environments.installers("python")] == [["-m", "pip"]]
    monkeypatch.setattr(environments.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(VersionsError, match="no pip and there is no uv"):
        environments.installers("python")


def test_what_uv_says_becomes_one_sentence() -> None:
    said = "  × No solution found:\n  ╰─▶ Because there is no version of keras==99 and\n      you require keras==99, it fails.\n"
    assert environments._reason(said) == "Because there is no version of keras==99 and you require keras==99, it fails."


def test_an_environment_is_built_once_and_again_when_it_was_left_half_done(monkeypatch, tmp_path: Path) -> None:
    installed: list[list[str]] = []
    monkeypatch.setattr(environments, "_install", lambda python, wanted, words: installed.append(words))
    monkeypatch.setattr(environments, "_output", lambda *_: "dm-tree\n")
    monkeypatch.setattr(environments, "_check_import", lambda *_: None)
    first = environments.build(Wanted("keras==3.0.5"), tmp_path)
    assert [words[-1] for words in installed] == ["keras==3.0.5", "dm-tree"]
    assert environments.build(Wanted("keras==3.0.5"), tmp_path) == first
    assert len(installed) == 2
    (Path(first.path) / "complete").unlink()
    (Path(first.path) / "half.py").touch()
    environments.build(Wanted("keras==3.0.5"), tmp_path)
    assert len(installed) == 4
    assert not (Path(first.path) / "half.py").exists()


def test_the_overlay_comes_first_on_the_path(monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/mine")
    assert Interpreter("python", "/overlay").variables()["PYTHONPATH"] == "/overlay:/mine"


@pytest.fixture
def runs(monkeypatch, tmp_path: Path) -> list[list[str]]:
    """Runs that cost nothing: the interpreter is this one, and a run writes a made-up record, sick for version 3.2."""
    started: list[list[str]] = []

    def run(words: list[str], env: dict[str, str], **_: object) -> subprocess.CompletedProcess[str]:
        started.append(words)
        folder = Path(next(word for word in words if word.startswith("--record-dir=")).partition("=")[2])
        version = env["PYTHONPATH"]
        sick = 1e4 if version == "3.2" else 1.0
        verdicts = [made_up.parity("keras", network, factor=sick if network == "norm=layer" else 1.0) for network in made_up.NETWORKS]
        made_up.path(folder, verdicts=verdicts, versions={"keras": {"keras": version}}, exit_status=int(sick > 1))
        return subprocess.CompletedProcess(words, int(sick > 1))

    store = command.runs.recorded
    monkeypatch.setattr(command.runs, "recorded", lambda: store(tmp_path))
    monkeypatch.setattr(command.runs, "build", lambda wanted: Interpreter(sys.executable, wanted.text.partition("==")[2]))
    monkeypatch.setattr(command.runs.subprocess, "run", run)
    return started


def test_the_table_names_what_broke_where_and_results_are_kept(runs, capsys) -> None:
    assert command.main(["keras==3.1", "keras==3.2", "--cases=smoke"]) == Status.WORSE
    printed = capsys.readouterr().out
    assert "✗ norm=layer step 0 layer  3 weight" in printed
    assert "keras==3.1 → keras==3.2: keras is worse in gradient_parity" in printed
    assert [words[-1] for words in runs] == ["--cases=smoke"] * 2
    assert command.main(["keras==3.1", "keras==3.2", "--cases=smoke"]) == Status.WORSE
    assert len(runs) == 2, "kept results were run again"
    assert "kept from" in capsys.readouterr().out
    assert command.main(["keras==3.1", "--cases=core"]) == Status.SAME
    assert command.main(["--fresh", "keras==3.1", "--cases=core"]) == Status.SAME
    assert len(runs) == 4


def test_runs_beside_each_other_time_nothing_and_keep_to_memory(runs, capsys, monkeypatch) -> None:
    command.main(["-n", "2", "keras==3.1", "keras==3.3", "-k", "parity"])
    assert all(words[-3:] == ["-k", "parity", "--ignore=bench/test_step_time.py"] for words in runs)
    assert "nothing is timed" in capsys.readouterr().out
    monkeypatch.setattr(command.runs, "GIGABYTES", 1e6)
    command.main(["-n", "2", "keras==3.1", "keras==3.4", "-k", "update"])
    assert "so 1 at a time" in capsys.readouterr().out


def test_a_set_that_cannot_be_had_leaves_the_others_their_column(runs, capsys, monkeypatch) -> None:
    def build(wanted: Wanted) -> Interpreter:
        if "99" in wanted.text:
            raise VersionsError("keras==99 cannot be installed here: No matching distribution found for keras==99.")
        return Interpreter(sys.executable, "3.1")

    monkeypatch.setattr(command.runs, "build", build)
    assert command.main(["keras==3.1", "keras==99", "--cases=smoke"]) == Status.BAD_INPUT
    printed = capsys.readouterr().out
    assert "did not run" in printed
    assert printed.rstrip().splitlines()[-1].startswith("keras==99 cannot be installed")


def test_the_exit_status_compares_the_first_version_with_the_last(tmp_path: Path) -> None:
    well = made_up.run(tmp_path / "well")
    sick = made_up.run(tmp_path / "sick", verdicts=[made_up.parity("keras", network, factor=1e4) for network in made_up.NETWORKS])
    dead, absent = runs_of_versions.Failure("died", Status.ENVIRONMENT), runs_of_versions.Failure("absent", Status.BAD_INPUT)
    for results, status in (
        ([well, well], Status.SAME), ([well, sick, well], Status.SAME), ([sick, sick], Status.FAILING), ([sick], Status.FAILING),
        ([well, sick], Status.WORSE), ([well, dead], Status.ENVIRONMENT), ([dead, absent], Status.BAD_INPUT),
    ):  # fmt: skip
        assert table.status(results) == status


@pytest.mark.parametrize("words", [["keras=3.1"], [" "], ["keras==3.1 ???"]])
def test_what_is_no_requirement_is_one_sentence(words, capsys) -> None:
    assert command.main(words) == Status.BAD_INPUT
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_run_that_judged_nothing_is_a_dash(tmp_path: Path) -> None:
    one = made_up.run(tmp_path / "a")
    two = made_up.run(tmp_path / "b", verdicts=[made_up.parity("torch", "reference")])
    lines = table.table({"one": one, "two": two})
    assert lines[1].rstrip().endswith("—")
