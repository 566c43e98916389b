"""Models with hooks, losses that hold more than their arguments, lazy layers, masks and draws, as a user of PyTorch may write them."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def mlp():
    return nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 5))


def classified(model, inputs=None, loss=functional.cross_entropy, optimizer=lambda p: torch.optim.AdamW(p, 1e-3), **more):
    inputs = torch.randn(8, 6) if inputs is None else inputs
    return dict(model=model, loss=loss, batch=(inputs, torch.randint(0, 5, (len(inputs),))), optimizer=optimizer, **more)


def hooked(hook, parameter="2.weight"):
    model = mlp()
    model.get_parameter(parameter).register_hook(hook)
    return classified(model)


def clipped():
    """Every gradient is clipped by a hook."""
    model = mlp()
    for p in model.parameters():
        p.register_hook(lambda g: g.clamp(-0.01, 0.01))
    return classified(model)


def masked():
    mask = (torch.rand(5, 12) > 0.5).float()
    return hooked(lambda g: g * mask)


def logged():
    norms = []
    return hooked(lambda g: norms.append(float(g.norm())))


def afterwards():
    """Gradients are clipped once they are added up."""
    model = mlp()

    def clip(p):
        p.grad.clamp_(-0.01, 0.01)

    for p in model.parameters():
        p.register_post_accumulate_grad_hook(clip)
    return classified(model)


class Scaling(nn.Linear):
    """A layer that scales the gradient of its own weight."""

    def __init__(self):
        super().__init__(6, 12)
        self.scale, self.norms = 0.25, []
        self.weight.register_hook(self.scaled)

    def scaled(self, gradient):
        self.norms.append(gradient.norm())
        return gradient * self.scale


def scaled_by_itself():
    return classified(nn.Sequential(Scaling(), nn.Tanh(), nn.Linear(12, 5)))


def of_a_module():
    model = mlp()
    model[1].register_full_backward_hook(lambda module, before, behind: (before[0] * 1.5,))
    return classified(model)


class Halved(nn.Module):
    """A gradient halved on its way."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 12), nn.Linear(12, 5)

    def forward(self, x):
        z = self.first(x)
        if z.requires_grad:
            z.register_hook(lambda g: g / 2)
        return self.second(z.tanh())


def on_its_way():
    return classified(Halved())


def stepping():
    """Every parameter takes its step as soon as its gradient is there."""
    model = mlp()
    optimizers = {p: torch.optim.SGD([p], 0.1) for p in model.parameters()}

    def step(p):
        optimizers[p].step()
        optimizers[p].zero_grad()

    for p in model.parameters():
        p.register_post_accumulate_grad_hook(step)
    return classified(model, optimizer=None)


def decayed():
    """A loss that asks the model for its weights."""
    model = mlp()
    return classified(
        model, loss=lambda out, y: functional.cross_entropy(out, y) + 0.01 * sum(p.square().sum() for p in model.parameters())
    )


def decayed_in_part():
    model = mlp()
    weight = model[0].weight
    return classified(model, loss=lambda out, y: functional.cross_entropy(out, y) + 0.01 * weight.square().sum())


class Centers(nn.Module):
    """A loss that learns, too."""

    def __init__(self):
        super().__init__()
        self.centers = nn.Parameter(torch.randn(5, 5))

    def forward(self, out, y):
        return (out - self.centers[y]).square().mean()


def learned_loss():
    return classified(mlp(), loss=Centers())


class Tempered(nn.Module):
    """A model whose loss is a method of its own, with a temperature."""

    def __init__(self):
        super().__init__()
        self.head, self.heat = nn.Linear(6, 5), nn.Parameter(torch.tensor(1.0))

    def forward(self, x):
        return self.head(x)

    def loss(self, out, y):
        return functional.cross_entropy(out * self.heat.exp(), y)


def own_method():
    model = Tempered()
    return classified(model, loss=model.loss)


TEACHER = mlp().eval()


