"""One layer in all the ways in which users write it: module, function, operator, in place, called by functional_call."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn import functional as f

from models.backends.torch.promises.defaults import layer_pass
from models.backends.ways import Ways

Function = Callable[[torch.Tensor], torch.Tensor]
SHAPE = (5, 6)
POINTWISE: dict[str, tuple[Callable[[], nn.Module], dict[str, Function]]] = {
    "ReLU": (nn.ReLU, {"relu": f.relu, "torch.relu": torch.relu, "clamp": lambda x: x.clamp(min=0), "in place": lambda x: f.relu(x + 0, inplace=True)}),
    "ReLU6": (nn.ReLU6, {"relu6": f.relu6, "hardtanh": lambda x: f.hardtanh(x, 0, 6)}),
    "LeakyReLU": (nn.LeakyReLU, {"leaky_relu": f.leaky_relu, "in place": lambda x: f.leaky_relu(x + 0, inplace=True)}),
    "ELU": (nn.ELU, {"elu": f.elu, "in place": lambda x: f.elu(x + 0, inplace=True)}),
    "CELU": (nn.CELU, {"celu": f.celu, "elu": f.elu}),
    "SELU": (nn.SELU, {"selu": f.selu, "in place": lambda x: f.selu(x + 0, inplace=True)}),
    "GELU": (nn.GELU, {"gelu": f.gelu}),
    "SiLU": (nn.SiLU, {"silu": f.silu, "in place": lambda x: f.silu(x + 0, inplace=True)}),
    "Mish": (nn.Mish, {"mish": f.mish}),
    "Tanh": (nn.Tanh, {"tanh": f.tanh, "torch.tanh": torch.tanh, "method": torch.Tensor.tanh}),
    "Sigmoid": (nn.Sigmoid, {"sigmoid": f.sigmoid, "torch.sigmoid": torch.sigmoid, "method": torch.Tensor.sigmoid}),
    "LogSigmoid": (nn.LogSigmoid, {"logsigmoid": f.logsigmoid}),
    "Softplus": (nn.Softplus, {"softplus": f.softplus}),
    "Softsign": (nn.Softsign, {"softsign": f.softsign}),
    "Hardtanh": (nn.Hardtanh, {"hardtanh": f.hardtanh, "clamp": lambda x: x.clamp(-1, 1)}),
    "Hardswish": (nn.Hardswish, {"hardswish": f.hardswish}),
    "Hardsigmoid": (nn.Hardsigmoid, {"hardsigmoid": f.hardsigmoid}),
    "Hardshrink": (nn.Hardshrink, {"hardshrink": f.hardshrink}),
    "Softshrink": (nn.Softshrink, {"softshrink": f.softshrink}),
    "Tanhshrink": (nn.Tanhshrink, {"tanhshrink": f.tanhshrink, "formula": lambda x: x - x.tanh()}),
    "Threshold": (lambda: nn.Threshold(0.1, 20), {"threshold": lambda x: f.threshold(x, 0.1, 20)}),
    "Softmax": (lambda: nn.Softmax(1), {"softmax": lambda x: f.softmax(x, 1), "torch.softmax": lambda x: torch.softmax(x, 1), "method": lambda x: x.softmax(-1)}),
    "LogSoftmax": (lambda: nn.LogSoftmax(1), {"log_softmax": lambda x: f.log_softmax(x, 1), "method": lambda x: x.log_softmax(-1)}),
    "Softmin": (lambda: nn.Softmin(1), {"softmin": lambda x: f.softmin(x, 1), "softmax": lambda x: f.softmax(-x, 1)}),
    "GLU": (nn.GLU, {"glu": f.glu}),
    "Identity": (nn.Identity, {"itself": lambda x: x}),
    "Flatten": (nn.Flatten, {"flatten": lambda x: x.flatten(1), "reshape": lambda x: x.reshape(5, -1)}),
    "RMSNorm": (lambda: nn.RMSNorm(6), {"rms_norm": lambda x: f.rms_norm(x, (6,), torch.ones(6)), "without affine": lambda x: f.rms_norm(x, (6,))}),
    "LayerNorm": (lambda: nn.LayerNorm(6), {"layer_norm": lambda x: f.layer_norm(x, (6,), torch.ones(6), torch.zeros(6)), "without affine": lambda x: f.layer_norm(x, (6,))}),
    "GroupNorm": (lambda: nn.GroupNorm(2, 6), {"group_norm": lambda x: f.group_norm(x, 2, torch.ones(6), torch.zeros(6)), "without affine": lambda x: f.group_norm(x, 2)}),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(6), {"batch_norm": lambda x: f.batch_norm(x, None, None, torch.ones(6), torch.zeros(6), True), "without affine": lambda x: f.batch_norm(x, None, None, training=True)}),
    "PReLU": (nn.PReLU, {"prelu": lambda x: f.prelu(x, torch.tensor([0.25])), "leaky_relu": lambda x: f.leaky_relu(x, 0.25)}),
    "Dropout": (nn.Dropout, {"dropout": f.dropout, "in place": lambda x: f.dropout(x + 0, inplace=True)}),
    "AlphaDropout": (nn.AlphaDropout, {"alpha_dropout": lambda x: f.alpha_dropout(x, training=True)}),
    "RReLU": (nn.RReLU, {"rrelu": lambda x: f.rrelu(x, training=True)}),
}  # fmt: skip
"""By layer: how it is made, and functions that must do the same to outputs and gradients."""
SEQUENCES: dict[str, tuple[Callable[[], nn.Module], dict[str, Function]]] = {
    "AvgPool1d": (lambda: nn.AvgPool1d(3), {"avg_pool1d": lambda x: f.avg_pool1d(x, 3), "unfold": lambda x: x.unfold(2, 3, 3).mean(3)}),
    "MaxPool1d": (lambda: nn.MaxPool1d(3), {"max_pool1d": lambda x: f.max_pool1d(x, 3), "unfold": lambda x: x.unfold(2, 3, 3).amax(3)}),
    "LPPool1d": (lambda: nn.LPPool1d(2, 3), {"lp_pool1d": lambda x: f.lp_pool1d(x, 2, 3)}),
    "AdaptiveAvgPool1d": (lambda: nn.AdaptiveAvgPool1d(1), {"adaptive_avg_pool1d": lambda x: f.adaptive_avg_pool1d(x, 1), "mean": lambda x: x.mean(2, keepdim=True)}),
    "AdaptiveMaxPool1d": (lambda: nn.AdaptiveMaxPool1d(1), {"adaptive_max_pool1d": lambda x: f.adaptive_max_pool1d(x, 1), "amax": lambda x: x.amax(2, keepdim=True)}),
    "InstanceNorm1d": (lambda: nn.InstanceNorm1d(6), {"instance_norm": f.instance_norm}),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(2), {"local_response_norm": lambda x: f.local_response_norm(x, 2)}),
    "ZeroPad1d": (lambda: nn.ZeroPad1d(2), {"pad": lambda x: f.pad(x, (2, 2))}),
    "Unflatten": (lambda: nn.Unflatten(1, (2, 3)), {"unflatten": lambda x: x.unflatten(1, (2, 3)), "reshape": lambda x: x.reshape(5, 2, 3, -1)}),
}  # fmt: skip
WEIGHTED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], dict[str, Callable[[nn.Module, torch.Tensor], torch.Tensor]]]] = {
    "Linear": (lambda: nn.Linear(6, 4), SHAPE, {
        "linear": lambda m, x: f.linear(x, m.weight, m.bias), "operator": lambda m, x: x @ m.weight.T + m.bias,
        "addmm": lambda m, x: torch.addmm(m.bias, x, m.weight.T), "einsum": lambda m, x: torch.einsum("bi,oi->bo", x, m.weight) + m.bias,
    }),
    "Conv1d": (lambda: nn.Conv1d(6, 4, 3), (5, 6, 9), {"conv1d": lambda m, x: f.conv1d(x, m.weight, m.bias)}),
    "Conv1d of width 1": (lambda: nn.Conv1d(6, 4, 1), (5, 6, 9), {"linear": lambda m, x: f.linear(x.transpose(1, 2), m.weight[:, :, 0], m.bias).transpose(1, 2)}),
    "Conv2d": (lambda: nn.Conv2d(3, 4, 3), (2, 3, 6, 6), {"conv2d": lambda m, x: f.conv2d(x, m.weight, m.bias)}),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(6, 4, 3), (5, 6, 9), {"conv_transpose1d": lambda m, x: f.conv_transpose1d(x, m.weight, m.bias)}),
    "Bilinear": (lambda: nn.Bilinear(6, 6, 2), SHAPE, {}),
    "Embedding": (lambda: nn.Embedding(6, 4), (0,), {}),
}  # fmt: skip
SUMS = 16
"""How many roundings may part sums of a handful of products that are taken in another order."""


def _weighted(name: str, use: Callable[[nn.Module, torch.Tensor], torch.Tensor]) -> list[torch.Tensor]:
    make, shape, _ = WEIGHTED[name]
    torch.manual_seed(3)
    made = make()
    outputs = layer_pass(lambda: _Module(lambda x: use(made, x)), shape)
    return [*outputs, *(p.grad for p in made.parameters())]


class _Module(nn.Module):
    """A module that calls a function."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What the function makes of x."""
        return self.function(x)


