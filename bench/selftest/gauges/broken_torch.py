"""Factories that are wrong, each in its own way, as users write them; nothing of the suite."""

import sys

import torch
from torch import nn
from torch.nn import functional


def made(model=None, loss=functional.mse_loss, batch=None, **more):
    return {"model": model or nn.Linear(3, 2), "loss": loss, "batch": batch or (torch.randn(4, 3), torch.randn(4, 2)), **more}


def raises():
    return 1 / 0


def leaves():
    sys.exit("no data")


def takes(size):
    return made(nn.Linear(size, 2))


def gives_none():
    pass


def gives_a_class():
    return nn.Linear


def gives_a_tensor():
    return torch.zeros(3)


def gives_a_string():
    return "net"


def gives_keras():
    return {"model": "Sequential", "batch": (1, 2)}


def gives_a_generator():
    yield nn.Linear(3, 2)


async def waits():
    return made()


def no_parameters():
    return made(nn.ReLU(), batch=(torch.randn(4, 3), torch.randn(4, 3)))


def all_frozen():
    return made(nn.Linear(3, 2).requires_grad_(False))


def detached():
    return made(loss=lambda out, y: functional.mse_loss(out.detach(), y))


def loss_is_a_number():
    return made(loss=lambda out, y: float(functional.mse_loss(out, y)))


def loss_is_a_word():
    return made(loss="mse")


def loss_of_one():
    return made(loss=lambda out: out.mean())


def batch_is_numpy():
    import numpy as np

    return made(batch=(np.zeros((4, 3), "float32"), np.zeros((4, 2), "float32")))


def batch_is_empty():
    return {"model": nn.Linear(3, 2), "loss": functional.mse_loss, "batch": ()}


def data_is_empty():
    return {"model": nn.Linear(3, 2), "loss": functional.mse_loss, "data": []}


def data_ends():
    return {"model": nn.Linear(3, 2), "loss": functional.mse_loss, "data": [(torch.randn(4, 3), torch.randn(4, 2), 1)]}


def labels_are_out_of_range():
    return made(loss=functional.cross_entropy, batch=(torch.randn(4, 3), torch.tensor([0, 1, 2, 7])))


def optimizer_is_a_word():
    return made(optimizer="adam")


def optimizer_of_another():
    return made(optimizer=torch.optim.SGD(nn.Linear(3, 2).parameters(), 0.1))


def optimizer_takes_nothing():
    return made(optimizer=lambda: None)


def optimizer_gives_none():
    return made(optimizer=lambda parameters: None)


def schedule_is_one():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.1)
    return made(optimizer=torch.optim.Adam, schedule=torch.optim.lr_scheduler.StepLR(optimizer, 1))


class Uncopied(nn.Module):
    """Another model every time, and one that cannot be copied."""

    built = 0

    def __init__(self):
        super().__init__()
        type(self).built += 1
        self.layer, self.rows = nn.Linear(3, 2 + type(self).built), (n for n in range(3))

    def forward(self, x):
        return self.layer(x)[:, :2]


def another_every_time():
    return made(Uncopied())


def not_a_number():
    return made(loss=lambda out, y: (out - y).mean() * float("nan"))


def infinite():
    return made(loss=lambda out, y: (out - y).square().mean() / 0.0)


class Deep(nn.Module):
    """Calls itself without end."""

    def forward(self, x):
        return self(x)


def endless():
    return made(Deep())


def meta():
    return made(nn.Linear(3, 2, device="meta"))


class Mute(Exception):
    """An exception that raises another one where it is asked what it says."""

    def __str__(self):  # noqa: D105
        raise ValueError("nothing")


def mute():
    raise Mute


def endless_message():
    raise RuntimeError("x" * 5000)


def no_exception():
    raise BaseException("stopped")


def inference():
    with torch.inference_mode():
        return made()


def other_defaults():
    """Sets what holds for the whole process."""
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    return {"model": nn.Linear(4, 2), "loss": functional.mse_loss, "batch": (torch.randn(6, 4), torch.randn(6, 2))}