def distilled(out, x):
    return functional.kl_div(out.log_softmax(-1), TEACHER(x).softmax(-1), reduction="batchmean")


def taught():
    """A teacher that is a global, which only the loss knows."""
    x = torch.randn(8, 6)
    return {"model": mlp(), "loss": distilled, "batch": (x, x), "optimizer": lambda p: torch.optim.SGD(p, 0.1)}


class Remembering(nn.Module):
    """Keeps an activation for the loss."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 12), nn.Linear(12, 5)

    def forward(self, x):
        self.last = self.first(x).tanh()
        return self.second(self.last)


def remembered():
    model = Remembering()
    return classified(model, loss=lambda out, y: functional.cross_entropy(out, y) + model.last.abs().mean())


def lazy():
    return classified(nn.Sequential(nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(5)))


LAZY = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(5))


def lazy_and_shared():
    return classified(LAZY)


class Energy(nn.Module):
    """Forces: the gradient of an energy, by PyTorch's functional transformations."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 8), nn.Softplus(), nn.Linear(8, 1))

    def forward(self, x):
        return torch.vmap(torch.func.grad(lambda z: self.net(z).squeeze()))(x)


def forces():
    x, y = torch.randn(6, 3), torch.randn(6, 3)
    return {"model": Energy(), "loss": functional.mse_loss, "batch": (x, y), "optimizer": torch.optim.Adam}


class Gumbel(nn.Module):
    """Draws a class, past which the gradient goes straight."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 4), nn.Linear(4, 5)

    def forward(self, x):
        return self.second(functional.gumbel_softmax(self.first(x), tau=0.7, hard=True))


def gumbel():
    return classified(Gumbel())


def drawn_slopes():
    layers = nn.Linear(6, 12), nn.RReLU(), nn.Linear(12, 12), nn.RReLU(inplace=True), nn.Linear(12, 5)
    return classified(nn.Sequential(*layers))


class Closed(nn.Module):
    """Classes that are out of the question, by a buffer of infinities and by a mask."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(6, 7)
        self.register_buffer("closed", torch.tensor([0.0] * 6 + [-torch.inf]))

    def forward(self, x):
        return (self.head(x) + self.closed).masked_fill(torch.arange(7) == 5, -torch.inf)


def infinite_logits():
    return classified(Closed())


def on_a_plateau():
    """A schedule that asks for the loss, and acts at the first step that is no better."""
    schedule = lambda optimizer: torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max", patience=0)  # noqa: E731
    return classified(mlp(), optimizer=lambda p: torch.optim.SGD(p, 0.1), schedule=schedule)


def muon():
    """Orthogonalizes in bfloat16."""
    return classified(mlp(), optimizer=lambda p: torch.optim.Muon([each for each in p if each.ndim == 2]))


class Forward(nn.Module):
    """Derivatives in forward mode."""

    def __init__(self):
        super().__init__()
        self.net = nn.Linear(6, 5)

    def forward(self, x):
        return torch.func.jvp(self.net, (x,), (torch.ones_like(x),))[1] + self.net(x)


def forward_mode():
    return classified(Forward())


def schedules_in_a_list():
    return classified(mlp(), schedule=lambda optimizer: [torch.optim.lr_scheduler.StepLR(optimizer, 1)])


class Off(torch.autograd.Function):
    """Changes nothing, and its gradient is a thousandth too large."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return g * 1.001


class Wrong(nn.Linear):
    """A layer whose weight has that gradient."""

    def forward(self, x):
        return functional.linear(x, Off.apply(self.weight), self.bias)


def wrong_function():
    return classified(nn.Sequential(nn.Linear(6, 12), nn.Tanh(), Wrong(12, 5)))


def wrong_hook():
    return hooked(lambda g: g * 1.001)


def wrong_teacher():
    """A loss with a part that reaches the wrong weight a little."""
    model = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), Wrong(12, 5))
    return classified(
        model, loss=lambda out, y: functional.cross_entropy(out, y) + 0.01 * sum(p.square().sum() for p in model.parameters())
    )
