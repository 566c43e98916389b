"""PyTorch's own functions of what is learned, as it is stored: no operation before them, whose rounding would hide how theirs cancel."""

import torch
from torch import nn
from torch.nn import functional


def _weighed(out, _):
    """A mean of both signs, whose gradient is another one everywhere."""
    return (out * torch.arange(out.numel(), dtype=torch.int16).mul(7).remainder(19).sub(8).view_as(out)).mean()


class Fused(nn.Module):
    """One of PyTorch's own functions of what is learned, as it is stored, with no operation before it."""

    def __init__(self, function, *start):
        super().__init__()
        self.function = function
        self.values = nn.ParameterList([nn.Parameter(each) for each in start])

    def forward(self, x):
        return self.function(*self.values)


def _fused(function, *start):
    return {"model": Fused(function, *start), "loss": _weighed, "batch": (torch.ones(()), torch.zeros(()))}


def _far(*shape):
    return 300 + torch.randn(*shape)


def var():
    """A variance of numbers far from zero."""
    return _fused(lambda w: w.var(0), _far(50, 20))


def std():
    return _fused(lambda w: w.std(0), _far(50, 20))


def logsumexp():
    """A logarithm near zero of a sum of exponentials."""
    return _fused(lambda w: torch.logsumexp(w, 1), torch.randn(50, 20) * 1e-3 - 2.9957)


def logcumsumexp():
    return _fused(lambda w: torch.logcumsumexp(w, 1), torch.randn(50, 20) - 2)


def logaddexp():
    return _fused(torch.logaddexp, torch.randn(50, 20) * 1e-3 - 0.6931, torch.randn(50, 20) * 1e-3 - 0.6931)


def addmm():
    """A bias that takes away what a product gives."""
    left, right = torch.randn(20, 30), torch.randn(30, 20)
    return _fused(torch.addmm, -(left @ right) + 1e-3 * torch.randn(20, 20), left, right)


def lerp():
    start = torch.randn(50, 20)
    return _fused(lambda a, b: torch.lerp(a, b, 0.5), start, -start + 1e-4 * torch.randn(50, 20))


def addcmul():
    left, right = torch.randn(50, 20), torch.randn(50, 20)
    return _fused(torch.addcmul, -left * right + 1e-4 * torch.randn(50, 20), left, right)


def addcdiv():
    left, right = torch.randn(50, 20), torch.rand(50, 20) + 1
    return _fused(torch.addcdiv, -left / right + 1e-4 * torch.randn(50, 20), left, right)


def layer_norm():
    return _fused(lambda w: functional.layer_norm(w, [20]), _far(50, 20))


def group_norm():
    return _fused(lambda w: functional.group_norm(w, 2), _far(8, 4, 20))


def batch_norm():
    return _fused(lambda w: functional.batch_norm(w, None, None, training=True), _far(50, 20))


def instance_norm():
    return _fused(functional.instance_norm, _far(8, 4, 20))


def rms_norm():
    return _fused(lambda w: functional.rms_norm(w, [20]), _far(8, 20))


def weight_norm():
    return _fused(lambda v, g: torch._weight_norm(v, g, 0), _far(30, 20), torch.ones(30, 1))


def cumsum():
    return _fused(lambda w: w.cumsum(1), torch.randn(10, 500))


def sum():
    start = torch.randn(500, 20)
    return _fused(lambda w: w.sum(0), torch.cat([start, 1e-4 - start]))


def mean():
    start = torch.randn(500, 20)
    return _fused(lambda w: w.mean(0), torch.cat([start, 1e-4 - start]))


def inverse():
    return _fused(torch.linalg.inv, torch.eye(20) + 0.999 * torch.ones(20, 20) + 0.01 * torch.randn(20, 20))


def solved():
    return _fused(torch.linalg.solve, torch.randn(20, 20), torch.randn(20, 3))


def determinant():
    return _fused(lambda w: torch.linalg.slogdet(w)[1], torch.randn(20, 20))


def singular():
    return _fused(torch.linalg.svdvals, torch.randn(20, 10))


def eigen():
    return _fused(lambda w: torch.linalg.eigvalsh(w + w.T), torch.randn(12, 12))


def orthogonal():
    return _fused(lambda w: torch.linalg.qr(w)[0], torch.randn(20, 10))


def factor():
    return _fused(lambda w: torch.linalg.cholesky(w @ w.T + 0.1 * torch.eye(12)), torch.randn(12, 12))


def exponential():
    return _fused(torch.linalg.matrix_exp, torch.randn(12, 12) * 2)


def gelu():
    return _fused(functional.gelu, -3 - 2 * torch.rand(50, 20))


def silu():
    return _fused(functional.silu, -5 - 5 * torch.rand(50, 20))


def mish():
    return _fused(functional.mish, -5 - 5 * torch.rand(50, 20))


def logsigmoid():
    return _fused(functional.logsigmoid, 5 + 5 * torch.rand(50, 20))


def softplus():
    return _fused(functional.softplus, -5 - 5 * torch.rand(50, 20))


def elu():
    return _fused(functional.elu, -1e-3 * torch.rand(50, 20))


def bce():
    return _fused(lambda w: functional.binary_cross_entropy(w, torch.ones(50, 20), reduction="none"), 1 - 1e-4 * torch.rand(50, 20))


def attention():
    return _fused(functional.scaled_dot_product_attention, _far(2, 10, 8) / 30, _far(2, 10, 8) / 30, torch.randn(2, 10, 8))


def cosine():
    start = torch.randn(50, 20)
    return _fused(lambda a, b: functional.cosine_similarity(a, b), start, torch.randn(50, 20))


def softmax():
    return _fused(lambda w: w.softmax(1), 10 * torch.randn(50, 20))


def renorm():
    return _fused(lambda w: functional.normalize(w, dim=1), _far(50, 20))


def interpolated():
    return _fused(lambda w: functional.interpolate(w, scale_factor=2.5, mode="bilinear"), torch.randn(2, 3, 8, 8))


def grid_sampled():
    return _fused(lambda w, g: functional.grid_sample(w, g.tanh(), align_corners=False), torch.randn(2, 3, 8, 8), torch.randn(2, 8, 8, 2))


def transformed():
    return _fused(lambda w: torch.fft.irfft(torch.fft.rfft(w) * 0.5, 50), _far(20, 50))


def prod():
    return _fused(lambda w: w.prod(1), 1 + 0.1 * torch.randn(20, 50))


def trapezoid():
    return _fused(lambda w: torch.trapezoid(w) + w.diff().sum(1), _far(20, 50))


def sure():
    """Probabilities of which float32 rounds half to 1, in a loss that refuses larger ones."""
    start, labels = torch.cat([18 + torch.rand(25, 20), torch.randn(25, 20)]), torch.ones(50, 20)
    return _fused(lambda w: w.sigmoid(), start) | {"loss": lambda out, _: functional.binary_cross_entropy(out, labels)}


def laplacian():
    """Second differences of a smooth image."""
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    smooth = (torch.arange(32.0) / 20).sin()[:, None] * (torch.arange(32.0) / 17).cos()
    return _fused(lambda w: functional.conv2d(w, kernel), smooth[None, None] + 2)


def projected():
    """A product whose few terms cancel."""
    return _fused(lambda a, b: a @ (b - b.mean(0)), 100 + torch.randn(20, 8), torch.randn(8, 6))
