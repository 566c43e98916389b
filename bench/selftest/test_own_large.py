"""Arrays of large models lie in files, and nothing that is judged depends on it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bench.selftest.studies.own_models import GAUGES, evidence
from models.own import large

ARRAYS = {"b": np.arange(3.0), "a": np.ones((2, 2), np.float32)}


def test_small_ones_stay_where_they_are() -> None:
    assert large.kept(ARRAYS) is ARRAYS


def test_large_ones_come_back_as_they_were_and_leave_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "LARGE", 0)
    found = large.kept(ARRAYS)
    assert isinstance(found, large.Filed) and list(found) == ["b", "a"] and len(found) == 2
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    folder = found.folder
    assert folder.is_dir()
    del found
    assert not folder.exists()


@pytest.mark.parametrize(
    ("backend", "model"), [("torch", "half_torch.py:right"), ("torch", "half_torch.py:adam"), ("keras", "of_keras.py:regression")]
)
def test_a_model_is_judged_alike_in_files(backend: str, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    in_memory = evidence(backend, f"{GAUGES}/{model}").seen
    monkeypatch.setattr(large, "LARGE", 0)
    in_files = evidence(backend, f"{GAUGES}/{model}").seen
    assert dataclasses.replace(in_files, seconds=in_memory.seconds) == in_memory
    assert in_files.updates and in_files.gradients and in_files.slopes
