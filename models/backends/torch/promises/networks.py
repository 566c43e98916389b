"""One network, and one training, in all the ways in which users write them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch
from torch import func, nn, optim
from torch.nn import functional, utils
from torch.optim import swa_utils
from torch.utils import checkpoint

from models.backends.registry import Absent
from models.backends.torch.promises.defaults import OPTIMIZERS, generator, stepped
from models.backends.ways import Ways

Forward = Callable[[nn.Module, torch.Tensor], torch.Tensor]
SUMS = 64
"""How many roundings may part sums over a batch of eight and six units, forth and back, in another order."""

NAMES_TAKEN = (2, 6)
"""The first release whose optimizers take named parameters."""


class Written(nn.Module):
    """The network as a class."""

    def __init__(self) -> None:
        """Three named layers."""
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return self.last(torch.tanh(self.norm(self.first(x))))


def _sequential() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 3))


class Listed(nn.Module):
    """The network as a list of layers."""

    def __init__(self, made: nn.Sequential) -> None:
        """Of layers that are there."""
        super().__init__()
        self.layers = nn.ModuleList(made)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        for layer in self.layers:
            x = layer(x)
        return x


class Named(nn.Module):
    """The network as a dictionary of layers."""

    def __init__(self, made: nn.Sequential) -> None:
        """Of layers that are there."""
        super().__init__()
        self.layers = nn.ModuleDict({str(number): layer for number, layer in enumerate(made)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        for layer in self.layers.values():
            x = layer(x)
        return x


def _seeded(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(8)
    return make()


X, LABELS = torch.randn(8, 6, generator=generator(0), device="cpu"), torch.arange(8, device="cpu") % 3


def _passed(make: Callable[[], nn.Module], forward: Forward = lambda made, x: made(x)) -> list[torch.Tensor]:
    made = _seeded(make)
    logits = forward(made, X)
    functional.cross_entropy(logits, LABELS).backward()
    return [logits, *(p.grad for p in made.parameters())]


def ways_of_writing_networks() -> Iterator[Ways]:
    """Sequential, class, list, dictionary, functions alone, functional_call, checkpoint; and gradients by all of autograd's entry points."""
    makes: dict[str, Callable[[], nn.Module]] = {
        "Sequential": _sequential,
        "class": Written,
        "ModuleList": lambda: Listed(_sequential()),
        "ModuleDict": lambda: Named(_sequential()),
        "nested Sequential": lambda: (lambda made: nn.Sequential(made[:2], made[2:]))(_sequential()),
        "add_module": _added,
        "deepcopy": lambda: copy.deepcopy(_sequential()),
        "state_dict": _loaded,
        "float64 and back": lambda: _sequential().double().float(),
    }
    forwards: dict[str, Forward] = {
        "functional_call": lambda made, x: func.functional_call(made, dict(made.named_parameters()), (x,)),
        "functions": _functions,
        "checkpoint": lambda made, x: checkpoint.checkpoint(made, x, use_reentrant=False),
        "reentrant checkpoint": lambda made, x: checkpoint.checkpoint(made, x.clone().requires_grad_(), use_reentrant=True),
        "checkpoint_sequential": lambda made, x: checkpoint.checkpoint_sequential(made, 2, x, use_reentrant=False),
        "hooks that do nothing": _hooked,
    }
    ways: dict[str, Callable[[], object]] = {name: lambda make=make: _passed(make) for name, make in makes.items()}
    yield Ways("network", ways | {name: lambda use=use: _passed(_sequential, use) for name, use in forwards.items()}, SUMS)
    yield Ways("vmap", {"batch": lambda: _seeded(Written)(X), "vmap": lambda: func.vmap(_seeded(Written))(X)}, SUMS)
    yield from _differentiated()


def _added() -> nn.Module:
    made = nn.Sequential()
    for name, layer in (("first", nn.Linear(6, 8)), ("norm", nn.LayerNorm(8)), ("act", nn.Tanh()), ("last", nn.Linear(8, 3))):
        made.add_module(name, layer)
    return made


def _loaded() -> nn.Module:
    state = _sequential().state_dict()
    made = _sequential()
    made.load_state_dict(state)
    return made


def _functions(made: nn.Module, x: torch.Tensor) -> torch.Tensor:
    w, b, scale, shift, v, c = made.parameters()
    return functional.linear(functional.layer_norm(functional.linear(x, w, b), (8,), scale, shift).tanh(), v, c)


