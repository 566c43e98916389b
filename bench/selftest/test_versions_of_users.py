"""A user's own requirements stand beside every set, and an environment of theirs is a set: nothing is installed into it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from bench.exit_status import Status
from bench.versions import __main__ as command
from bench.versions import environments, runs
from bench.versions.environments import Interpreter, build, importable
from bench.versions.requirements import VersionsError, Wanted, read_beside
from models.backends.registry import variable_of

FILE = """
# what the model needs
numpy<2          # an old extension
timm==1.0.31 ; python_version > "3.8"
keras==3.12.0
-r more/others.txt
-c limits.txt
--extra-index-url=https://wheels.example/simple
-e ./local
git+https://example.org/net.git
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "more").mkdir()
    (tmp_path / "local").mkdir()
    (tmp_path / "requirements.txt").write_text(FILE, encoding="utf-8")
    (tmp_path / "more" / "others.txt").write_text("einops\n./wheel.whl\n", encoding="utf-8")
    (tmp_path / "more" / "wheel.whl").touch()
    return tmp_path / "requirements.txt"


def test_a_requirements_file_is_read_with_what_it_includes(own: Path) -> None:
    beside = read_beside(own)
    assert [r.name for r in beside.requirements] == ["numpy", "timm", "keras", "einops"]
    at = own.parent
    assert beside.words == (
        f"{at}/more/wheel.whl", "-c", f"{at}/limits.txt", "--extra-index-url=https://wheels.example/simple", "-e", f"{at}/local",
        "git+https://example.org/net.git",
    )  # fmt: skip
    assert beside.folder == str(at)


def test_a_file_that_cannot_be_read_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(VersionsError, match=r"none\.txt cannot be read \(No such file or directory\)"):
        read_beside(tmp_path / "none.txt")
    (tmp_path / "image.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(VersionsError, match=r"image\.txt cannot be read \(it is no text\)"):
        read_beside(tmp_path / "image.txt")
    (tmp_path / "ring.txt").write_text("-r ring.txt\n", encoding="utf-8")
    with pytest.raises(VersionsError, match="includes itself"):
        read_beside(tmp_path / "ring.txt")


def test_a_set_goes_before_the_users_file_and_that_before_the_projects(own: Path, tmp_path: Path, monkeypatch) -> None:
    installed: list[list[str]] = []
    monkeypatch.setattr(environments.venv, "create", lambda *_, **__: None)
    monkeypatch.setattr(environments, "_install", lambda python, wanted, words: installed.append(words))
    monkeypatch.setattr(environments, "_check_import", lambda *_: None)
    monkeypatch.setattr(environments, "_output", lambda *_: "")
    wanted = Wanted("keras==3.15.1 torch==2.12.1", beside=read_beside(own))
    assert wanted.overlay is None  # what is installed beside must fit to this Keras
    first = build(wanted, tmp_path / "environments")
    words = installed[0]
    asked = {Requirement(word).name: word for word in words[: -len(wanted.beside.words)]}
    assert (asked["keras"], asked["torch"], asked["torchvision"], asked["numpy"]) == (
        "keras==3.15.1",
        "torch==2.12.1",
        "torchvision",
        "numpy<2",
    )
    assert "timm" in asked and "pytest" in asked and words[-1] == "git+https://example.org/net.git"
    assert build(Wanted("keras==3.15.1 torch==2.12.1"), tmp_path / "environments") != first


def test_relative_paths_of_a_file_start_at_its_folder(own: Path, monkeypatch) -> None:
    at: list[str | None] = []
    done = environments.subprocess.CompletedProcess([], 0, "", "")
    monkeypatch.setattr(environments.subprocess, "run", lambda *_, cwd=None, **__: at.append(cwd) or done)
    environments._install("python", Wanted("keras==3.15.1", beside=read_beside(own)), ["keras==3.15.1"])
    assert at == [str(own.parent)]


def test_an_environment_that_is_there_is_a_set_and_the_judge_stays_in_its_own(tmp_path: Path) -> None:
    wanted = Wanted(sys.executable)
    assert wanted.environment == sys.executable and not Wanted("keras==3.15.1").environment
    assert not Wanted("net @ file:///wheels/net.whl").environment
    found = build(wanted, tmp_path)
    assert found == Interpreter(sys.executable, workers=sys.executable)
    assert found.variables()[variable_of("keras-jax")] == sys.executable
    assert "torch" in importable(sys.executable, "this")
    with pytest.raises(VersionsError, match="is no Python that can be run"):
        build(Wanted(str(tmp_path / "none")), tmp_path)


def test_an_environment_in_which_no_worker_could_run_is_refused_with_what_it_lacks(monkeypatch) -> None:
    monkeypatch.setattr(environments, "LACKED", "print('msgspec scipy')")
    with pytest.raises(VersionsError, match=r"lacks what a worker needs: run \S+ -m pip install msgspec scipy\.$"):
        importable(sys.executable, "/an/environment")


@pytest.mark.parametrize(("options", "asked"), [(["--cases=smoke"], ["--backend=torch,keras"]), (["--backend=torch"], [])])
def test_a_run_in_an_environment_asks_for_the_frameworks_that_it_has(options, asked, tmp_path: Path, monkeypatch) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(runs, "importable", lambda python, text: ("torch", "keras"))
    monkeypatch.setattr(runs.subprocess, "run", lambda words, **given: ran.append(words) or runs.subprocess.CompletedProcess(words, 1))
    failed = runs.run(Wanted(sys.executable), options, runs.recorded(tmp_path))
    assert isinstance(failed, runs.Failure) and ran[0][0] == sys.executable
    assert ran[0][-len(asked) - len(options) :] == [*options, *asked]


def test_a_path_that_is_no_environment_is_refused_before_anything_is_built(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(runs, "build", lambda _: pytest.fail("nothing is built"))
    assert command.main([str(tmp_path / "old"), "keras==3.15.1"]) == Status.BAD_INPUT
    assert "is no Python that can be run: name an environment's bin/python" in capsys.readouterr().err
    assert command.main(["--with", str(tmp_path / "none.txt"), "keras==3.15.1"]) == Status.BAD_INPUT
    assert "none.txt cannot be read" in capsys.readouterr().err
