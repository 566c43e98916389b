"""Arrays of large models lie in files, and nothing that is judged depends on it."""

from __future__ import annotations

import dataclasses
import gc
import tempfile
from pathlib import Path

import numpy as np
import pytest

from bench.selftest.studies.own_models import GAUGES, evidence
from models.own import large

ARRAYS = {"b": np.arange(3.0), "a": np.ones((2, 2), np.float32)}


def test_small_ones_stay_where_they_are() -> None:
    assert large.kept(ARRAYS) is ARRAYS


def test_large_ones_come_back_as_they_were_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "LARGE", 0)
    found = large.kept(ARRAYS)
    assert isinstance(found, large.Filed) and list(found) == ["b", "a"] and len(found) == 2
    for name in ("a", "b", "a"):
        assert found[name].dtype == ARRAYS[name].dtype
        np.testing.assert_array_equal(found[name], ARRAYS[name])


def test_nothing_is_left_in_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not while it is there either, so that a worker that is killed leaves nothing."""
    monkeypatch.setattr(large, "LARGE", 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = large.kept(ARRAYS)
    assert isinstance(found, large.Filed) and list(tmp_path.iterdir()) == []


def test_without_room_they_stay_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(large, "LARGE", 0)
    monkeypatch.setattr(np, "save", full)
    assert large.kept(ARRAYS) is ARRAYS


@pytest.mark.parametrize(
    ("backend", "model"), [("torch", "half_torch.py:right"), ("torch", "half_torch.py:adam"), ("keras", "of_keras.py:regression")]
)
def test_a_model_is_judged_alike_in_files(backend: str, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    in_memory = evidence(backend, f"{GAUGES}/{model}").seen
    monkeypatch.setattr(large, "LARGE", 0)
    monkeypatch.setattr(large, "MANY", 0)
    in_files = evidence(backend, f"{GAUGES}/{model}").seen
    assert dataclasses.replace(in_files, seconds=in_memory.seconds) == in_memory
    assert in_files.updates and in_files.gradients and in_files.slopes


def test_a_step_that_was_traced_is_let_go_with_its_model() -> None:
    """TensorFlow keeps a traced step, and all variables that it reads, for the life of the process (tensorflow #97697)."""
    pytest.importorskip("tensorflow")

    def graphs() -> int:
        gc.collect()
        return sum(type(each).__name__ == "FuncGraph" for each in gc.get_objects())

    counts = []
    for _ in range(2):  # the first one may let go of what other tests have left
        assert evidence("keras", f"{GAUGES}/of_keras.py:regression").seen.updates
        counts.append(graphs())
    assert counts[1] == counts[0]
