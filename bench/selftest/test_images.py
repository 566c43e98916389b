"""README's pictures: made from a record by one command, small, and shown."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from PIL import Image

from bench.exit_status import Status
from bench.selftest import made_up
from bench.selftest.studies import chromium, images
from bench.selftest.studies.literature import __main__ as literature

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 150_000
PICTURES = ("report.png", "gradients.png")


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up run, and networks of which the picture is made."""
    monkeypatch.setattr(images, "NETWORKS", [(network, "a network") for network in made_up.NETWORKS * 2])
    return made_up.path(tmp_path / "run")


def test_readme_shows_the_committed_pictures_and_they_are_small() -> None:
    shown = re.findall(r"!\[[^\]]+\]\((\S+\.png)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert {Path(path).name for path in shown} == set(PICTURES)
    for path in shown:
        assert (ROOT / path).stat().st_size < LIMIT


def test_a_record_becomes_the_picture_of_gradients(record: Path) -> None:
    with Image.open(io.BytesIO(images.gradients(images.read(record)))) as picture:
        assert picture.format == "PNG" and picture.width > 800


@pytest.mark.skipif(chromium.PROGRAM is None, reason="Chromium is not installed here")
def test_both_pictures_are_written(record: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    assert images.main([str(record), f"--folder={folder}"]) == Status.SAME
    assert {path.name for path in folder.iterdir()} == set(PICTURES) == {Path(line).name for line in capsys.readouterr().out.split()}
    with Image.open(folder / "report.png") as picture:
        assert picture.width == images.WIDTH and picture.height > 300


def test_what_cannot_be_drawn_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(images, "report", lambda run: b"")
    assert images.main([str(made_up.path(tmp_path))]) == Status.BAD_INPUT
    assert "has no gradients of depth=64: give the record of a core run." in capsys.readouterr().err
    assert images.main([str(tmp_path / "nowhere.json")]) == Status.BAD_INPUT
    monkeypatch.undo()
    monkeypatch.setattr(chromium, "PROGRAM", None)
    assert images.main([str(made_up.path(tmp_path))]) == Status.BAD_INPUT
    assert "apt-get install chromium" in capsys.readouterr().err


@pytest.mark.parametrize("study", literature.STUDIES)
def test_a_recorded_result_is_drawn_again_without_measuring(study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"{study}.json").write_bytes((literature.RECORDED / f"{study}.json").read_bytes())
    monkeypatch.setattr(literature, "RECORDED", tmp_path)
    assert literature.main([study, "--redraw"]) == Status.SAME
    committed = ROOT / f"bench/selftest/studies/literature/recorded/{study}.png"
    with (
        Image.open(tmp_path / f"{study}.png") as drawn,
        Image.open(committed) as kept,
    ):
        assert drawn.size == kept.size
