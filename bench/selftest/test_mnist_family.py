"""Who judges the MNIST family: every layout, every kind of damage, downloads, and torchvision beside a foreign torch.

Set GRADGAUGE_MNIST to a folder with MNIST's four .gz files to run what needs them.
"""

import gzip
import http.server
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import threading
import tracemalloc
import urllib.error
import urllib.request
import zipfile
from functools import partial
from hashlib import md5
from pathlib import Path

import numpy as np
import pytest

from fixtures.data.datasets import DataError, load
from fixtures.data.mnist_family import NPZ_KEYS, SHAPES, read, torchvision_datasets


@pytest.fixture
def mnist() -> Path:
    """A folder with the four genuine .gz files."""
    if "GRADGAUGE_MNIST" not in os.environ:
        pytest.skip("GRADGAUGE_MNIST names no folder with MNIST")
    return Path(os.environ["GRADGAUGE_MNIST"])


@pytest.mark.parametrize("layout", ["gz", "torchvision", "extracted", "npz"])
def test_mnist_is_the_same_from_every_layout(mnist, tmp_path, monkeypatch, layout):
    """Four layouts, with torchvision and without: one data set, and not a file more in the folder."""
    original = read("mnist", mnist)
    raw = tmp_path if layout == "gz" else tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    if layout == "npz":
        np.savez(tmp_path / "mnist.npz", **dict(zip(("x_train", "y_train", "x_test", "y_test"), original, strict=True)))
    for file in mnist.glob("*.gz") if layout != "npz" else ():
        target = raw / (file.stem if layout == "extracted" else file.name)
        target.write_bytes(gzip.decompress(file.read_bytes()) if layout == "extracted" else file.read_bytes())
    before = sorted(tmp_path.rglob("*"))
    data = load("mnist", folder=tmp_path)
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)  # and without torchvision
    assert all(np.array_equal(a, b) for a, b in zip(original, read("mnist", tmp_path), strict=True))
    assert (data.x_train.shape, data.x_test.shape, data.classes, data.features) == ((60_000, 784), (10_000, 784), 10, 784)
    assert np.vdot(data.x_train, data.x_train) / data.x_train.size == pytest.approx(1)
    assert list(np.bincount(data.y_train)) == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("harm", ["truncated", "flipped", "empty", "not gzip"])
def test_a_damaged_file_is_named_with_both_checksums(mnist, tmp_path, harm):
    """The sentence names the file, its md5, the published one and what to do; another set's good file is not to be deleted."""
    shutil.copytree(mnist, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "t10k-labels-idx1-ubyte.gz"
    content = file.read_bytes()
    labels = gzip.decompress(content)
    harmed = {"truncated": content[:-99], "flipped": gzip.compress(labels[:-1] + b"\1"), "empty": b"", "not gzip": labels}[harm]
    file.unlink()  # a copy of a read-only file is read-only
    file.write_bytes(harmed)
    with pytest.raises(DataError) as error:
        load("mnist", folder=tmp_path, download=True)
    assert f"{file} is damaged" in str(error.value) and md5(harmed).hexdigest() in str(error.value)
    assert "expected ec29112dd5afa0611ce80d1b7f02629c; delete it and get it again with `pytest" in str(error.value)
    with pytest.raises(DataError, match="is a file of mnist, not the one of fashion_mnist"):
        load("fashion_mnist", folder=tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\3\4 no archive", "other arrays", "objects"])
def test_an_npz_that_is_not_mnist_is_refused(tmp_path, content):
    """Whatever is in the archive, no object is unpickled and both checksums are named."""
    file = tmp_path / "mnist.npz"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        part = np.array([print], dtype=object) if content == "objects" else np.zeros(3, np.uint8)
        np.savez(file, x_train=part, y_train=part, x_test=part, y_test=part)
    with pytest.raises(DataError, match=r"mnist\.npz is damaged or not mnist's: its sha256 is \w{64}, expected 731c5ac6"):
        load("mnist", folder=tmp_path)


def test_a_bare_kmnist_file_cannot_be_checked(tmp_path):
    """Only the .gz files of KMNIST have a published checksum, so bare ones are refused rather than believed."""
    for stem in SHAPES:
        (tmp_path / stem).write_bytes(b"")
    with pytest.raises(DataError, match=r"only train-images-idx3-ubyte\.gz has a published checksum: put that beside it\."):
        load("kmnist", folder=tmp_path)


@pytest.mark.parametrize("library", ["torchvision", "keras", "none"])
def test_without_a_network_nothing_is_kept(tmp_path, monkeypatch, library):
    """One sentence with the network's own reason, and an empty folder, whichever library was to download."""

    def unreachable(*_, **__):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    failed = subprocess.CompletedProcess([], 1, stderr="Traceback …\n  File …\nException: URL fetch failure: no route to host\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    if library != "torchvision":
        monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if library == "none" else name)
    elif torchvision_datasets() is None:
        pytest.skip("torchvision is not installed")
    with pytest.raises(DataError) as error:
        load("mnist", folder=tmp_path / "new", download=True)
    says = "mnist is downloaded by torchvision or keras: install" if library == "none" else "no route to host"
    assert says in str(error.value) and "\n" not in str(error.value)
    assert not any((tmp_path / "new").iterdir())


def test_a_download_is_torchvisions_own_layout(mnist, tmp_path, monkeypatch):
    """What a mirror of this machine serves arrives whole, without leftovers, and reads back the same."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            """Say nothing."""

    if (datasets := torchvision_datasets()) is None:
        pytest.skip("torchvision is not installed")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=mnist)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        files = [(f"{stem}.gz", md5((mnist / f"{stem}.gz").read_bytes()).hexdigest()) for stem in SHAPES]
        monkeypatch.setattr(datasets.MNIST, "resources", files)
        monkeypatch.setattr(datasets.MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
        downloaded = load("mnist", folder=tmp_path, download=True)
        server.shutdown()
    assert len(list((tmp_path / "MNIST" / "raw").iterdir())) == 8 and len(list(tmp_path.iterdir())) == 1
    assert np.array_equal(downloaded.x_train, load("mnist", folder=mnist).x_train)


def test_torchvision_imports_beside_a_torch_of_another_build():
    """Import torchvision's data sets in a fresh process, without a warning, where they are installed at all."""
    code = "from fixtures.data.mnist_family import torchvision_datasets as d; m = d(); print(m and m.MNIST.__name__, m is d())"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=root, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout in ("MNIST True\n", "None True\n")


def member(shape: tuple[int, ...], body: bytes) -> bytes:
    """An array's file that says it has this shape, whatever it holds."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.getvalue() + body


@pytest.mark.parametrize("large", [member((10**9,), bytes(10**8)), member((10**14,), b"")], ids=["unpacked", "by its header"])
def test_an_npz_that_would_fill_the_memory_is_refused_before_it_does(tmp_path, large):
    with zipfile.ZipFile(tmp_path / "mnist.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for key in NPZ_KEYS:
            archive.writestr(f"{key}.npy", large)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"mnist\.npz is damaged or not mnist's"):
        read("mnist", tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 5e7
    tracemalloc.stop()
