"""Every command takes `--device=cuda`, and says in one sentence, with its status, where there is no GPU."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.exit_status import Status
from bench.selftest import device_faults
from bench.selftest.made_up_gpus import Card, plant
from bench.selftest.studies import overhead
from bench.theory import __main__ as theory
from bench.timing import bisect
from bench.timing.duet import __main__ as duet
from bench.versions import __main__ as versions
from bench.versions.requirements import GPU, GROUP, Wanted

NONE = "Device 'cuda' was asked for, but this PyTorch"
WATCHED = "The driver does not answer for cuda"
ROUTES: list[tuple[Any, list[str], str]] = [
    (duet.main, ["--a", "torch", "--b", "torch", "--device=cuda"], WATCHED),
    (duet.main, ["--aa", "torch", "--device=cuda:0"], WATCHED),
    (bisect.main, ["torch", "2.12.0", "2.13.0", "--case", "torch-eager-cuda-reference"], WATCHED),
    (overhead.main, ["--device=cuda", "--backend", "torch", "--rounds=2", "--probe-depth"], NONE),
    (theory.main, ["depth=2,width=4", "--plot=band.svg", "--backend=torch", "--device=cuda"], NONE),
    (device_faults.main, ["--device=cuda", "--count=1"], NONE),
]


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """What a command sets for its own process, such as which GPUs are visible, is gone after the test."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def last_line(capsys: Any) -> str:
    return str(capsys.readouterr().err).strip().splitlines()[-1]


@pytest.mark.parametrize(("command", "words", "told"), ROUTES, ids=[command.__module__ for command, _, _ in ROUTES])
def test_without_a_gpu_a_command_ends_in_one_sentence(
    command: Any, words: list[str], told: str, monkeypatch: Any, tmp_path: Path, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    plant(monkeypatch)
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    monkeypatch.setattr(bisect, "releases", lambda *_: ["2.12.0", "2.13.0"])
    monkeypatch.setattr("models.worker.devices._nth", lambda number, device: "")  # a machine that has a GPU must not find it
    assert command(words) == Status.ENVIRONMENT
    assert last_line(capsys).startswith(told)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("command", "words", "_"), [route for route in ROUTES if route[0] is not device_faults.main])
def test_a_gpu_beyond_the_visible_ones_is_bad_input(command: Any, words: list[str], _: str, monkeypatch: Any, capsys: Any) -> None:
    plant(monkeypatch, Card())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(bisect, "releases", lambda *_: ["2.12.0", "2.13.0"])
    assert command([word.replace("cuda:0", "cuda").replace("cuda", "cuda:1") for word in words]) == Status.BAD_INPUT
    assert "cuda:1 was asked for, but CUDA_VISIBLE_DEVICES shows 1" in last_line(capsys)


@pytest.mark.parametrize(
    ("options", "group"), [([], GROUP), (["--device=cpu"], GROUP), (["--device=cuda:1"], GPU), (["--device", "cuda"], GPU)]
)
def test_versions_build_for_the_device_that_pytest_is_told(options: list[str], group: Any, monkeypatch: Any) -> None:
    seen: list[Wanted] = []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(versions.runs, "run", lambda wanted, **_: seen.append(wanted) or "left no record")
    versions.main(["keras==3.15.1", "-q", *options])
    assert [wanted.group for wanted in seen] == [group]
