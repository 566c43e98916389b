"""PyTorch models whose parts are made once, outside of the factory; nothing of the suite."""

import torch
from torch import nn
from torch.nn import functional

RATE = torch.tensor(0.1)
MODEL = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.BatchNorm1d(5), nn.Linear(5, 2))
ADAM = torch.optim.Adam(MODEL.parameters(), 0.01)
BATCHES = [(torch.rand(8, 4), torch.rand(8, 2)) for _ in range(4)]


def halved(optimizer):
    return torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)


def model():
    return {"model": MODEL, "loss": functional.mse_loss, "data": BATCHES, "optimizer": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)}


def bound():
    return {"model": MODEL, "loss": functional.mse_loss, "data": BATCHES, "optimizer": ADAM, "schedule": halved}


def returned():
    """A function that gives the same optimizer each time."""
    return {"model": MODEL, "loss": functional.mse_loss, "data": BATCHES, "optimizer": lambda p: ADAM, "schedule": halved}


def rate():
    """A rate that is a tensor, into which a schedule writes."""
    net = nn.Linear(4, 2)
    return {
        "model": net,
        "loss": functional.mse_loss,
        "data": BATCHES,
        "schedule": halved,
        "optimizer": lambda p: torch.optim.Adam(p, RATE),
    }
