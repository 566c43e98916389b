"""Own models are judged by releases of PyTorch that are made otherwise inside."""

from __future__ import annotations

from typing import Any

import pytest


def test_functions_of_the_user_s_own_are_watched_where_apply_is_one_of_c(monkeypatch: pytest.MonkeyPatch) -> None:
    torch, functions = pytest.importorskip("torch"), pytest.importorskip("models.backends.torch.own.functions")
    monkeypatch.setattr(torch.autograd.Function, "apply", torch._C._FunctionBase.__dict__["apply"])  # as it is since 2.14

    function: Any = torch.autograd.Function

    class Straight(function):
        @staticmethod
        def forward(ctx, x):
            return x.round()

        @staticmethod
        def backward(ctx, gradient):
            return gradient

    with functions.surrogates() as found:
        Straight.apply(torch.randn(5))
    assert found == {"Straight": "is flat"}
