"""Models of which one is wrong in half precision alone, and models that autocast does not take or leaves as they are."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class WrongInHalf(torch.autograd.Function):
    """A product whose gradient is a quarter too large where it comes back in half precision."""

    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x @ weight.T

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        factor = 1.25 if g.dtype in (torch.bfloat16, torch.float16) else 1.0
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


class Untouched(torch.optim.SGD):
    """An optimizer that leaves weights in half precision as they are, as fused SGD did (pytorch #191763)."""

    def step(self, closure=None):
        kept = [p.detach().clone() for group in self.param_groups for p in group["params"]]
        loss = super().step(closure)
        with torch.no_grad():
            for p, before in zip((p for group in self.param_groups for p in group["params"]), kept, strict=True):
                if p.dtype in (torch.bfloat16, torch.float16):
                    p.copy_(before)
        return loss


def learned_in(dtype, *layers, optimizer=lambda p: torch.optim.SGD(p, 0.1)):
    gauge = classified(*layers)
    gauge["model"].to(dtype)
    gauge["batch"] = gauge["batch"][0].to(dtype), gauge["batch"][1]
    return gauge | {"optimizer": optimizer}


def whole():
    return learned_in(torch.bfloat16, nn.Linear(6, 24), nn.LayerNorm(24), nn.ReLU(), nn.Dropout(0.2), nn.Linear(24, 8))


def whole_in_float16():
    return learned_in(torch.float16, nn.Linear(6, 24), nn.LayerNorm(24), nn.ReLU(), nn.Dropout(0.2), nn.Linear(24, 8))


def adam():
    return learned_in(torch.bfloat16, nn.Linear(6, 24), nn.GELU(), nn.Linear(24, 8), optimizer=lambda p: torch.optim.AdamW(p, 1e-3))


def wrong_in_bfloat16():
    return learned_in(torch.bfloat16, nn.Linear(6, 12), nn.Tanh(), Product(), nn.Linear(8, 8))


def wrong_in_float16():
    return learned_in(torch.float16, nn.Linear(6, 12), nn.Tanh(), Product(), nn.Linear(8, 8))


def cast_and_back():
    """Nothing but a cast to half precision and back, as in training with simulated quantization."""

    class Cast(nn.Module):
        def forward(self, x):
            return x.bfloat16().to(x.dtype)

    return classified(nn.Linear(6, 12), nn.Tanh(), Cast(), nn.Linear(12, 8))


def overflowing():
    """Adam's epsilon is 0 in float16, where a gradient that is 0 as well makes a weight no number."""
    gauge = learned_in(torch.float16, nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 8), optimizer=lambda p: torch.optim.Adam(p, 1e-3))
    gauge["batch"][0][:, 0] = 0
    return gauge


def tokens():
    """Few tokens, each many times, whose gradient is added up in half precision."""
    gauge = learned_in(torch.bfloat16, nn.Embedding(4, 12), nn.Flatten(), nn.Linear(12 * 20, 8))
    return gauge | {"batch": (torch.randint(0, 4, (16, 20)), gauge["batch"][1])}


def statistics():
    """Running statistics in half precision."""
    return learned_in(torch.bfloat16, nn.Linear(6, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 8))


def partly():
    """Weights of one layer in half precision, as where others are kept exact."""

    class Half(nn.Linear):
        def forward(self, x):
            return super().forward(x.to(self.weight.dtype)).to(x.dtype)

    return classified(nn.Linear(6, 12), nn.LayerNorm(12), Half(12, 12).bfloat16(), nn.GELU(), nn.Linear(12, 8))


def recurrent_in_half():
    gauge = recurrent()
    gauge["model"].bfloat16()
    return gauge | {"batch": (gauge["batch"][0].bfloat16(), gauge["batch"][1])}


def untouched():
    return learned_in(torch.bfloat16, nn.Linear(6, 24), nn.GELU(), nn.Linear(24, 8), optimizer=lambda p: Untouched(p, 0.1))
