"""PyTorch models of shapes that users have: experts, graphs, teachers, pairs; nothing of the suite."""

import copy

import torch
from torch import nn
from torch.nn import functional


class Experts(nn.Module):
    """Two of four experts for each sample, and a loss that balances them."""

    def __init__(self):
        super().__init__()
        self.router, self.head = nn.Linear(8, 4), nn.Linear(8, 3)
        self.experts = nn.ModuleList([nn.Sequential(nn.Linear(8, 12), nn.GELU(), nn.Linear(12, 8)) for _ in range(4)])

    def forward(self, x):
        share = self.router(x).softmax(-1)
        weight, chosen = share.topk(2, -1)
        out = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            rows, place = torch.where(chosen == number)
            if len(rows):
                out.index_add_(0, rows, expert(x[rows]) * weight[rows, place, None])
        balance = (functional.one_hot(chosen, 4).float().mean((0, 1)) * share.mean(0)).sum()
        return {"logits": self.head(out), "balance": balance}


def experts():
    loss = lambda out, y: functional.cross_entropy(out["logits"], y) + 0.04 * out["balance"]  # noqa: E731
    batch = torch.randn(16, 8), torch.randint(0, 3, (16,))
    return {"model": Experts(), "loss": loss, "batch": batch, "optimizer": lambda p: torch.optim.AdamW(p, 1e-3)}


class Graph(nn.Module):
    """Two graph convolutions over edges."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(5, 12), nn.Linear(12, 3)

    def spread(self, x, edges):
        source, target = edges
        degree = torch.zeros(len(x)).scatter_add_(0, target, torch.ones(len(target))).clamp(min=1).rsqrt()
        return torch.zeros_like(x).index_add_(0, target, x[source] * (degree[source] * degree[target])[:, None])

    def forward(self, x, edges):
        return self.spread(self.second(torch.relu(self.spread(self.first(x), edges))), edges)


def graph():
    batch = (torch.randn(30, 5), torch.randint(0, 30, (2, 120))), torch.randint(0, 3, (30,))
    return {"model": Graph(), "loss": functional.cross_entropy, "batch": batch, "optimizer": lambda p: torch.optim.Adam(p, 1e-2)}


class Teacher(nn.Module):
    """A student whose teacher is an average of its weights, written within the forward pass."""

    def __init__(self):
        super().__init__()
        self.student = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 6))
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)

    def forward(self, x):
        with torch.no_grad():
            if self.training:
                torch._foreach_lerp_(list(self.teacher.parameters())[:2], list(self.student.parameters())[:2], 0.1)
                for theirs, ours in zip(list(self.teacher.parameters())[2:], list(self.student.parameters())[2:], strict=True):
                    theirs.lerp_(ours, 0.1)
            target = self.teacher(x)
        return functional.cosine_similarity(self.student(x + 0.1 * torch.randn_like(x)), target)


def teacher():
    return {"model": Teacher(), "loss": lambda same, _: 1 - same.mean(), "batch": (torch.randn(8, 6), torch.zeros(8))}


class Pairs(nn.Module):
    """Images and texts, by name, drawn together pair by pair."""

    def __init__(self):
        super().__init__()
        self.image, self.text, self.scale = nn.Linear(6, 8), nn.Linear(5, 8), nn.Parameter(torch.tensor(2.66))

    def forward(self, image, text):
        image, text = (functional.normalize(each, dim=-1) for each in (self.image(image), self.text(text)))
        return self.scale.exp() * image @ text.T


def pairs():
    """A loss of outputs alone beside a batch by name."""

    def loss(logits):
        places = torch.arange(len(logits))
        return (functional.cross_entropy(logits, places) + functional.cross_entropy(logits.T, places)) / 2

    batch = {"image": torch.randn(8, 6), "text": torch.randn(8, 5)}
    return {"model": Pairs(), "loss": loss, "batch": batch, "optimizer": lambda p: torch.optim.AdamW(p, 1e-3)}


class Branching(nn.Module):
    """A layer that a large batch alone goes through."""

    def __init__(self):
        super().__init__()
        self.first, self.large, self.last = nn.Linear(12, 20), nn.Linear(20, 20), nn.Linear(20, 5)

    def forward(self, x):
        h = self.first(x).tanh()
        return self.last(self.large(h).tanh() if h.square().sum() > 120 else h)


def branching():
    batch = torch.randn(16, 12).mul(3), torch.randint(0, 5, (16,))
    return {"model": Branching(), "loss": functional.cross_entropy, "batch": batch, "optimizer": lambda p: torch.optim.SGD(p, 0.1)}
