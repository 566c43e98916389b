"""Options of layers, losses and optimizers: their documented defaults spelled out, and each moved to another value."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn, optim

from models.backends.ways import Ways

Options = dict[str, object]
LAYERS: dict[str, tuple[tuple[object, ...], tuple[int, ...], Options, Options]] = {
    "Linear": ((6, 4), (5, 6), {"bias": True}, {"bias": False}),
    "Conv1d": ((4, 6, 3), (5, 4, 9),
        {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": True, "padding_mode": "zeros"},
        {"stride": 2, "padding": 1, "dilation": 2, "groups": 2, "bias": False}),
    "LayerNorm": ((6,), (5, 6), {"eps": 1e-5, "elementwise_affine": True, "bias": True}, {"eps": 0.1}),
    "GroupNorm": ((2, 6), (5, 6), {"eps": 1e-5, "affine": True}, {"eps": 0.1}),
    "BatchNorm1d": ((6,), (5, 6), {"eps": 1e-5, "momentum": 0.1, "affine": True, "track_running_stats": True}, {"eps": 0.1}),
    "InstanceNorm1d": ((6,), (5, 6, 4), {"eps": 1e-5, "momentum": 0.1, "affine": False, "track_running_stats": False}, {"eps": 0.1}),
    "RMSNorm": ((6,), (5, 6), {"eps": None, "elementwise_affine": True}, {"eps": 0.1}),
    "LocalResponseNorm": ((2,), (5, 6, 4), {"alpha": 1e-4, "beta": 0.75, "k": 1.0}, {"alpha": 0.5, "beta": 0.5, "k": 2.0}),
    "Dropout": ((), (5, 6), {"p": 0.5, "inplace": False}, {"p": 0.2}),
    "AlphaDropout": ((), (5, 6), {"p": 0.5, "inplace": False}, {"p": 0.2}),
    "ELU": ((), (5, 6), {"alpha": 1.0, "inplace": False}, {"alpha": 0.5}),
    "CELU": ((), (5, 6), {"alpha": 1.0, "inplace": False}, {"alpha": 0.5}),
    "LeakyReLU": ((), (5, 6), {"negative_slope": 0.01, "inplace": False}, {"negative_slope": 0.3}),
    "PReLU": ((), (5, 6), {"num_parameters": 1, "init": 0.25}, {"init": 0.5}),
    "RReLU": ((), (5, 6), {"lower": 1 / 8, "upper": 1 / 3, "inplace": False}, {"lower": 0.2, "upper": 0.5}),
    "GELU": ((), (5, 6), {"approximate": "none"}, {"approximate": "tanh"}),
    "Softplus": ((), (5, 6), {"beta": 1.0, "threshold": 20.0}, {"beta": 2.0, "threshold": 0.5}),
    "Hardtanh": ((), (5, 6), {"min_val": -1.0, "max_val": 1.0, "inplace": False}, {"min_val": -0.5, "max_val": 0.5}),
    "Hardshrink": ((), (5, 6), {"lambd": 0.5}, {"lambd": 1.0}),
    "Softshrink": ((), (5, 6), {"lambd": 0.5}, {"lambd": 1.0}),
    "GLU": ((), (6, 6), {"dim": -1}, {"dim": 0}),
    "AvgPool1d": ((2,), (5, 6, 9), {"stride": None, "padding": 0, "ceil_mode": False, "count_include_pad": True}, {"stride": 1, "padding": 1}),
    "MaxPool1d": ((2,), (5, 6, 9), {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False}, {"stride": 1, "dilation": 2}),
    "Flatten": ((), (5, 6, 4), {"start_dim": 1, "end_dim": -1}, {"start_dim": 0}),
    "RNN": ((6, 4), (5, 3, 6), {"num_layers": 1, "nonlinearity": "tanh", "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False},
        {"nonlinearity": "relu", "bias": False, "batch_first": True, "bidirectional": True}),
    "LSTM": ((6, 4), (5, 3, 6), {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False, "proj_size": 0},
        {"bias": False, "batch_first": True, "bidirectional": True, "proj_size": 2}),
    "GRU": ((6, 4), (5, 3, 6), {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False},
        {"bias": False, "batch_first": True, "bidirectional": True}),
}  # fmt: skip
"""By layer: what it must be given, the shape of its input, its documented defaults, and other values that must change its output."""
REDUCTION: Options = {"reduction": "mean"}
LOSSES: dict[str, tuple[str, Options, Options]] = {
    "CrossEntropyLoss": ("classes", {"weight": None, "ignore_index": -100, "label_smoothing": 0.0} | REDUCTION, {"ignore_index": 1, "label_smoothing": 0.1}),
    "NLLLoss": ("classes", {"weight": None, "ignore_index": -100} | REDUCTION, {"ignore_index": 1}),
    "MultiMarginLoss": ("classes", {"p": 1, "margin": 1.0, "weight": None} | REDUCTION, {"p": 2, "margin": 0.5}),
    "MSELoss": ("numbers", REDUCTION, {"reduction": "sum"}),
    "L1Loss": ("numbers", REDUCTION, {"reduction": "sum"}),
    "HuberLoss": ("numbers", {"delta": 1.0} | REDUCTION, {"delta": 0.3}),
    "SmoothL1Loss": ("numbers", {"beta": 1.0} | REDUCTION, {"beta": 0.3}),
    "PoissonNLLLoss": ("numbers", {"log_input": True, "full": False, "eps": 1e-8} | REDUCTION, {"reduction": "sum"}),
    "BCEWithLogitsLoss": ("chances", {"weight": None, "pos_weight": None} | REDUCTION, {"reduction": "sum"}),
    "SoftMarginLoss": ("signs", REDUCTION, {"reduction": "sum"}),
    "HingeEmbeddingLoss": ("signs", {"margin": 1.0} | REDUCTION, {"margin": 0.3}),
    "KLDivLoss": ("chances", {"log_target": False} | REDUCTION, {"log_target": True, "reduction": "sum"}),
}  # fmt: skip
"""By loss: what kind of target it takes, its documented defaults, and other values that must change it."""
COMMON: Options = {"foreach": None, "maximize": False, "differentiable": False}
OPTIMIZERS: dict[str, tuple[Options, Options]] = {
    "SGD": ({"lr": 1e-3, "momentum": 0, "dampening": 0, "weight_decay": 0, "nesterov": False, "fused": None} | COMMON,
        {"momentum": 0.9, "weight_decay": 0.1, "maximize": True}),
    "Adam": ({"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0, "amsgrad": False, "fused": None, "capturable": False} | COMMON,
        {"betas": (0.5, 0.9), "eps": 0.1, "weight_decay": 0.1, "amsgrad": True, "maximize": True}),
    "AdamW": ({"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-2, "amsgrad": False, "fused": None, "capturable": False} | COMMON,
        {"betas": (0.5, 0.9), "eps": 0.1, "weight_decay": 0.1, "amsgrad": True, "maximize": True}),
    "NAdam": ({"lr": 2e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0, "momentum_decay": 4e-3, "decoupled_weight_decay": False, "capturable": False} | COMMON,
        {"betas": (0.5, 0.9), "eps": 0.1, "weight_decay": 0.1, "momentum_decay": 0.5, "maximize": True}),
    "RAdam": ({"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0, "decoupled_weight_decay": False, "capturable": False} | COMMON,
        {"betas": (0.5, 0.9), "eps": 0.1, "weight_decay": 0.1, "maximize": True}),
    "Adamax": ({"lr": 2e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0, "capturable": False} | COMMON,
        {"betas": (0.5, 0.9), "eps": 0.1, "weight_decay": 0.1, "maximize": True}),
    "Adagrad": ({"lr": 1e-2, "lr_decay": 0, "weight_decay": 0, "initial_accumulator_value": 0, "eps": 1e-10, "fused": None} | COMMON,
        {"lr_decay": 0.5, "weight_decay": 0.1, "initial_accumulator_value": 1, "eps": 0.1, "maximize": True}),
    "Adadelta": ({"lr": 1.0, "rho": 0.9, "eps": 1e-6, "weight_decay": 0, "capturable": False} | COMMON,
        {"rho": 0.5, "eps": 0.1, "weight_decay": 0.1, "maximize": True}),
    "RMSprop": ({"lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0, "momentum": 0, "centered": False, "capturable": False} | COMMON,
        {"alpha": 0.5, "eps": 0.1, "weight_decay": 0.1, "momentum": 0.9, "centered": True, "maximize": True}),
    "Rprop": ({"lr": 1e-2, "etas": (0.5, 1.2), "step_sizes": (1e-6, 50), "capturable": False} | COMMON,
        {"etas": (0.3, 1.5), "step_sizes": (1e-6, 5e-3), "maximize": True}),
    "ASGD": ({"lr": 1e-2, "lambd": 1e-4, "alpha": 0.75, "t0": 1e6, "weight_decay": 0, "capturable": False} | COMMON,
        {"lambd": 0.9, "weight_decay": 0.1, "maximize": True}),
}  # fmt: skip
"""By optimizer: its documented defaults, and other values that must change where eight steps lead."""
STEPS = 8
"""RAdam adapts from its sixth step on."""


def generator(seed: int) -> torch.Generator:
    """A generator on the CPU that begins with this seed."""
    return torch.Generator().manual_seed(seed)


def layer_pass(make: Callable[[], nn.Module], shape: tuple[int, ...]) -> list[torch.Tensor]:
    """Outputs of a layer made after seed 3 on a fixed input, and the input's gradient of a weighted sum of them."""
    torch.manual_seed(3)
    x = torch.randn(shape, generator=generator(4)).requires_grad_()
    outputs = make()(x)
    outputs = outputs[0] if isinstance(outputs, tuple) else outputs
    (outputs * torch.linspace(-1, 1, outputs.numel()).view(outputs.shape)).sum().backward()
    return [outputs, x.grad]


