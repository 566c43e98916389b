"""Who judges the data: sizes, scale, determinism, batches, and one sentence for what cannot be had."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from fixtures.data.datasets import NAMES, Data, DataError, load


def same(one: Data, other: Data) -> bool:
    """Whether two data sets are equal to the bit."""
    return all(np.array_equal(getattr(one, part), getattr(other, part)) for part in ("x_train", "y_train", "x_test", "y_test"))


def test_digits():
    """1,197 and 600 samples of scikit-learn's digits with mean 0 and mean square 1, the same for every seed."""
    digits = load()
    assert (digits.x_train.shape, digits.x_test.shape, digits.classes, digits.features) == ((1197, 64), (600, 64), 10, 64)
    assert (digits.x_train.dtype, digits.y_train.dtype) == (np.float64, np.int64)
    assert np.mean(digits.x_train**2) == pytest.approx(1) and np.mean(digits.x_train) == pytest.approx(0, abs=1e-12)
    assert same(digits, load("digits", features=64, classes=10, seed=7))


@pytest.mark.parametrize("name", ["clusters", "teacher"])
@pytest.mark.parametrize(("features", "classes"), [(1, 2), (1, 10), (64, 10), (300, 30)])
def test_synthetic(name, features, classes):
    """Any size has the scale of the others, every class about equally often, and depends on the seed alone."""
    made = load(name, features=features, classes=classes, seed=3)
    assert made.x_train.shape == (1200, features) and made.x_test.shape == (600, features)
    assert np.mean(made.x_train**2) == pytest.approx(1) and np.mean(made.x_test**2) == pytest.approx(1, rel=0.3)
    often = np.bincount(made.y_train, minlength=classes) * classes / 1200
    assert len(often) == classes and 0.5 < often.min() <= often.max() < 2
    assert same(made, load(name, features=features, classes=classes, seed=3))
    assert not same(made, load(name, features=features, classes=classes, seed=4))


def test_clusters_are_well_separated():
    """The nearest centre is the right one, also for many classes in few dimensions."""
    made = load("clusters", features=3, classes=20)
    centres = np.stack([made.x_train[made.y_train == label].mean(axis=0) for label in range(20)])
    nearest = np.linalg.norm(made.x_test[:, None] - centres, axis=2).argmin(axis=1)
    assert np.mean(nearest == made.y_test) > 0.99


def test_batches_are_whole_and_shuffled_anew_each_epoch():
    """Same seed, same batches; every batch whole; an epoch has each sample once."""
    digits = load()
    first, second = (list(itertools.islice(digits.places(100, seed=1), 22)) for _ in range(2))
    assert all(places.shape == (100,) for places in first)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], first[11]) and not np.array_equal(first[0], next(digits.places(100, seed=2)))
    epoch = list(itertools.islice(digits.places(133, seed=0), 9))  # 9 · 133 = 1,197
    assert sorted(np.concatenate(epoch)) == list(range(1197))


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"name": "mnits"}, "data=mnits is not known (did you mean mnist?); use one of " + ", ".join(NAMES)),
        ({"name": "mnist"}, "get it with `pytest --data=mnist --data-dir=DIR --download`"),
        ({"name": "kmnist", "folder": Path("nowhere")}, "get it with `pytest --data=kmnist --data-dir=nowhere --download`"),
        ({"name": "mnist", "features": 64}, "features of mnist is 784"),
        ({"name": "digits", "classes": 3}, "classes of digits is 10"),
        ({"name": "clusters", "features": 0}, "features=0 must be a whole number of at least 1"),
        ({"name": "teacher", "classes": 1}, "classes=1 must lie between 2 and 600"),
    ],
)
def test_what_cannot_be_had_is_said_in_one_sentence(asked, says):
    """The sentence names the value, what is allowed, and the command where one helps."""
    with pytest.raises(DataError) as error:
        load(**asked)
    assert says in str(error.value) and "\n" not in str(error.value) and str(error.value).endswith(".")
    with pytest.raises(DataError, match="batch=5000 does not fit digits: it has 1197"):
        load().places(5000, seed=0)
