"""PyTorch models of real sizes, whose kernels add up thousands of terms one after the other; nothing of the suite."""

import torch
from torch import nn
from torch.nn import functional


def classified(model, inputs):
    return {"model": model, "loss": functional.cross_entropy, "batch": (inputs, torch.randint(0, 10, (len(inputs),)))}


class Mean(nn.Module):
    """Over the second axis."""

    def forward(self, x):
        return x.mean(1)


class Patches(nn.Module):
    """An image in patches of 32 × 32 pixels, as vision transformers begin."""

    def __init__(self):
        super().__init__()
        self.patches, self.norm, self.head = nn.Conv2d(3, 64, 32, 32), nn.LayerNorm(64), nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.norm(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


def patches():
    return classified(Patches(), torch.randn(8, 3, 64, 64))


def images():
    """As many pixels as a batch of photographs has, for a kernel's gradient."""
    layers = nn.Conv2d(3, 16, 7, 2, 3), nn.Tanh(), nn.Conv2d(16, 32, 3, 2, 1), nn.Tanh()
    return classified(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)), torch.randn(16, 3, 128, 128))


def pooled():
    head = nn.Flatten(), nn.Linear(16, 10)
    return classified(nn.Sequential(nn.Conv2d(3, 16, 3), nn.Tanh(), nn.AvgPool2d(62), *head), torch.randn(8, 3, 64, 64))


def repeated():
    """Ten tokens, each thousands of times."""
    return classified(nn.Sequential(nn.Embedding(10, 32), Mean(), nn.Linear(32, 10)), torch.randint(0, 10, (64, 512)))


def bags():
    return classified(nn.Sequential(nn.EmbeddingBag(10, 32, mode="sum"), nn.Linear(32, 10)), torch.randint(0, 10, (64, 512)))


def turned():
    """Transposed convolutions."""
    layers = nn.Conv2d(3, 16, 5, 2), nn.Tanh(), nn.ConvTranspose2d(16, 8, 5, 2), nn.Tanh()
    return classified(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)), torch.randn(8, 3, 96, 96))


def tabular():
    """Few columns and many rows, whose products are narrow."""
    model = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 1))
    x = torch.randn(40_000, 6)
    return {"model": model, "loss": functional.mse_loss, "batch": (x, x.sin().sum(1, keepdim=True))}


def single():
    """One number from one, so that one sum is all of a gradient."""
    x = torch.randn(10_000, 1)
    return {"model": nn.Linear(1, 1), "loss": functional.mse_loss, "batch": (x, x.sin())}


class Turned(nn.Module):
    """Pairs of columns as complex numbers, times a small complex matrix, a vector, and themselves."""

    def __init__(self):
        super().__init__()
        self.complex = nn.Parameter(torch.randn(3, 3, dtype=torch.cfloat))
        self.vector = nn.Parameter(torch.randn(6))

    def forward(self, x):
        pairs = torch.complex(x[:, :3], x[:, 3:]) @ self.complex
        return (pairs.abs().mean(1) + torch.tanh(x @ self.vector)).unsqueeze(1)


def complex_numbers():
    x = torch.randn(20_000, 6)
    return {"model": Turned(), "loss": functional.mse_loss, "batch": (x, x.sin().sum(1, keepdim=True))}