def loss_pass(loss: Callable[..., torch.Tensor], kind: str) -> list[torch.Tensor]:
    """A loss of fixed outputs and targets of this kind, and its gradient."""
    x = torch.randn(6, 4, generator=generator(5)).requires_grad_()
    numbers = torch.randn(6, 4, generator=generator(6))
    target = {"classes": torch.arange(6) % 4, "numbers": numbers, "chances": numbers.softmax(1), "signs": numbers.sign()}[kind]
    value = loss(x, target)
    value.sum().backward()
    return [value, x.grad]


def stepped(make: Callable[[list[nn.Parameter]], optim.Optimizer], steps: int = STEPS) -> list[torch.Tensor]:
    """Where an optimizer leads two weights whose gradients are drawn: small and large ones, smaller from step to step, for AMSGrad to remember."""
    draws = generator(7)
    parameters = [nn.Parameter(torch.randn(4, 3, generator=draws)), nn.Parameter(torch.randn(3, generator=draws))]
    optimizer = make(parameters)
    for number in range(steps):
        for parameter, size in zip(parameters, (0.1, 3.0), strict=True):
            parameter.grad = size * 0.4**number * torch.randn(parameter.shape, generator=draws)
        optimizer.step()
    return list(parameters)


def defaults_spelled_out() -> Iterator[Ways]:
    """Layers, losses and optimizers with nothing said, and with every documented default said."""
    for name, (given, shape, options, _) in LAYERS.items():
        kind = getattr(nn, name)
        ways = {"left out": {}, "spelled out": options} | {option: {option: value} for option, value in options.items()}
        yield Ways(name, {way: lambda said=said: layer_pass(lambda: kind(*given, **said), shape) for way, said in ways.items()})
    for name, (target, options, _) in LOSSES.items():
        kind = getattr(nn, name)
        yield Ways(name, {"left out": lambda: loss_pass(kind(), target), "spelled out": lambda: loss_pass(kind(**options), target)})
    for name, (options, _) in OPTIMIZERS.items():
        kind = getattr(optim, name)
        ways = {"left out": {}, "spelled out": options} | {option: {option: value} for option, value in options.items()}
        yield Ways(name, {way: lambda said=said: stepped(lambda p: kind(p, **said)) for way, said in ways.items()})


def options_act() -> Iterator[Ways]:
    """Each option at another value than its default, which must change something."""
    for name, (given, shape, _, options) in LAYERS.items():
        kind = getattr(nn, name)
        ways = {"default": {}} | {f"{option}={value}": {option: value} for option, value in options.items()}
        yield Ways(name, {way: lambda said=said: layer_pass(lambda: kind(*given, **said), shape) for way, said in ways.items()}, apart=True)
    for name, (target, _, options) in LOSSES.items():
        kind = getattr(nn, name)
        ways = {"default": {}} | {f"{option}={value}": {option: value} for option, value in options.items()}
        yield Ways(name, {way: lambda said=said: loss_pass(kind(**said), target) for way, said in ways.items()}, apart=True)
    for name, (_, options) in OPTIMIZERS.items():
        kind = getattr(optim, name)
        ways = {"default": {}} | {f"{option}={value}": {option: value} for option, value in options.items()}
        yield Ways(name, {way: lambda said=said: stepped(lambda p: kind(p, **said)) for way, said in ways.items()}, apart=True)
