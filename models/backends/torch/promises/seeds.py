"""A seed is a seed: what is drawn from it again in the same process, whatever was drawn between."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn import functional

from models.backends.ways import Ways

SEEDS = {"0": 0, "1": 1, "2^31 - 1": 2**31 - 1, "2^63 + 9": 2**63 + 9}
INITIALIZERS: dict[str, Callable[..., torch.Tensor]] = {
    "uniform_": nn.init.uniform_,
    "normal_": nn.init.normal_,
    "trunc_normal_": nn.init.trunc_normal_,
    "xavier_uniform_": nn.init.xavier_uniform_,
    "xavier_normal_": nn.init.xavier_normal_,
    "kaiming_uniform_": nn.init.kaiming_uniform_,
    "kaiming_normal_": nn.init.kaiming_normal_,
    "orthogonal_": nn.init.orthogonal_,
    "sparse_": lambda tensor, **given: nn.init.sparse_(tensor, 0.5, **given),
}
DRAWS: dict[str, Callable[[], torch.Tensor]] = {
    "rand": lambda: torch.rand(8),
    "randn": lambda: torch.randn(8),
    "randint": lambda: torch.randint(1 << 30, (8,)),
    "randperm": lambda: torch.randperm(32),
    "bernoulli": lambda: torch.bernoulli(torch.full((64,), 0.5)),
    "multinomial": lambda: torch.multinomial(torch.ones(32), 16),
    "normal": lambda: torch.normal(torch.zeros(8), torch.ones(8)),
    "poisson": lambda: torch.poisson(torch.full((64,), 5.0)),
    "exponential_": lambda: torch.empty(8).exponential_(),
    "Linear": lambda: nn.Linear(8, 8).weight,
    "Bilinear": lambda: nn.Bilinear(4, 4, 4).weight,
    "Conv1d": lambda: nn.Conv1d(4, 4, 3).weight,
    "Embedding": lambda: nn.Embedding(8, 8).weight,
    "LSTM": lambda: nn.LSTM(4, 4).weight_hh_l0,
    "MultiheadAttention": lambda: nn.MultiheadAttention(8, 2).in_proj_weight,
    "Dropout": lambda: nn.Dropout()(torch.ones(64)),
    "Dropout1d": lambda: nn.Dropout1d()(torch.ones(4, 16, 2)),
    "Dropout2d": lambda: nn.Dropout2d()(torch.ones(4, 16, 2, 2)),
    "Dropout3d": lambda: nn.Dropout3d()(torch.ones(4, 16, 2, 2, 2)),
    "AlphaDropout": lambda: nn.AlphaDropout()(torch.ones(64)),
    "FeatureAlphaDropout": lambda: nn.FeatureAlphaDropout()(torch.ones(4, 16, 2)),
    "RReLU": lambda: nn.RReLU()(-torch.ones(64)),
    "gumbel_softmax": lambda: functional.gumbel_softmax(torch.zeros(2, 16)),
}


def seeds_of_initializers() -> Iterator[Ways]:
    """Every initializer by every seed: a generator of the same seed, after other draws, and the global seed set again."""

    def own(name: str, seed: int) -> torch.Tensor:
        return INITIALIZERS[name](torch.empty(8, 8), generator=torch.Generator().manual_seed(seed))

    def after_draws(name: str, seed: int) -> torch.Tensor:
        torch.rand(3)
        return own(name, seed)

    def reused(name: str, seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        INITIALIZERS[name](torch.empty(8, 8), generator=generator)
        return INITIALIZERS[name](torch.empty(8, 8), generator=generator.manual_seed(seed))

    def goes_on(name: str) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        INITIALIZERS[name](torch.empty(8, 8), generator=generator)
        return INITIALIZERS[name](torch.empty(8, 8), generator=generator)

    def by_global(name: str, seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return INITIALIZERS[name](torch.empty(8, 8))

    for name in INITIALIZERS:
        for word, seed in SEEDS.items():
            ways = {"generator": lambda: own(name, seed), "after other draws": lambda: after_draws(name, seed)}
            yield Ways(f"{name} seed {word}", ways | {"seeded again": lambda: reused(name, seed)})
            yield Ways(f"{name} global seed {word}", {"first": lambda: by_global(name, seed), "set again": lambda: by_global(name, seed)})
        others = {f"seed {word}": lambda seed=seed: own(name, seed) for word, seed in SEEDS.items() if seed}
        yield Ways(
            f"{name} differs from seed 0", {"seed 0": lambda: own(name, 0)} | others | {"goes on": lambda: goes_on(name)}, apart=True
        )


def seeds_of_draws() -> Iterator[Ways]:
    """Whatever draws by the global generator: the seed set again, the state set again, inside fork_rng; then it goes on."""

    def seeded(draw: Callable[[], torch.Tensor], seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return draw()

    def restored(draw: Callable[[], torch.Tensor], seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        draw()
        torch.set_rng_state(state)
        return draw()

    def forked(draw: Callable[[], torch.Tensor], seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.rand(5)
        return draw()

    def second(draw: Callable[[], torch.Tensor], seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        draw()
        return draw()

    for name, draw in DRAWS.items():
        for word, seed in SEEDS.items():
            again = {"set again": seeded, "state set again": restored, "after fork_rng": forked}
            ways = {way: lambda take=take: take(draw, seed) for way, take in again.items()}
            yield Ways(f"{name} seed {word}", {"first": lambda: seeded(draw, seed)} | ways)
        others = {f"seed {word}": lambda seed=seed: seeded(draw, seed) for word, seed in SEEDS.items() if seed}
        ways = {"seed 0": lambda: seeded(draw, 0)} | others | {"second draw": lambda: second(draw, 0)}
        yield Ways(f"{name} differs from seed 0", ways, apart=True)
