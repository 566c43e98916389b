"""What is switched on and off again, done twice, or shared between layers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import TypeAlias

import torch
from torch import nn, optim
from torch.nn import functional, utils

from models.backends.torch.promises.defaults import generator
from models.backends.ways import Ways

Net: TypeAlias = nn.Sequential


def net() -> Net:
    """A small network with running statistics and dropout, the same every time."""
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Tanh(), nn.Linear(8, 3))


def trained(
    prepare: Callable[[Net], object] = lambda made: None, each: Callable[[Net, optim.Optimizer], object] = lambda m, o: None
) -> list[torch.Tensor]:
    """Weights, statistics and an evaluation after three steps of a network that was prepared; `each` is done before every step."""
    made = net()
    prepare(made)
    optimizer = optim.SGD(made.parameters(), 0.1, 0.9)
    for number in range(3):
        optimizer.zero_grad()
        each(made, optimizer)
        x = torch.randn(8, 6, generator=generator(number))
        functional.cross_entropy(made(x), torch.arange(8) % 3).backward()
        optimizer.step()
    made.eval()
    return [*made.state_dict().values(), made(torch.ones(2, 6))]


def toggled() -> Iterator[Ways]:
    """Switched off and on again before or between steps, which must leave nothing behind."""

    def off_and_on(made: nn.Module) -> None:
        made.requires_grad_(False)
        made.requires_grad_(True)

    def evaluated(made: nn.Module) -> None:
        made.eval()
        with torch.no_grad():
            made(torch.randn(4, 6, generator=generator(9)))
        made.train()

    prepared: dict[str, Callable[[Net], object]] = {
        "requires_grad_": off_and_on,
        "eval and train": lambda made: made.eval().train(),
        "an evaluation": evaluated,
        "float64 and back": lambda made: made.double().float(),
    }
    between: dict[str, Callable[[Net, optim.Optimizer], object]] = {
        "requires_grad_ between steps": lambda made, optimizer: off_and_on(made),
        "an evaluation between steps": lambda made, optimizer: evaluated(made),
        "zero_grad again": lambda made, optimizer: optimizer.zero_grad(),
        "zero_grad of the module": lambda made, optimizer: made.zero_grad(),
        "zero_grad to zeros": lambda made, optimizer: optimizer.zero_grad(set_to_none=False),
        "no_grad": lambda made, optimizer: torch.no_grad()(lambda: made[0](torch.ones(2, 6)))(),
        "inference_mode": lambda made, optimizer: torch.inference_mode()(lambda: made[0](torch.ones(2, 6)))(),
        "set_grad_enabled": lambda made, optimizer: torch.set_grad_enabled(True),
        "state_dict loaded": lambda made, optimizer: made.load_state_dict(made.state_dict()),
        "optimizer's state_dict loaded": lambda made, optimizer: optimizer.load_state_dict(optimizer.state_dict()),
    }
    ways: dict[str, Callable[[], object]] = {"never": trained}
    ways |= {name: lambda act=act: trained(act) for name, act in prepared.items()}
    ways |= {name: lambda act=act: trained(each=act) for name, act in between.items()}
    yield Ways("a training", ways)

    def frozen(act: Callable[[Net], object]) -> list[float]:
        before = net()[0].weight
        return [float((trained(act)[0] - before).abs().sum() == 0)]

    yield Ways("a frozen weight stays", {"frozen": lambda: [1.0], "seen": lambda: frozen(lambda made: made[0].requires_grad_(False))})
    yield Ways("a weight that thaws moves", {"thawed": lambda: [0.0], "seen": lambda: frozen(lambda made: off_and_on(made[0]))})


def twice_is_once() -> Iterator[Ways]:
    """What is idempotent, done once and twice."""
    x = torch.randn(8, 6, generator=generator(3))
    functions: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "relu": torch.relu,
        "hardtanh": functional.hardtanh,
        "relu6": functional.relu6,
        "clamp": lambda t: t.clamp(-1, 1),
        "abs": torch.abs,
        "dropout in evaluation": lambda t: functional.dropout(t, training=False),
        "detach": lambda t: t.detach(),
        "contiguous": lambda t: t.t().contiguous().t(),
        "sort": lambda t: t.sort(1).values,
    }
    for name, act in functions.items():
        yield Ways(name, {"once": lambda: act(x), "twice": lambda: act(act(x))})

    def clipped(times: int) -> torch.Tensor:
        weight = nn.Parameter(torch.zeros(8, 6))
        weight.grad = x.clone()
        for _ in range(times):
            utils.clip_grad_value_([weight], 0.5)
        return weight.grad

    yield Ways("clip_grad_value_", {"once": lambda: clipped(1), "twice": lambda: clipped(2)})
    prepared: dict[str, Callable[[Net], object]] = {
        "eval": lambda made: made.eval(),
        "train": lambda made: made.train(),
        "requires_grad_(False)": lambda made: made.requires_grad_(False),
        "to float64": lambda made: made.double().float(),
        "load_state_dict": lambda made: made.load_state_dict(
            {key: value + 1 for key, value in made.state_dict().items() if value.ndim or value >= 0}
        ),
    }
    for name, prepare in prepared.items():

        def done(
            times: int, prepare: Callable[[Net], object] = prepare, fresh: bool = name == "load_state_dict"
        ) -> list[torch.Tensor | float]:
            made = net()
            state = {key: value + 1 for key, value in made.state_dict().items()}
            for _ in range(times):
                made.load_state_dict(state) if fresh else prepare(made)
            torch.manual_seed(5)
            return [made(x), *made.state_dict().values(), *(float(p.requires_grad) for p in made.parameters())]

        yield Ways(name, {"once": lambda: done(1), "twice": lambda: done(2)})


def shared_weights() -> Iterator[Ways]:
    """One layer used twice, and one weight in two layers: its gradient is the sum of two copies', and it stays one weight."""
    x = torch.randn(8, 6, generator=generator(3))

    def layer() -> nn.Linear:
        torch.manual_seed(4)
        return nn.Linear(6, 6)

    def one_layer() -> list[torch.Tensor]:
        used = layer()
        used(used(x).tanh()).square().mean().backward()
        return [used.weight.grad, used.bias.grad]

    def tied() -> list[torch.Tensor]:
        first, second = layer(), layer()
        second.weight, second.bias = first.weight, first.bias
        second(first(x).tanh()).square().mean().backward()
        return [first.weight.grad, first.bias.grad]

    def copies() -> list[torch.Tensor]:
        first, second = layer(), layer()
        second(first(x).tanh()).square().mean().backward()
        return [a.grad + b.grad for a, b in zip(first.parameters(), second.parameters(), strict=True)]

    yield Ways("gradient", {"two copies": copies, "one layer twice": one_layer, "tied weights": tied}, roundings=8)

    def tie(made: nn.Module) -> nn.Module:
        made[1].weight = made[0].weight
        return made

    pair = lambda: tie(nn.Sequential(layer(), layer()))  # noqa: E731
    kept: dict[str, Callable[[nn.Module], nn.Module]] = {
        "deepcopy": copy.deepcopy,
        "to": lambda made: made.to(torch.float64),
        "load_state_dict": lambda made: (made.load_state_dict(pair().state_dict()), made)[1],
        "requires_grad_": lambda made: made.requires_grad_(False),
    }
    ways: dict[str, Callable[[], object]] = {
        name: lambda act=act: [float(len(list(act(pair()).parameters())))] for name, act in kept.items()
    }
    yield Ways("parameters, the tied one once", {"three": lambda: [3.0]} | ways)

    def stepped(tied: bool) -> torch.Tensor:
        made = pair() if tied else nn.Sequential(layer())
        optimizer = optim.Adam(made.parameters(), 0.1)
        made[0].weight.grad = torch.ones(6, 6)
        optimizer.step()
        return made[0].weight

    yield Ways("an optimizer steps a tied weight once", {"alone": lambda: stepped(False), "tied": lambda: stepped(True)})
