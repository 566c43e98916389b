"""PyTorch models with numbers in other formats than float32, and with infinite outputs."""

import torch
from torch import nn
from torch.nn import functional


class Net(nn.Module):
    """Two layers, and something besides in a format of its own."""

    def __init__(self, kind, value, used=lambda net, z: z):
        super().__init__()
        self.first, self.last = nn.Linear(12, 20), nn.Linear(20, 5)
        if kind == "buffer":
            self.register_buffer("other", value)
        else:
            self.other = nn.Parameter(value, requires_grad=value.is_floating_point())
        self.used = used

    def forward(self, x):
        return self.last(self.used(self, functional.gelu(self.first(x))).float())


def _gauge(model, **named):
    batch = torch.randn(16, 12), torch.randint(0, 5, (16,))
    loss = functional.cross_entropy
    return {"model": model, "loss": loss, "batch": batch, "optimizer": lambda p: torch.optim.AdamW(p, 1e-3)} | named


def counter():
    """A step counter among the parameters, which nothing uses."""
    return _gauge(Net("parameter", torch.zeros((), dtype=torch.int64)))


def counted():
    return _gauge(Net("buffer", torch.zeros((), dtype=torch.int64)))


def constant():
    return _gauge(Net("parameter", torch.ones(3, dtype=torch.float64)))


def constant_buffer():
    return _gauge(Net("buffer", torch.ones(3, dtype=torch.float64)))


def half():
    return _gauge(Net("parameter", torch.ones(3, dtype=torch.bfloat16)))


def half_buffer():
    return _gauge(Net("buffer", torch.ones(3, dtype=torch.float16)))


def scaled():
    """A scale that is learned in float64."""
    return _gauge(Net("parameter", torch.full((20,), 1.1, dtype=torch.float64), lambda net, z: z * net.other))


def scaled_by_buffer():
    return _gauge(Net("buffer", torch.full((20,), 1.1, dtype=torch.float64), lambda net, z: z * net.other))


def whole():
    """A model that is all in float64."""
    gauge = _gauge(Net("buffer", torch.ones(3)))
    gauge["model"].double().forward = lambda x, net=gauge["model"]: net.last(functional.gelu(net.first(x.double())))
    return gauge


class Masked(nn.Module):
    """Logits of which some are minus infinity, cast to another format and back where asked for."""

    def __init__(self, dtype):
        super().__init__()
        self.layer, self.dtype = nn.Linear(12, 5), dtype

    def forward(self, x):
        out = self.layer(x)
        if self.dtype is not None:
            out = out.to(self.dtype).to(x.dtype)
        return out.masked_fill(torch.arange(5) > 3, -torch.inf)


def masked():
    return _gauge(Masked(None), batch=(torch.randn(16, 12), torch.randint(0, 3, (16,))))


def masked_and_cast():
    """The same where there is no twin."""
    return _gauge(Masked(torch.bfloat16), batch=(torch.randn(16, 12), torch.randint(0, 3, (16,))))
