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
