"""Loaders and samplers: every sample once, in an order that a seed repeats, and counted right."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeAlias

import torch
from torch.utils import data

from models.backends.ways import Ways

SAMPLES = 23
"""Not a multiple of any batch size here."""
Sample: TypeAlias = torch.Tensor | list[int] | int
"""A batch, or the number of a sample."""
Source = Callable[[torch.Generator], Iterable[Sample]]


def _loader(generator: torch.Generator, **given: object) -> data.DataLoader[torch.Tensor]:
    return data.DataLoader(range(SAMPLES), generator=generator, **{"batch_size": 5, "shuffle": True} | given)


SHUFFLED: dict[str, Source] = {
    "DataLoader": _loader,
    "DataLoader with a worker": partial(_loader, num_workers=1),
    "RandomSampler": lambda generator: data.RandomSampler(range(SAMPLES), generator=generator),
    "SubsetRandomSampler": lambda generator: data.SubsetRandomSampler(range(SAMPLES), generator=generator),
    "BatchSampler": lambda generator: data.BatchSampler(data.RandomSampler(range(SAMPLES), generator=generator), 5, False),
    "random_split": lambda generator: [list(part) for part in data.random_split(range(SAMPLES), [11, 12], generator=generator)],
}
DRAWN: dict[str, Source] = {
    "WeightedRandomSampler": lambda generator: data.WeightedRandomSampler([1.0] * SAMPLES, 40, generator=generator),
    "RandomSampler with replacement": lambda generator: data.RandomSampler(range(SAMPLES), True, 40, generator=generator),
}
GOES_ON = [name for name in (*SHUFFLED, *DRAWN) if name != "random_split"]


def _flat(source: Iterable[Sample]) -> list[int]:
    seen: list[int] = []
    for each in source:
        seen += each.tolist() if isinstance(each, torch.Tensor) else each if isinstance(each, list) else [int(each)]
    return seen


def shuffled() -> Iterator[Ways]:
    """What a loader or sampler shuffles by its generator: the same by the same seed, then another order; every sample once."""

    def order(make: Source, seed: int) -> torch.Tensor:
        return torch.tensor(_flat(make(torch.Generator().manual_seed(seed))))

    def second(make: Source, seed: int) -> torch.Tensor:
        source = make(torch.Generator().manual_seed(seed))
        _flat(source)
        return torch.tensor(_flat(source))

    for name, make in (SHUFFLED | DRAWN).items():
        for seed in (0, 1, 2**31 - 1) if "worker" not in name else (0,):
            yield Ways(f"{name} seed {seed}", {"first": lambda: order(make, seed), "another object": lambda: order(make, seed)})
        others = {"seed 1": lambda: order(make, 1)}
        yield Ways(f"{name} differs from seed 0", {"seed 0": lambda: order(make, 0)} | others, apart=True)
        if name in GOES_ON and "worker" not in name:
            yield Ways(f"{name} epoch after epoch", {"first": lambda: order(make, 0), "second": lambda: second(make, 0)}, apart=True)
    for name, make in SHUFFLED.items():
        once = {"all": lambda: torch.arange(SAMPLES), "shown": lambda: order(make, 0).sort().values}
        yield Ways(f"{name} shows every sample once", once)


def counted() -> Iterator[Ways]:
    """How many samples and batches loaders show, and say that they show."""
    numbers = list(range(SAMPLES))

    def shown(**given: object) -> list[list[int] | int]:
        loader = data.DataLoader(numbers, **given)
        batches = list(loader)
        return [_flat(batches), len(batches), len(loader)]

    def expected(batch: int, drop: bool = False) -> list[list[int] | int]:
        full = SAMPLES // batch
        return [numbers[: full * batch], full, full] if drop else [numbers, -(-SAMPLES // batch), -(-SAMPLES // batch)]

    for batch in (1, 5, SAMPLES, SAMPLES + 7):
        yield Ways(f"DataLoader batch_size={batch}", {"counted": lambda: expected(batch), "shown": lambda: shown(batch_size=batch)})
        dropped = {"counted": lambda: expected(batch, True), "shown": lambda: shown(batch_size=batch, drop_last=True)}
        yield Ways(f"DataLoader batch_size={batch} drop_last", dropped)
    batches = [numbers[:3], numbers[3:20], numbers[20:]]
    for name, given in {
        "batch_sampler": {"batch_sampler": batches},
        "sampler": {"sampler": data.SequentialSampler(numbers), "batch_size": 8},
        "collate_fn": {"batch_size": 8, "collate_fn": torch.tensor},
        "num_workers": {"batch_size": 8, "num_workers": 1},
    }.items():
        yield Ways(f"DataLoader {name}", {"counted": lambda: [numbers, 3, 3], "shown": lambda: shown(**given)})
    tensors = data.TensorDataset(torch.arange(SAMPLES))
    for name, make in {
        "TensorDataset": lambda: [int(x) for (x,) in tensors],
        "ConcatDataset": lambda: list(data.ConcatDataset([numbers[:9], numbers[9:]])),
        "Subset": lambda: list(data.Subset(numbers, range(SAMPLES))),
        "ChainDataset": lambda: list(data.ChainDataset([_Counting(0, 9), _Counting(9, SAMPLES)])),
        "IterableDataset": lambda: _flat(data.DataLoader(_Counting(0, SAMPLES), batch_size=4)),
        "SequentialSampler": lambda: list(data.SequentialSampler(numbers)),
        "BatchSampler": lambda: _flat(data.BatchSampler(data.SequentialSampler(numbers), 4, False)),
    }.items():
        yield Ways(f"{name} shows every sample once", {"counted": lambda: [numbers], "shown": lambda: [make()]})


class _Counting(data.IterableDataset[int]):
    def __init__(self, first: int, last: int) -> None:
        self.numbers = range(first, last)

    def __iter__(self) -> Iterator[int]:
        return iter(self.numbers)
