"""Models of which one is wrong in half precision alone, and models that autocast does not take or leaves as they are."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class WrongInHalf(torch.autograd.Function):
    """A product whose gradient is a quarter too large where it comes back in another format than the weight has."""

    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x @ weight.T

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        factor = 1.0 if g.dtype == weight.dtype else 1.25
        g, x = g.to(weight.dtype), x.to(weight.dtype)
        return g @ weight, factor * g.T @ x


class Product(nn.Module):
    """A layer that multiplies by a function of its author's."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 12) / 12**0.5)

    def forward(self, x):
        return WrongInHalf.apply(x, self.weight)


class Narrow(nn.Module):
    """A layer that asks for float32, as many are written."""

    def forward(self, x):
        if x.dtype != torch.float32 and x.dtype != torch.float64:
            raise TypeError("this layer takes float32")
        return x.tanh()


def classified(*layers):
    batch = torch.randn(16, 6), torch.randint(0, 8, (16,))
    optimizer = lambda p: torch.optim.SGD(p, 0.1)  # noqa: E731
    return {"model": nn.Sequential(*layers), "loss": functional.cross_entropy, "batch": batch, "optimizer": optimizer}


def wrong():
    return classified(nn.Linear(6, 12), nn.Tanh(), Product(), nn.Linear(8, 8))


def right():
    return classified(nn.Linear(6, 12), nn.LayerNorm(12), nn.ReLU(), nn.Dropout(0.2), nn.Linear(12, 8))


def narrow():
    return classified(nn.Linear(6, 12), Narrow(), nn.Linear(12, 8))


def wide():
    return classified(nn.LayerNorm(6), nn.Tanh(), nn.Flatten(), nn.LogSoftmax(1), nn.ZeroPad1d((0, 2)))


def recurrent():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(3, 8, batch_first=True)

        def forward(self, x):
            return self.lstm(x.unflatten(1, (2, 3)))[0][:, -1]

    return classified(Last())
