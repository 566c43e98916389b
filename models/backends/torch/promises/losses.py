"""Losses as module, function and formula, with each reduction, and losses that contain one another."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn import functional as f

from models.backends.torch.promises.defaults import LOSSES, generator, loss_pass
from models.backends.ways import Ways

FUNCTIONS = {
    "CrossEntropyLoss": f.cross_entropy, "NLLLoss": f.nll_loss, "MultiMarginLoss": f.multi_margin_loss, "MSELoss": f.mse_loss,
    "L1Loss": f.l1_loss, "HuberLoss": f.huber_loss, "SmoothL1Loss": f.smooth_l1_loss, "PoissonNLLLoss": f.poisson_nll_loss,
    "BCEWithLogitsLoss": f.binary_cross_entropy_with_logits, "SoftMarginLoss": f.soft_margin_loss,
    "HingeEmbeddingLoss": f.hinge_embedding_loss, "KLDivLoss": f.kl_div,
}  # fmt: skip
FORMULAS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "CrossEntropyLoss": lambda x, y: (x.logsumexp(1) - x.gather(1, y[:, None])[:, 0]).mean(),
    "NLLLoss": lambda x, y: -x.gather(1, y[:, None]).mean(),
    "MSELoss": lambda x, y: (x - y).square().mean(),
    "L1Loss": lambda x, y: (x - y).abs().mean(),
    "HuberLoss": lambda x, y: torch.where((x - y).abs() < 1, (x - y).square() / 2, (x - y).abs() - 0.5).mean(),
    "SmoothL1Loss": lambda x, y: torch.where((x - y).abs() < 1, (x - y).square() / 2, (x - y).abs() - 0.5).mean(),
    "PoissonNLLLoss": lambda x, y: (x.exp() - y * x).mean(),
    "BCEWithLogitsLoss": lambda x, y: (f.softplus(x) - x * y).mean(),
    "SoftMarginLoss": lambda x, y: f.softplus(-x * y).mean(),
    "HingeEmbeddingLoss": lambda x, y: torch.where(y == 1, x, (1 - x).clamp(min=0)).mean(),
    "KLDivLoss": lambda x, y: (y * (y.log() - x)).mean(),
    "MultiMarginLoss": lambda x, y: ((1 - x.gather(1, y[:, None]) + x).clamp(min=0).sum(1) - 1).mean() / x.shape[1],
}
SUMS = 64
"""How many roundings may part sums over the 24 numbers here, of logarithms and powers, that are taken in another order."""


def ways_of_writing_losses() -> Iterator[Ways]:
    """Each loss as module, as function and by its formula; its reductions; and pairs that are the same by their documentation."""
    for name, (kind, _, _) in LOSSES.items():
        made, function, formula = getattr(nn, name), FUNCTIONS[name], FORMULAS[name]
        elements = 6 if kind == "classes" else 24
        ways: dict[str, Callable[..., torch.Tensor]] = {
            "module": made(),
            "function": function,
            "formula": formula,
            "mean of none": lambda x, y: made(reduction="none")(x, y).mean(),
            "sum over count": lambda x, y: made(reduction="sum")(x, y) / elements,
        }
        yield Ways(name, {way: lambda use=use: loss_pass(use, kind) for way, use in ways.items()}, SUMS)
    yield from _contained()


def _contained() -> Iterator[Ways]:
    weight = torch.tensor([0.5, 2.0, 1.0, 3.0])

    def smoothed(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        logs = x.log_softmax(1)
        return 0.9 * f.nll_loss(logs, y) - 0.1 * logs.mean(1).mean()

    def one_hot(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return f.cross_entropy(x, f.one_hot(y, 4).float())

    def weighted(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (weight[y] * f.cross_entropy(x, y, reduction="none")).sum() / weight[y].sum()

    def ignored(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return f.cross_entropy(x[y != 1], y[y != 1])

    classes: dict[str, dict[str, Callable[..., torch.Tensor]]] = {
        "CrossEntropyLoss of LogSoftmax": {"one": f.cross_entropy, "NLLLoss": lambda x, y: f.nll_loss(x.log_softmax(1), y), "twice": lambda x, y: f.cross_entropy(x.log_softmax(1), y)},
        "CrossEntropyLoss of probabilities": {"classes": f.cross_entropy, "one-hot": one_hot},
        "CrossEntropyLoss label_smoothing": {"option": nn.CrossEntropyLoss(label_smoothing=0.1), "formula": smoothed},
        "CrossEntropyLoss weight": {"option": nn.CrossEntropyLoss(weight=weight), "formula": weighted},
        "CrossEntropyLoss ignore_index": {"option": nn.CrossEntropyLoss(ignore_index=1), "left out": ignored},
        "CrossEntropyLoss of a shifted logit": {"plain": f.cross_entropy, "shifted": lambda x, y: f.cross_entropy(x + 2.0, y)},
    }  # fmt: skip
    for name, ways in classes.items():
        yield Ways(name, {way: lambda use=use: loss_pass(use, "classes") for way, use in ways.items()}, SUMS)
    numbers: dict[str, dict[str, Callable[..., torch.Tensor]]] = {
        "HuberLoss is SmoothL1Loss": {"huber": nn.HuberLoss(delta=0.7), "smooth": lambda x, y: 0.7 * f.smooth_l1_loss(x, y, beta=0.7)},
        "SmoothL1Loss of beta 0": {"l1": f.l1_loss, "smooth": nn.SmoothL1Loss(beta=0.0)},
        "GaussianNLLLoss": {"module": lambda x, y: nn.GaussianNLLLoss()(x, y, torch.full_like(x, 2.0)), "formula": lambda x, y: (torch.tensor(2.0).log() + (x - y).square() / 2).mean() / 2},
    }  # fmt: skip
    for name, ways in numbers.items():
        yield Ways(name, {way: lambda use=use: loss_pass(use, "numbers") for way, use in ways.items()}, SUMS)
    chances: dict[str, dict[str, Callable[..., torch.Tensor]]] = {
        "BCEWithLogitsLoss is BCELoss": {"logits": nn.BCEWithLogitsLoss(), "sigmoid": lambda x, y: nn.BCELoss()(x.sigmoid(), y), "function": lambda x, y: f.binary_cross_entropy(x.sigmoid(), y)},
        "BCEWithLogitsLoss pos_weight": {"option": nn.BCEWithLogitsLoss(pos_weight=weight), "formula": lambda x, y: (weight * y * f.softplus(-x) + (1 - y) * f.softplus(x)).mean()},
        "KLDivLoss log_target": {"plain": lambda x, y: f.kl_div(x, y), "logs": lambda x, y: f.kl_div(x, y.log(), log_target=True)},
        "KLDivLoss batchmean": {"sum": lambda x, y: f.kl_div(x, y, reduction="sum") / 6, "batchmean": nn.KLDivLoss(reduction="batchmean")},
    }  # fmt: skip
    for name, ways in chances.items():
        yield Ways(name, {way: lambda use=use: loss_pass(use, "chances") for way, use in ways.items()}, SUMS)
    a, b, c = (torch.randn(6, 4, generator=generator(n)) for n in range(3))
    sign = torch.tensor([1.0, -1, 1, -1, 1, -1])
    triplet = lambda: ((a - b + 1e-6).norm(dim=1) - (a - c + 1e-6).norm(dim=1) + 1).clamp(min=0).mean()  # noqa: E731
    yield Ways("TripletMarginLoss", {"module": lambda: nn.TripletMarginLoss()(a, b, c), "function": lambda: f.triplet_margin_loss(a, b, c), "formula": triplet, "with distance": lambda: nn.TripletMarginWithDistanceLoss()(a, b, c)}, SUMS)  # fmt: skip
    ranked = {
        "function": lambda: f.margin_ranking_loss(a[:, 0], b[:, 0], sign),
        "formula": lambda: (-sign * (a[:, 0] - b[:, 0])).clamp(min=0).mean(),
    }
    yield Ways("MarginRankingLoss", {"module": lambda: nn.MarginRankingLoss()(a[:, 0], b[:, 0], sign)} | ranked, SUMS)
    cosine = lambda: torch.where(sign == 1, 1 - f.cosine_similarity(a, b), f.cosine_similarity(a, b).clamp(min=0)).mean()  # noqa: E731
    yield Ways("CosineEmbeddingLoss", {"module": lambda: nn.CosineEmbeddingLoss()(a, b, sign), "function": lambda: f.cosine_embedding_loss(a, b, sign), "formula": cosine}, SUMS)  # fmt: skip
    marked = (b > 0).float()
    several = {
        "function": lambda: f.multilabel_soft_margin_loss(a, marked),
        "formula": lambda: f.binary_cross_entropy_with_logits(a, marked),
    }
    yield Ways("MultiLabelSoftMarginLoss", {"module": lambda: nn.MultiLabelSoftMarginLoss()(a, marked)} | several, SUMS)
