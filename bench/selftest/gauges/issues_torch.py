"""PyTorch models in which reported issues show, as users write them: this file imports nothing of the suite."""

import torch
from torch import nn
from torch.nn import functional


class Enlarged(nn.Module):
    """Images enlarged, cut, convolved, and thinned to local maxima where they are below their mean."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x):
        x = functional.interpolate(x, scale_factor=(1.5, 1.25), mode="bilinear", align_corners=False)[:, :, 1:7, 1:8]
        x = self.conv(x)
        pooled = functional.max_pool2d(x, 3, stride=1, padding=1)
        return torch.where(x > pooled.mean(dim=(2, 3), keepdim=True), x, pooled)


def enlarged():
    batch = torch.randn(2, 3, 8, 8), torch.randn(2, 4, 6, 7)
    return {"model": Enlarged(), "loss": functional.mse_loss, "batch": batch, "optimizer": lambda p: torch.optim.SGD(p, 0.1)}


class Recurrent(nn.Module):
    """A GRU that reads a sequence in one batch."""

    def __init__(self):
        super().__init__()
        self.gru, self.head = nn.GRU(22, 64), nn.Linear(64, 3)

    def forward(self, x):
        return self.head(self.gru(x.transpose(0, 1))[0][-1])


def batched_gru():
    batch = torch.randn(20, 50, 22), torch.randint(0, 3, (20,))
    return {"model": Recurrent(), "loss": functional.cross_entropy, "batch": batch, "optimizer": lambda p: torch.optim.SGD(p, 0.1)}


class Turned(nn.Module):
    """A layer whose samples and units change places before dropout."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 12), nn.Linear(8, 5)

    def forward(self, x):
        return self.second(functional.dropout(self.first(x).t().contiguous(), training=self.training))


def turned():
    batch = torch.randn(8, 6), torch.randint(0, 5, (12,))
    return {"model": Turned(), "loss": functional.cross_entropy, "batch": batch, "optimizer": lambda p: torch.optim.SGD(p, 0.1)}


class Slots(nn.Module):
    """Slots that share out a sequence of inputs, or attend to it, by the axis of their softmax."""

    def __init__(self, axis):
        super().__init__()
        self.slots, self.axis = nn.Parameter(torch.randn(1, 1, 3, 8)), axis
        self.key, self.value, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(24, 3)

    def forward(self, x):
        weights = torch.softmax(self.slots @ self.key(x).transpose(-2, -1) / 2.0, dim=self.axis)
        return self.head((weights @ self.value(x)).flatten(1))


def slots(axis):
    batch = torch.randn(8, 1, 5, 8), torch.randint(0, 3, (8,))
    return {"model": Slots(axis), "loss": functional.cross_entropy, "batch": batch, "optimizer": lambda p: torch.optim.SGD(p, 0.1)}


def sharing_slots():
    return slots(-2)


def attending_slots():
    return slots(-1)


def averaged(**options):
    pool = nn.AvgPool2d(3, 2, ceil_mode=True, **options)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), pool, nn.Flatten(), nn.Linear(36, 3))
    batch = torch.randn(4, 3, 8, 8), torch.randint(0, 3, (4,))
    return {"model": model, "loss": functional.cross_entropy, "batch": batch, "optimizer": lambda p: torch.optim.SGD(p, 0.1)}


def overhanging():
    return averaged()


def overhanging_without_padding():
    return averaged(count_include_pad=False)


def fused_in_bfloat16(optimizer=torch.optim.SGD):
    model = nn.Sequential(nn.Linear(32, 64), nn.Tanh(), nn.Linear(64, 4)).bfloat16()
    batch = torch.randn(8, 32, dtype=torch.bfloat16), torch.randint(0, 4, (8,))
    return {"model": model, "loss": functional.cross_entropy, "batch": batch, "optimizer": lambda p: optimizer(p, 0.1, fused=True)}


def fused_adam_in_bfloat16():
    return fused_in_bfloat16(torch.optim.AdamW)