def ways_of_writing_layers() -> Iterator[Ways]:
    """Modules, functions and formulas of each layer: outputs and gradients."""
    for rows, shape in ((POINTWISE, SHAPE), (SEQUENCES, (5, 6, 9))):
        for name, (make, functions) in rows.items():
            ways = {"module": lambda: layer_pass(make, shape), "in a Sequential": lambda: layer_pass(lambda: nn.Sequential(make()), shape)}
            ways["deepcopy"] = lambda: layer_pass(lambda: copy.deepcopy(make()), shape)
            ways |= {way: lambda use=use: layer_pass(lambda: _Module(use), shape) for way, use in functions.items()}
            yield Ways(name, ways, SUMS)
    for name, (_, _, functions) in WEIGHTED.items():
        if name in ("Bilinear", "Embedding"):
            continue
        called: dict[str, Callable[[nn.Module, torch.Tensor], torch.Tensor]] = {
            "module": lambda m, x: m(x),
            "functional_call": lambda m, x: torch.func.functional_call(m, dict(m.named_parameters()), (x,)),
        }
        yield Ways(name, {way: lambda use=use: _weighted(name, use) for way, use in (called | functions).items()}, 4 * SUMS)
    yield from _of_several_inputs()


def _of_several_inputs() -> Iterator[Ways]:
    torch.manual_seed(3)
    x, y, table, codes = torch.randn(5, 6), torch.randn(5, 6), torch.randn(7, 4), torch.tensor([3, 0, 6, 3])
    both = nn.Bilinear(6, 6, 2)
    written = {
        "bilinear": lambda: f.bilinear(x, y, both.weight, both.bias),
        "einsum": lambda: torch.einsum("bi,oij,bj->bo", x, both.weight, y) + both.bias,
    }
    yield Ways("Bilinear", {"module": lambda: both(x, y)} | written, 4 * SUMS)
    looked = {
        "embedding": lambda: f.embedding(codes, table),
        "index": lambda: table[codes],
        "one-hot": lambda: f.one_hot(codes, 7).float() @ table,
    }
    yield Ways("Embedding", {"module": lambda: nn.Embedding.from_pretrained(table)(codes)} | looked)
    yield Ways(
        "addition",
        {
            "+": lambda: x + y,
            "add": lambda: torch.add(x, y),
            "in place": lambda: x.clone().add_(y),
            "sum": lambda: torch.stack([x, y]).sum(0),
        },
    )
    yield Ways("CosineSimilarity", {"module": lambda: nn.CosineSimilarity()(x, y), "function": lambda: f.cosine_similarity(x, y), "formula": lambda: (x * y).sum(1) / x.norm(dim=1) / y.norm(dim=1)}, SUMS)  # fmt: skip
    yield Ways("PairwiseDistance", {"module": lambda: nn.PairwiseDistance()(x, y), "function": lambda: f.pairwise_distance(x, y), "formula": lambda: (x - y + 1e-6).norm(dim=1)}, SUMS)  # fmt: skip
    q, k, v = (torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(n)) for n in range(3))
    attention = {
        "function": lambda: f.scaled_dot_product_attention(q, k, v),
        "formula": lambda: (q @ k.transpose(1, 2) / 8**0.5).softmax(2) @ v,
    }
    yield Ways("scaled_dot_product_attention", attention, 4 * SUMS)
    causal = torch.ones(5, 5, dtype=torch.bool).tril()
    masked = {
        "is_causal": lambda: f.scaled_dot_product_attention(q, k, v, is_causal=True),
        "mask": lambda: f.scaled_dot_product_attention(q, k, v, causal),
    }
    yield Ways("scaled_dot_product_attention is_causal", masked, 4 * SUMS)
