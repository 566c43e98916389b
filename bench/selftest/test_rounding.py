"""What rounding costs is measured by draws that differ: few terms, sums that cancel and narrow layers have as many as others."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bench.evidence.collect import reference_of
from bench.evidence.reference import rms_error
from bench.selftest.kills import data
from models.parts.norms import NORMS
from models.reference.arithmetic import Arithmetic
from models.spec import Spec


@pytest.mark.parametrize("norm", NORMS)
def test_passes_err_on_their_own_where_few_terms_are_summed(norm: str) -> None:
    """Inputs that vanish beside the biases round alike in every order; what a normalization makes of them does not."""
    result = reference_of(Spec.parse(f"depth=8,width=6,batch=4,norm={norm},groups=2,bias=normal,input=tiny,loss=hinge"), data(), steps=1)
    (exact,), (passes,) = result.exact, result.rounded
    for alike in (passes[::2], passes[1::2]):
        error = rms_error(exact.logits, [each.logits for each in alike])
        apart = [np.linalg.norm(one.logits - other.logits) for one, other in itertools.combinations(alike, 2)]
        assert max(apart) > 0.3 * error, (apart, error)


@pytest.mark.parametrize("few", ["width=1,batch=1", "width=2,batch=2", "width=1,batch=16"])
def test_passes_err_on_their_own_where_sums_have_one_term_or_two(few: str) -> None:
    """Six passes that round alike are one draw, which is small by luck in some layer of every other network."""
    result = reference_of(Spec.parse(f"depth=8,{few},act=leaky_relu"), data(), steps=1)
    (passes,) = result.rounded
    assert len({each.gradients["dense1.weight"].tobytes() for each in passes}) >= 5


def test_a_product_of_many_terms_is_its_order_s_alone() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((4, 3)).astype(np.float32), rng.standard_normal((3, 5)).astype(np.float32)
    for order in range(4):
        terms = np.random.default_rng(order).permutation(3)
        assert np.array_equal(Arithmetic(np.float32, Spec().format, order).product(a, b), a[:, terms] @ b[terms])


def test_a_sum_in_an_order_of_its_own_is_off_by_roundings_of_its_terms_and_without_one_is_numpys() -> None:
    terms = np.array([[0.7, -1.4, 0.7]], np.float32)
    plain = Arithmetic(np.float32, Spec().format)
    assert plain.total(terms, 1).tolist() == terms.sum(1, keepdims=True).tolist()
    unit = float(np.finfo(np.float32).eps) / 2
    sums = np.array([Arithmetic(np.float32, Spec().format, order).total(terms, 1)[0, 0] for order in range(200)]) - terms.sum()
    assert 0.3 < np.sqrt(np.mean(sums**2)) / (unit * np.linalg.norm(terms)) < 3
    assert np.abs(sums).max() <= 4 * unit * np.abs(terms).sum()


def test_a_convolution_s_bias_is_added_one_pixel_after_the_other_in_half_of_the_passes() -> None:
    """PyTorch on one thread adds the pixels of one channel so, which loses digits that a sum of blocks keeps."""
    pixels = np.random.default_rng(0).standard_normal((4096, 1)).astype(np.float32) + 1
    exact = pixels.sum(dtype=np.float64)
    off = [abs(float(Arithmetic(np.float32, Spec().format, order).sums(pixels)[0]) - exact) / exact for order in range(6)]
    assert min(off[1::2]) > 2 * max(off[::2]), off
