"""Muon's written-out iteration against PyTorch's own, and the two optimizers that users step for one."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest

from models.parts import muon
from models.parts.muon import POLYNOMIAL, TIMES
from models.parts.update_rules import COARSE, EPSILON, Update
from models.spec import Spec, SpecError

SHAPES = ((1, 8), (8, 1), (3, 8), (10, 64), (64, 10), (24, 24))


@pytest.mark.filterwarnings("ignore:TF32 acceleration")  # which is said where oneDNN is switched
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kernels", ["oneDNN", "PyTorch"])
@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-8], ids=str)
def test_the_reference_rounds_as_pytorch_does_but_for_few_entries(shape: tuple[int, int], kernels: str, size: float) -> None:
    torch = pytest.importorskip("torch")
    own = pytest.importorskip("torch.optim._muon")
    g = (size * np.random.default_rng(5).standard_normal(shape)).astype(np.float32)
    context: Any = torch.backends.mkldnn.flags(enabled=False) if kernels == "PyTorch" else contextlib.nullcontext()
    with context:
        theirs = own._zeropower_via_newtonschulz(torch.tensor(g), POLYNOMIAL, TIMES, EPSILON).double().numpy()
    ours = muon._in_bfloat16(g.astype(np.float64))
    slots: dict[str, Any] = {}
    muon.muon(np.zeros(shape), g.astype(np.float64), slots, Update(1, 1.0 / (muon.SHARE * max(shape) ** 0.5), 0.0, "torch"))
    assert np.linalg.norm(theirs - ours) <= 10 * np.linalg.norm(slots[COARSE])
    assert np.linalg.norm(slots[COARSE]) <= 0.05 * np.linalg.norm(ours)


def test_the_iteration_makes_a_matrix_nearly_orthogonal_and_commutes_with_transposing() -> None:
    x = np.random.default_rng(6).standard_normal((12, 20))
    x /= np.linalg.norm(x)
    values = np.linalg.svd(muon.orthogonal(x), compute_uv=False)
    assert 0.3 < values.min() <= values.max() < 1.3
    assert pytest.approx(muon.orthogonal(x), abs=1e-13) == muon.orthogonal(x.T).T


def test_several_optimizers_are_stepped_for_one_and_share_what_is_set_in_their_groups() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("torch.optim._muon")
    from models.backends.torch.model import OneAfterTheOther, optimizer_of

    matrix, bias = (torch.nn.Parameter(torch.ones(shape)) for shape in ((2, 3), (2,)))
    optimizer = optimizer_of(Spec.of(optimizer="muon", decay=0.1), {"dense1.weight": matrix, "dense1.bias": bias})
    assert isinstance(optimizer, OneAfterTheOther)
    assert [type(each).__name__ for each in optimizer.optimizers] == ["Muon", "AdamW"]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.0)
    for parameter in (matrix, bias):
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    moved = [parameter.detach().clone() for parameter in (matrix, bias)]
    assert all(not torch.equal(each, torch.ones_like(each)) for each in moved)
    schedule.step()
    optimizer.step()
    assert all(torch.equal(now, then) for now, then in zip((matrix, bias), moved, strict=True))
    optimizer.zero_grad()
    assert matrix.grad is None
    assert bias.grad is None
    alone = optimizer_of(Spec.of(optimizer="muon"), {"dense1.weight": matrix})
    assert type(alone).__name__ == "Muon"


def test_muon_decays_and_takes_no_penalty() -> None:
    assert Spec.of(optimizer="muon", decay=0.1).decay == 0.1
    with pytest.raises(SpecError, match="use decay instead of l2"):
        Spec.of(optimizer="muon", l2=0.1)
    with pytest.raises(SpecError, match="adamw and muon only; optimizer=lion takes l2"):
        Spec.of(optimizer="lion", decay=0.1)
