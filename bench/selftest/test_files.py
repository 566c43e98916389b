"""The suite's one writer: whole or not at all, through links, into pipes, never over its own input."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bench import files
from bench.files import WriteError

ROOT = Path(__file__).resolve().parents[2]


def test_a_file_is_replaced_and_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text("old")
    path.chmod(0o640)
    assert files.write(path, "new") == path
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        assert stat.S_IMODE(files.write(tmp_path / "new", b"\x00").stat().st_mode) == 0o640
    finally:
        os.umask(before)


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_its_target_is_written(there: bool, tmp_path: Path) -> None:
    target, link = tmp_path / "elsewhere" / "target", tmp_path / "link"
    target.parent.mkdir()
    if there:
        target.write_text("old")
    link.symlink_to(target)
    files.write(link, "new")
    assert link.is_symlink() and target.read_text() == "new"
    assert list(target.parent.iterdir()) == [target]


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", list[str]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    files.write(pipe, "words" * 100_000)
    reader.join()
    assert read == ["words" * 100_000]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_device_stays_a_device() -> None:
    files.write(Path("/dev/null"), "words")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    with pytest.raises(WriteError, match=r"/dev/full cannot be written \(No space left on device\)"):
        files.write(Path("/dev/full"), "words")


def test_standard_output_sent_to_a_file_keeps_what_was_printed(tmp_path: Path) -> None:
    code = "import pathlib; from bench import files; print('before', flush=True); files.write(pathlib.Path('/dev/stdout'), 'words\\n')"
    with (tmp_path / "out").open("w") as out:
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=out, check=True)
    assert (tmp_path / "out").read_text() == "before\nwords\n"


def test_an_input_is_not_overwritten(tmp_path: Path) -> None:
    path, link = tmp_path / "record.json", tmp_path / "link"
    path.write_text("read")
    link.symlink_to(path)
    with pytest.raises(WriteError, match="was read as input"):
        files.write(link, "written", inputs=[tmp_path / "absent", path])
    assert path.read_text() == "read"


def test_a_folder_that_refuses_is_one_sentence(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent" / "file", Path("/proc/nowhere")):
        with pytest.raises(WriteError, match="cannot be written") as refused:
            files.write(path, "{}")
        assert "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_a_write_that_is_cut_off_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = files.write(tmp_path / "file", "old")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limit[1]))
    try:
        with pytest.raises(WriteError, match="File too large"):
            files.write(path, "x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
