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
