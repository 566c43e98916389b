"""PyTorch models as a user has them: this file imports nothing of the suite."""

from types import SimpleNamespace

import torch
from torch import nn
from torch.nn import functional


class Encoder(nn.Module):
    """A text classifier on `torch.nn.TransformerEncoder`."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(50, 32)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 2)
        self.head = nn.Linear(32, 5)

    def forward(self, tokens):
        return self.head(self.encoder(self.embedding(tokens)).mean(1))


class Recurrent(nn.Module):
    """A sequence classifier on `torch.nn.LSTM`."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(8, 16, 2, batch_first=True)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


class Sensors(nn.Module):
    """Inputs by name, outputs as a dict, one parameter frozen, one never used."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(4, 8), nn.Linear(3, 8)
        self.right.bias.requires_grad_(False)
        self.unused = nn.Parameter(torch.zeros(2))
        self.scale = torch.ones(8)

    def forward(self, left, right):
        hidden = torch.tanh(self.left(left) + self.right(right)) * self.scale.float()
        return {"hidden": hidden, "loss": hidden.square().mean()}


class Images(nn.Module):
    """A small conv net with a bias before its batch normalization, whose gradient is zero but for rounding."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 12, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(108, 4),
        )

    def forward(self, x):
        return self.layers(x)


def encoder():
    batch = torch.randint(0, 50, (8, 12)), torch.randint(0, 5, (8,))
    return {"model": Encoder(), "loss": functional.cross_entropy, "batch": batch, "optimizer": lambda p: torch.optim.Adam(p, 1e-3)}


def recurrent():
    model = Recurrent()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, nesterov=True)
    data = [(torch.randn(16, 20, 8), torch.randint(0, 3, (16,))) for _ in range(2)]
    schedule = lambda o: torch.optim.lr_scheduler.StepLR(o, 1, 0.5)  # noqa: E731
    return SimpleNamespace(model=model, loss=nn.CrossEntropyLoss(), optimizer=optimizer, data=data, schedule=schedule)


def sensors():
    return {"model": Sensors(), "batch": {"left": torch.randn(6, 4), "right": torch.randn(6, 3)}}


def images():
    return Images(), functional.cross_entropy, (torch.randn(8, 3, 12, 12), torch.randint(0, 4, (8,))), lambda p: torch.optim.AdamW(p, 1e-3)


def bare():
    model = nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 2))
    model.example_inputs = lambda: torch.randn(5, 3)
    return model


def shapes():
    return {"model": nn.Linear(3, 2), "loss": functional.cross_entropy, "batch": (torch.randn(4, 5), torch.zeros(4, dtype=torch.long))}


def unreduced():
    return {"model": nn.Linear(3, 2), "loss": lambda z, y: (z - y) ** 2, "batch": (torch.randn(4, 3), torch.zeros(4, 2))}


class Wide(nn.Module):
    """Computes where float64 is refused."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 3)
        self.kernel = OnlyFloat32()

    def forward(self, x):
        return self.kernel(self.inner(x))


class OnlyFloat32(nn.Module):
    """Stands for a kernel that was written for float32."""

    def forward(self, x):
        if x.dtype != torch.float32:
            raise TypeError(f"this kernel takes float32, not {x.dtype}")
        return x * 2


def kernel():
    return {"model": Wide(), "loss": functional.mse_loss, "batch": (torch.randn(4, 3), torch.zeros(4, 3)), "optimizer": torch.optim.Adam}


def nothing():
    return 42


class Square(torch.autograd.Function):
    """A function of the user's own, whose backward pass has a wrong formula in every precision."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2.002 * x * g


class Formula(nn.Module):
    """Its first layer's gradient is 0.1 % too large."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(5, 6), nn.Linear(6, 2)

    def forward(self, x):
        return self.second(Square.apply(self.first(x)))


def formula():
    return {"model": Formula(), "loss": functional.mse_loss, "batch": (torch.randn(8, 5), torch.randn(8, 2))}


class Branching(nn.Module):
    """Takes other operations in float64, so that a float64 pass cannot be given what this one decides and draws."""

    def __init__(self, drops):
        super().__init__()
        self.first, self.second, self.drops = nn.Linear(5, 6), nn.Linear(6, 2), drops

    def forward(self, x):
        x = self.first(x)
        x = torch.relu(x) if x.dtype == torch.float32 else x.clamp(min=0)
        return self.second(functional.dropout(x, 0.5) if self.drops else x)


def branching():
    return {"model": Branching(False), "loss": functional.mse_loss, "batch": (torch.randn(8, 5), torch.randn(8, 2))}


def branching_draws():
    return {"model": Branching(True), "loss": functional.mse_loss, "batch": (torch.randn(8, 5), torch.randn(8, 2))}