def _hooked(made: nn.Module, x: torch.Tensor) -> torch.Tensor:
    for layer in made.children():
        layer.register_forward_hook(lambda *given: None)
        layer.register_full_backward_hook(lambda *given: None)
    return made(x)


def _differentiated() -> Iterator[Ways]:
    def loss(made: nn.Module, parameters: dict[str, torch.Tensor]) -> torch.Tensor:
        return functional.cross_entropy(func.functional_call(made, parameters, (X,)), LABELS)

    def gradients(how: str) -> list[torch.Tensor]:
        made = _seeded(Written)
        own = dict(made.named_parameters())
        if how == "backward":
            loss(made, own).backward()
            return [p.grad for p in own.values()]
        if how == "two halves":
            for half in (slice(0, 4), slice(4, 8)):
                (functional.cross_entropy(made(X[half]), LABELS[half]) / 2).backward()
            return [p.grad for p in own.values()]
        if how == "retain_graph":
            value = loss(made, own)
            value.backward(retain_graph=True)
            made.zero_grad()
            value.backward()
            return [p.grad for p in own.values()]
        if how == "autograd.grad":
            return list(torch.autograd.grad(loss(made, own), list(own.values())))
        if how == "create_graph":
            return list(torch.autograd.grad(loss(made, own), list(own.values()), create_graph=True))
        if how == "func.grad":
            return list(func.grad(lambda parameters: loss(made, parameters))(own).values())
        if how == "func.vjp":
            _, back = func.vjp(lambda parameters: loss(made, parameters), own)
            return list(back(torch.tensor(1.0))[0].values())
        each = func.vmap(
            func.grad(lambda p, x, y: functional.cross_entropy(func.functional_call(made, p, (x[None],)), y[None])), (None, 0, 0)
        )
        return [g.mean(0) for g in each(own, X, LABELS).values()]

    ways = ("backward", "autograd.grad", "create_graph", "retain_graph", "two halves", "func.grad", "func.vjp", "vmap of func.grad")
    yield Ways("gradients", {how: lambda how=how: gradients(how) for how in ways}, SUMS)


def ways_of_training() -> Iterator[Ways]:
    """One training by parameter groups, names, tensors for rates, closures, hooks, negated gradients; averages and clipping by formula."""
    for name in OPTIMIZERS:
        kind = getattr(optim, name)

        def negated(kind: type[optim.Optimizer] = kind) -> list[torch.Tensor]:
            steps = stepped(lambda p: _negating(kind(p, lr=0.05, maximize=True)))
            return steps

        ways: dict[str, Callable[[], object]] = {
            "list": lambda: stepped(lambda p: kind(p, lr=0.05)),
            "generator": lambda: stepped(lambda p: kind((each for each in p), lr=0.05)),
            "one group": lambda: stepped(lambda p: kind([{"params": p}], lr=0.05)),
            "a group each": lambda: stepped(lambda p: kind([{"params": [each]} for each in p], lr=0.05)),
            "options in groups": lambda: stepped(lambda p: kind([{"params": [each], "lr": 0.05} for each in p], lr=7.0)),
            "add_param_group": lambda: stepped(lambda p: _group_added(kind, p)),
            "names": lambda: stepped(lambda p: kind(_named(p), lr=0.05)),
            "maximize of negated": negated,
            "closure": lambda: stepped(lambda p: _closing(kind(p, lr=0.05))),
        }
        yield Ways(f"optimizer {name}", ways)
    yield from _clipped()
    yield from _averaged()


def _named(parameters: list[torch.nn.Parameter]) -> list[tuple[str, torch.nn.Parameter]]:
    """Raises Absent where optimizers take no names yet."""
    if tuple(int(part) for part in torch.__version__.split(".")[:2]) < NAMES_TAKEN:
        raise Absent(f"PyTorch {torch.__version__} has no named parameters of optimizers")
    return [(str(place), each) for place, each in enumerate(parameters)]


def _negating(optimizer: optim.Optimizer) -> optim.Optimizer:
    optimizer.register_step_pre_hook(lambda o, args, given: [p.grad.neg_() for g in o.param_groups for p in g["params"]] and None)
    return optimizer


