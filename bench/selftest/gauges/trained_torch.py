"""A PyTorch module that is trained on digits, as a user's file returns it, healthy and with faults that only a training shows."""

from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

SIZE = 32


def batches() -> list[Any]:
    x, y = load_digits(return_X_y=True)
    order = np.random.permutation(len(x))[: len(x) // SIZE * SIZE].reshape(-1, SIZE)
    return [(torch.tensor(x[rows] / 16, dtype=torch.float32), torch.tensor(y[rows])) for rows in order]


def accuracy(outputs: Any, targets: Any) -> Any:
    return (outputs.argmax(1) == targets).float().mean()


def net() -> dict[str, Any]:
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10))
    data = batches()
    return {
        "model": model, "loss": functional.cross_entropy, "data": data[:-8], "test": tuple(map(torch.cat, zip(*data[-8:], strict=True))),
        "metric": accuracy, "optimizer": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9), "schedule": decay(30),
    }  # fmt: skip


def decay(at: int) -> Any:
    return lambda optimizer: torch.optim.lr_scheduler.MultiStepLR(optimizer, [at], 0.1)


def late() -> dict[str, Any]:
    return net() | {"schedule": decay(36)}


def dropped() -> dict[str, Any]:
    given = net()
    return given | {"data": given["data"][:-1]}


def repeated() -> dict[str, Any]:
    given = net()
    data = given["data"]
    return given | {"data": [*data[:20], data[19], *data[21:]]}


def once() -> dict[str, Any]:
    given = net()
    return given | {"data": iter(given["data"])}


def unscored() -> dict[str, Any]:
    return net() | {"metric": functional.cross_entropy}
