"""Models of which one way to train fails: an optimizer of float32 alone, and variants that raise."""

import torch
from torch import nn
from torch.nn import functional


def _with(optimizer, model=None, inputs=None):
    model = model or nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 3))
    batch = torch.randn(8, 6) if inputs is None else inputs, torch.randint(0, 3, (8,))
    return {"model": model, "loss": functional.cross_entropy, "batch": batch, "optimizer": optimizer}


class OnlyFloat32(torch.optim.SGD):
    """Stands for an optimizer whose kernel was written for float32."""

    def step(self, closure=None):
        if any(p.dtype != torch.float32 for group in self.param_groups for p in group["params"]):
            raise TypeError("this optimizer takes float32 alone")
        return super().step(closure)


class BrokenFused(torch.optim.SGD):
    """Stands for a release whose fused kernel raises."""

    def step(self, closure=None):
        if self.param_groups[0].get("fused"):
            raise RuntimeError("the fused kernel is broken")
        return super().step(closure)


class BrokenChannelsLast(nn.Module):
    """Stands for a release whose convolution raises in another memory format."""

    def __init__(self):
        super().__init__()
        self.conv, self.out = nn.Conv2d(3, 8, 3), nn.Linear(8, 3)

    def forward(self, x):
        if not x.is_contiguous():
            raise RuntimeError("this convolution is broken")
        return self.out(self.conv(x).mean((2, 3)))


def only_float32():
    return _with(lambda p: OnlyFloat32(p, 0.1))


def broken_fused():
    return _with(lambda p: BrokenFused(p, 0.1))


def broken_channels_last():
    return _with(lambda p: torch.optim.SGD(p, 0.1), BrokenChannelsLast(), torch.randn(8, 3, 8, 8))


class Masked(nn.Module):
    """Attention in bfloat16 whose mask is a buffer of infinities."""

    def __init__(self):
        super().__init__()
        self.query, self.out = nn.Linear(6, 6), nn.Linear(6, 3)
        self.register_buffer("mask", torch.full((5, 5), -torch.inf).triu(1))

    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            q = self.query(x)
            return self.out(((q @ q.transpose(1, 2)).float() + self.mask).softmax(-1) @ x).mean(1)


def masked():
    return _with(lambda p: torch.optim.SGD(p, 0.1), Masked(), torch.randn(8, 5, 6))


def _hardest(embedded, labels):
    apart = torch.cdist(embedded, embedded)
    same = labels[:, None] == labels[None, :]
    return functional.relu((apart * same).amax(1) - apart.masked_fill(same, torch.inf).amin(1) + 0.2).mean()


def hardest():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 3))
    return {"model": model, "loss": _hardest, "batch": (torch.randn(64, 6), torch.arange(64) % 8)}


def empty():
    return {"model": nn.Linear(6, 3), "loss": lambda z, y: (z - y).square().sum(), "batch": (torch.zeros(0, 6), torch.zeros(0, 3))}


class Waves(nn.Module):
    """Complex weights, and a parameter of whole numbers that is not learned."""

    def __init__(self):
        super().__init__()
        self.first, self.out = nn.Linear(6, 8, dtype=torch.complex64), nn.Linear(8, 3)
        self.order = nn.Parameter(torch.arange(3), requires_grad=False)

    def forward(self, x):
        return self.out(self.first(torch.complex(x, x.flip(1))).abs())


def _data():
    return [(torch.randn(8, 6), torch.randint(0, 3, (8,))) for _ in range(4)]


def complex_and_whole():
    model = Waves()
    learned = [p for p in model.parameters() if p.requires_grad]
    return {"model": model, "loss": functional.cross_entropy, "data": _data(), "optimizer": torch.optim.SGD(learned, 0.1)}


def second_order():
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    return {"model": model, "loss": functional.cross_entropy, "data": _data(), "optimizer": lambda p: torch.optim.LBFGS(p, 0.1)}


def weighted():
    data = [(x, y, torch.ones(8)) for x, y in _data()]
    return {"model": nn.Linear(6, 3), "loss": functional.cross_entropy, "batch": _data()[0], "data": data, "optimizer": torch.optim.Adam}


def inputs_alone():
    data = [[x] for x, _ in _data()]
    return {"model": nn.Linear(6, 6), "loss": lambda z: z.square().mean(), "data": data, "optimizer": torch.optim.Adam}
