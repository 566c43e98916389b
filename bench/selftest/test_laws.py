"""How well the laws of promises judge: the table in README is what was measured, and fresh draws of some laws hold."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from bench.baselines import known_failures
from bench.metamorphic.promised import LAWS
from bench.selftest import laws
from bench.selftest.laws import FACTORS, measured, other_draws, read, smallest, summary, table

README = Path(__file__).parents[1] / "promises" / "README.md"


def test_the_readme_has_the_table_that_was_measured() -> None:
    shown = re.search(r"<!-- laws -->\n(.*?)\n<!-- end of laws -->", README.read_text(encoding="utf-8"), re.DOTALL)
    assert shown is not None
    assert shown[1] == f"{table(read())}\n\n{summary(read())}"
    assert set(read()["law"]) <= LAWS


@pytest.mark.parametrize("law", ["layers_by_formula", "ways_of_writing_losses", "norms_in_half_precision"])
def test_other_draws_are_judged_alike(law: str) -> None:
    pytest.importorskip("torch")
    row = measured("torch", law, 2, known_failures.read())
    assert row is not None
    assert row["outside"] == 0
    assert row["numbers"] > row["cases"]
    assert 0 < row["caught"] <= row["caught in all"] < 0.1


def test_draws_are_other_ones() -> None:
    torch = pytest.importorskip("torch")

    def drawn(seed: int) -> list[float]:
        with other_draws(seed, "torch"):
            torch.manual_seed(1)
            own = torch.Generator().manual_seed(1)
            return [float(torch.rand(1)), float(torch.rand(1, generator=own)), float(np.random.default_rng(1).random())]

    with torch.random.fork_rng():
        assert drawn(0) == drawn(0)
        assert drawn(1) == drawn(1)
        assert not set(drawn(0)) & set(drawn(1))


def test_the_smallest_error_is_the_bound() -> None:
    one = np.ones(4)
    told = {"a": {"ways": {"first": [one], "second": [one]}, "apart": False, "allowed": 2e-5}}
    assert list(smallest(told)) == [min(factor for factor in FACTORS if factor > 10 * 2e-5)]
    told["a"]["ways"]["second"] = [np.zeros(4)]
    assert list(smallest(told)) == []
    assert laws.APART > 100, "draws of neighbouring seeds would come again"