class _Closed:
    def __init__(self, optimizer: optim.Optimizer) -> None:
        self.optimizer = optimizer

    def step(self) -> None:
        self.optimizer.step(lambda: torch.tensor(0.0))


def _closing(optimizer: optim.Optimizer) -> _Closed:
    return _Closed(optimizer)


def _group_added(kind: type[optim.Optimizer], parameters: list[nn.Parameter]) -> optim.Optimizer:
    optimizer: optim.Optimizer = kind(parameters[:1], lr=0.05)
    optimizer.add_param_group({"params": parameters[1:]})
    return optimizer


def _clipped() -> Iterator[Ways]:
    draws = [torch.randn(4, 3, generator=generator(1)), torch.randn(3, generator=generator(2))]

    def clipped(act: Callable[[list[nn.Parameter]], object]) -> list[torch.Tensor]:
        parameters = [nn.Parameter(torch.zeros_like(g)) for g in draws]
        for p, g in zip(parameters, draws, strict=True):
            p.grad = g.clone()
        act(parameters)
        return [p.grad for p in parameters]

    norm = torch.cat([g.flatten() for g in draws]).norm()
    ways: dict[str, Callable[[], object]] = {
        "formula": lambda: [g * 0.5 / (norm + 1e-6) for g in draws],
        "clip_grad_norm_": lambda: clipped(lambda p: utils.clip_grad_norm_(p, 0.5)),
        "foreach": lambda: clipped(lambda p: utils.clip_grad_norm_(p, 0.5, foreach=True)),
        "single": lambda: clipped(lambda p: utils.clip_grad_norm_(p, 0.5, foreach=False)),
        "get_total_norm": lambda: clipped(lambda p: utils.clip_grads_with_norm_(p, 0.5, utils.get_total_norm([each.grad for each in p]))),
    }
    yield Ways("clip_grad_norm_", ways, SUMS)
    told = {"formula": lambda: norm, "returned": lambda: utils.clip_grad_norm_([_with(g) for g in draws], 0.5)}
    yield Ways("clip_grad_norm_ returns the norm before", told, SUMS)
    largest = {"formula": lambda: [g * 0.5 / (max(d.abs().max() for d in draws) + 1e-6) for g in draws]}
    yield Ways(
        "clip_grad_norm_ of norm inf", largest | {"option": lambda: clipped(lambda p: utils.clip_grad_norm_(p, 0.5, float("inf")))}, SUMS
    )
    values = {
        "formula": lambda: [g.clamp(-0.2, 0.2) for g in draws],
        "clip_grad_value_": lambda: clipped(lambda p: utils.clip_grad_value_(p, 0.2)),
    }
    yield Ways("clip_grad_value_", values)
    vector = utils.parameters_to_vector([_with(g) for g in draws])
    yield Ways("parameters_to_vector", {"before": lambda: draws, "back": lambda: _vector_back(vector)})


def _with(gradient: torch.Tensor) -> nn.Parameter:
    parameter = nn.Parameter(gradient.clone())
    parameter.grad = gradient.clone()
    return parameter


def _vector_back(vector: torch.Tensor) -> list[nn.Parameter]:
    into = [nn.Parameter(torch.zeros(4, 3)), nn.Parameter(torch.zeros(3))]
    utils.vector_to_parameters(vector, into)
    return list(into)


def _averaged() -> Iterator[Ways]:
    values = [float(n) ** 2 for n in range(5)]

    def average(**given: object) -> torch.Tensor:
        made = nn.Linear(1, 1, bias=False)
        mean = swa_utils.AveragedModel(made, **given)
        for value in values:
            nn.init.constant_(made.weight, value)
            mean.update_parameters(made)
        return mean.module.weight

    def moving() -> float:
        mean = values[0]
        for value in values[1:]:
            mean = 0.8 * mean + 0.2 * value
        return mean

    yield Ways("AveragedModel", {"formula": lambda: [[[sum(values) / 5]]], "seen": average}, 8)
    ways = {"formula": lambda: [[[moving()]]], "seen": lambda: average(multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.8))}
    yield Ways("AveragedModel get_ema_multi_avg_fn", ways, 8)
    one = {"formula": lambda: [[[moving()]]], "seen": lambda: average(avg_fn=swa_utils.get_ema_avg_fn(0.8))}
    yield Ways("AveragedModel get_ema_avg_fn", one, 8)
