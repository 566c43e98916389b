"""PyTorch models by form: inputs and outputs of every kind, buffers, shared and frozen parameters, optimizers; nothing of the suite."""

import dataclasses
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional


def trained(model, loss, batch, optimizer=lambda parameters: torch.optim.SGD(parameters, 0.1)):
    return {"model": model, "loss": loss, "batch": batch, "optimizer": optimizer}


def layers():
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))


def points():
    return torch.randn(6, 4), torch.randn(6, 2)


class Named(NamedTuple):
    """An output with names."""

    mean: torch.Tensor
    others: dict


@dataclasses.dataclass
class Output:
    """An output as Hugging Face's are."""

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None


class Several(nn.Module):
    """A dict and a number in, a named tuple with nested outputs out."""

    def __init__(self):
        super().__init__()
        self.layers, self.embedding = layers(), nn.EmbeddingBag(10, 4, mode="max")

    def forward(self, images, extra, scale=1.0):
        x = self.layers(images["x"] * scale + self.embedding(extra))
        return Named(x, {"square": x.square(), "list": [x.mean(), (x.sum(1), "a word", None, 3)]})


def several():
    loss = lambda out, y: functional.mse_loss(out.mean, y) + out.others["list"][0] ** 2  # noqa: E731
    x, y = points()
    inputs = {"images": {"x": x}, "extra": torch.randint(0, 10, (6, 3)), "scale": 0.5}
    return trained(Several(), loss, (inputs, y))


class Losing(nn.Module):
    """Computes its own loss from keyword arguments, and returns it in a dataclass."""

    def __init__(self):
        super().__init__()
        self.layers = layers()

    def forward(self, values, labels=None):
        logits = self.layers(values)
        return Output(None if labels is None else functional.mse_loss(logits, labels), logits)


def losing():
    x, y = points()
    return {"model": Losing(), "batch": {"values": x, "labels": y}, "optimizer": torch.optim.Adagrad}


class Scalar(nn.Module):
    """One number alone is learned; the output is the loss."""

    def __init__(self):
        super().__init__()
        self.temperature = nn.Parameter(torch.tensor(2.0))
        self.register_buffer("steps", torch.tensor(0))
        self.register_buffer("seen", torch.zeros(()), persistent=False)
        self.register_buffer("nothing", None)

    def forward(self, x):
        if self.training:
            self.steps += 1
            self.seen.mul_(0.9).add_(x.detach().mean(), alpha=0.1)
        return (x / self.temperature).logsumexp(0).mean()


def scalar():
    return {"model": Scalar(), "batch": torch.randn(6, 4), "optimizer": lambda p: torch.optim.SGD(p, 0.1)}


class Moving(nn.Module):
    """Moving averages of its own in attributes that are no buffers: a tensor, a number and a list."""

    def __init__(self):
        super().__init__()
        self.layers, self.average, self.calls, self.history = layers(), torch.zeros(2), 0, []

    def forward(self, x):
        out = self.layers(x)
        if self.training:
            self.calls += 1
            self.average = 0.9 * self.average + 0.1 * out.detach().mean(0)
            self.history.append(float(out.detach().mean()))
        return out - self.average


def moving():
    return trained(Moving(), nn.MSELoss(), points())


class Tied(nn.Module):
    """A weight used twice and transposed, a module used three times, an empty one and a parameter of size 0."""

    def __init__(self):
        super().__init__()
        self.code, self.inner, self.empty = nn.Linear(4, 6), nn.Linear(6, 6), nn.Sequential()
        self.again, self.none, self.identity = self.inner, nn.Parameter(torch.zeros(0, 3)), nn.Identity()

    def forward(self, x):
        hidden = self.empty(torch.tanh(self.code(x)))
        for layer in (self.inner, self.again, self.inner):
            hidden = self.identity(torch.tanh(layer(hidden)))
        return functional.linear(hidden, self.code.weight.t()) + self.none.sum()


def tied():
    x = torch.randn(6, 4)
    return trained(Tied(), nn.L1Loss(), (x, x.clone()))


def frozen():
    """All but the head is frozen and in evaluation mode, as in fine-tuning; the optimizer has the head alone."""
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2))
    model[:3].requires_grad_(False).eval()
    return trained(model, nn.MSELoss(), points(), torch.optim.AdamW(model[3].parameters(), 1e-2))


def grouped():
    """Parameter groups with rates of their own, and no weight decay for biases."""
    model = layers()

    def optimizer(parameters):
        ones, others = [p for p in parameters if p.dim() > 1], [p for p in model.parameters() if p.dim() < 2]
        return torch.optim.AdamW([{"params": ones, "weight_decay": 0.1}, {"params": others, "lr": 1e-2}], 1e-3)

    return trained(model, nn.MSELoss(), points(), optimizer)


def bound():
    """An optimizer with groups of this model's own parameters."""
    model = layers()
    groups = [{"params": model[0].parameters(), "lr": 1e-2}, {"params": model[2].parameters(), "lr": 1e-3}]
    return trained(model, nn.MSELoss(), points(), torch.optim.AdamW(groups))


def curved():
    """An optimizer that asks for the loss again."""
    return trained(layers(), nn.MSELoss(), points(), lambda p: torch.optim.LBFGS(p, lr=0.1))


def loaded():
    """Batches from a loader that shuffles."""
    samples = torch.utils.data.TensorDataset(torch.randn(24, 4), torch.randn(24, 2))
    loader = torch.utils.data.DataLoader(samples, 6, shuffle=True)
    return {"model": layers(), "loss": nn.MSELoss(), "data": loader, "optimizer": torch.optim.NAdam}


class Growing(nn.Module):
    """Sizes that depend on the data: a mask, sorted and unique values, a loop that ends by a number."""

    def __init__(self):
        super().__init__()
        self.layers = layers()

    def forward(self, x):
        kept = self.layers(x[x.sum(1) > 0])
        ranked = kept.sort(0).values.cumsum(0)
        while ranked.norm() > 3:
            ranked = ranked * 0.7
        return ranked.sum() + kept.median() + kept.quantile(0.3)


def growing():
    return {"model": Growing(), "batch": torch.randn(9, 4), "optimizer": lambda p: torch.optim.SGD(p, 0.01)}


class Uncopied(nn.Module):
    """Holds what cannot be copied."""

    def __init__(self):
        super().__init__()
        self.layers, self.rows = layers(), (n for n in range(9))

    def forward(self, x):
        return self.layers(x)


def uncopied():
    return trained(Uncopied(), nn.MSELoss(), points())
