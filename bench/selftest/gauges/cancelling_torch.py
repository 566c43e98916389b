"""PyTorch models in which numbers cancel: what is left is small beside its terms, and float32 is off by a rounding of those."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Measured(nn.Module):
    """Features of which a function is taken."""

    def __init__(self, function, width=4, start=8):
        super().__init__()
        self.embed, self.function = nn.Linear(start, width), function
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.function(self.embed(x)) * self.scale


def _weighed(out: Tensor, _: Tensor) -> Tensor:
    """A mean of both signs, whose gradient is another one everywhere."""
    return (out * torch.arange(out.numel(), dtype=torch.int16).mul(7).remainder(19).sub(8).view_as(out)).mean()


def _gauge(function, x, width=4):
    return {
        "model": Measured(function, width, x.shape[-1]),
        "loss": _weighed,
        "batch": (x, torch.zeros(len(x))),
        "optimizer": lambda p: torch.optim.SGD(p, 0.1),
    }


def close(count=40, apart=0.01):
    """Points close together and far from zero."""
    return 1 + apart * torch.randn(count, 8)


def cdist():
    """Distances of more than 25 points, which PyTorch computes as a product of matrices."""
    return _gauge(lambda z: torch.cdist(z, z + 0.01), close())


def cdist_of_batches():
    """The same in batches."""
    return _gauge(lambda z: torch.cdist(z[None].expand(2, -1, -1), z[None] + 0.01), close())


def few_points():
    """Distances of so few points that they are taken one by one."""
    return _gauge(lambda z: torch.cdist(z, z + 0.01), close(20))


def _expanded(z: Tensor) -> Tensor:
    squares = z.square().sum(1)
    return (squares[:, None] + squares[None] - 2 * z @ z.T).clamp(min=1e-6).sqrt()


def expanded():
    """Squared distances from x² + y² − 2xy, as many write them."""
    return _gauge(_expanded, close())


def moments():
    """A variance from E[x²] − E[x]²."""
    return _gauge(lambda z: z.square().mean(0) - z.mean(0).square(), close())


def softplus_by_hand():
    """log(1 + eˣ) − x, of large numbers."""
    return _gauge(lambda z: (1 + (8 * z).exp()).log() - 8 * z, close())


def log1p():
    """Logarithms of 1 + x of small x, and eˣ − 1."""
    return _gauge(lambda z: torch.log1p(1e-3 * z) + torch.expm1(1e-3 * z), close())


def log_of_one_more():
    """The same by hand, which loses all digits but a few."""
    return _gauge(lambda z: (1 + 1e-3 * z).log() + ((1e-3 * z).exp() - 1), close())


def logsumexp():
    """Logarithms of sums of exponentials near zero."""
    return _gauge(lambda z: torch.logsumexp(z - z.mean(1, keepdim=True) - 1.386, 1), close())


def covariance():
    """Covariances and correlations."""
    return _gauge(lambda z: torch.cov(z.T) + torch.corrcoef(z.T), close())


def spread():
    """Variances and standard deviations by PyTorch's own functions."""
    return _gauge(lambda z: z.var(0) + z.std(0), close())


def differences():
    """Normalized differences."""
    return _gauge(lambda z: (z[:, :2] - z[:, 2:]) / (z[:, :2] + z[:, 2:]), close())


def pairs():
    """Distances of pairs, a cosine of near directions."""
    return _gauge(lambda z: functional.pairwise_distance(z, z.roll(1, 0)) + 1 - functional.cosine_similarity(z, z.roll(1, 0)), close())


def entropy():
    """Binary cross-entropy with logits and its like."""
    return _gauge(lambda z: functional.binary_cross_entropy_with_logits(8 * z, torch.ones_like(z), reduction="none"), close())


class Beside(nn.Module):
    """Distances, and a layer that has nothing to do with them."""

    def __init__(self):
        super().__init__()
        self.embed, self.other = nn.Linear(8, 4), nn.Linear(8, 5)

    def forward(self, x):
        z = self.embed(x)
        return torch.cat([torch.cdist(z, z + 0.01), self.other(x)], 1)


def beside():
    return _gauge(None, close()) | {"model": Beside()}
