"""Problems of memory: what they ask, and the loss of a network without memory, which is known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fixtures.data.datasets import DataError
from fixtures.data.memory_problems import ASK, COPIED, SYMBOLS, problem
from models.worker.tasks.epochs import BLANK, SOLVED

MANY = 20_000


def test_the_sum_of_two_marked_numbers_is_asked_for() -> None:
    adding = problem("adding-50")
    x, sums = adding.samples(1000, 1)
    numbers, marks = np.moveaxis(x.reshape(1000, 50, 2), 2, 0)
    assert (x.shape[1], adding.classes, x.dtype) == (adding.features, 1, np.float32)
    assert (marks[:, :25].sum(1) == 1).all() and (marks[:, 25:].sum(1) == 1).all() and 0 <= numbers.min() <= numbers.max() <= 1
    np.testing.assert_allclose(sums[:, 0], (numbers * marks).sum(1), rtol=1e-6)
    assert {int(np.flatnonzero(row[:25])[0]) for row in marks} == set(range(25)), "every place of the first half occurs"


def test_without_memory_a_sum_is_guessed_with_the_variance_of_two_numbers() -> None:
    """The best constant is the mean; a sample of 20,000 knows its squared error to 0.001."""
    adding = problem("adding-10")
    _, sums = adding.samples(MANY, 2)
    assert np.mean((sums - 1) ** 2) == pytest.approx(adding.memoryless, rel=0.02)
    assert np.mean((sums - sums.mean()) ** 2) >= 0.98 * adding.memoryless
    assert np.mean(np.abs(sums - 1) < SOLVED) == pytest.approx(adding.guessed, rel=0.1)


def test_the_symbols_are_asked_for_after_the_lag() -> None:
    copying = problem("copying-30")
    x, wanted = copying.samples(1000, 1)
    given = x.reshape(1000, 50, 10).argmax(2)
    assert (x.reshape(1000, 50, 10).sum(2) == 1).all() and (copying.features, copying.classes) == (500, 9)
    assert (given[:, :COPIED] == wanted[:, -COPIED:]).all() and (wanted[:, :-COPIED] == BLANK).all()
    asked = 30 + COPIED - 1
    assert (given[:, asked] == ASK).all() and (np.delete(given, asked, 1)[:, COPIED:] == BLANK).all()
    assert np.bincount(given[:, :COPIED].ravel(), minlength=SYMBOLS + 1)[1:].min() > 1100


def test_without_memory_symbols_are_guessed_with_the_logarithm_of_eight() -> None:
    """Blanks are certain; no guess of a symbol that knows only how often it occurs is better than log 8."""
    copying = problem("copying-30")
    assert copying.memoryless == pytest.approx(10 * math.log(8) / 50)
    _, wanted = copying.samples(MANY, 2)
    often = np.bincount(wanted[:, -COPIED:].ravel(), minlength=SYMBOLS + 1)[1:] / (MANY * COPIED)
    entropy = -np.sum(often * np.log(often)) * COPIED / copying.length
    assert entropy == pytest.approx(copying.memoryless, rel=1e-3)
    assert often.max() == pytest.approx(copying.guessed, rel=0.05)


@pytest.mark.parametrize("name", ["adding-50", "copying-50"])
def test_samples_depend_on_the_seed_alone_and_tests_are_apart(name: str) -> None:
    one, same, other = (problem(name).samples(20, *seed) for seed in ((3, 1), (3, 1), (3, 2)))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not np.array_equal(one[0], other[0]) and not np.array_equal(one[0], problem(name).test(20)[0])


@pytest.mark.parametrize("name", ["adding", "adding-", "adding-1.5", "adding-3", "copying-1001", "adding--50", "digits-50", "adding-²"])
def test_another_name_is_refused_in_one_sentence(name: str) -> None:
    with pytest.raises(DataError, match="is no problem of memory: write adding-100 or copying-100, with a lag from 4 to 1,000"):
        problem(name)
