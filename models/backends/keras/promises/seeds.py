"""A seed is a seed: what is drawn from it again in the same process, whatever was drawn between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import keras
from keras import ops

from models.backends.keras.libraries import Tensor
from models.backends.ways import Ways

SEEDS = {"0": 0, "1": 1, "2^31 - 1": 2**31 - 1}
INITIALIZERS = (
    "RandomNormal", "RandomUniform", "TruncatedNormal", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal",
    "LecunUniform", "VarianceScaling", "Orthogonal",
)  # fmt: skip
SHAPE = (8, 8)
Seed: TypeAlias = int | keras.random.SeedGenerator
Kind = type[keras.initializers.Initializer]
DRAWS: dict[str, Callable[[Seed], Tensor]] = {
    "random.normal": lambda seed: keras.random.normal((8,), seed=seed),
    "random.uniform": lambda seed: keras.random.uniform((8,), seed=seed),
    "random.truncated_normal": lambda seed: keras.random.truncated_normal((8,), seed=seed),
    "random.randint": lambda seed: keras.random.randint((8,), 0, 1 << 30, seed=seed),
    "random.categorical": lambda seed: keras.random.categorical(ops.zeros((1, 64)), 8, seed=seed),
    "random.shuffle": lambda seed: keras.random.shuffle(ops.arange(32), seed=seed),
    "random.gamma": lambda seed: keras.random.gamma((8,), 2.0, seed=seed),
    "random.beta": lambda seed: keras.random.beta((8,), 2.0, 3.0, seed=seed),
    "random.binomial": lambda seed: keras.random.binomial((32,), 20.0, 0.5, seed=seed),
    "random.dropout": lambda seed: keras.random.dropout(ops.ones((64,)), 0.5, seed=seed),
}
LAYERS: dict[str, Callable[[Seed], keras.layers.Layer]] = {
    "Dropout": lambda seed: keras.layers.Dropout(0.5, seed=seed),
    "SpatialDropout1D": lambda seed: keras.layers.SpatialDropout1D(0.5, seed=seed),
    "GaussianDropout": lambda seed: keras.layers.GaussianDropout(0.5, seed=seed),
    "GaussianNoise": lambda seed: keras.layers.GaussianNoise(1.0, seed=seed),
    "AlphaDropout": lambda seed: keras.layers.AlphaDropout(0.5, seed=seed),
}
GLOBAL: dict[str, Callable[[], Tensor]] = {
    "Dense": lambda: _built(keras.layers.Dense(8)).kernel,
    "Dropout without seed": lambda: keras.layers.Dropout(0.5)(ops.ones((8, 8)), training=True),
    "SeedGenerator without seed": lambda: keras.random.normal((8,), seed=keras.random.SeedGenerator()),
    "initializer without seed": lambda: keras.initializers.GlorotUniform()((8, 8)),
    "random without seed": lambda: keras.random.normal((8,)),
}


def _built(layer: keras.layers.Layer) -> keras.layers.Layer:
    layer.build((None, 8))
    return layer


def seeds_of_initializers() -> Iterator[Ways]:
    """Every initializer by every seed: the same object again, another object, after other draws, from its configuration, in a layer."""
    for name in INITIALIZERS:
        kind = getattr(keras.initializers, name)

        def twice(seed: int, kind: Kind = kind) -> Tensor:
            one = kind(seed=seed)
            one(SHAPE)
            return one(SHAPE)

        def after_draws(seed: int, kind: Kind = kind) -> Tensor:
            keras.random.normal((3,))
            return kind(seed=seed)(SHAPE)

        def globally(seed: int, kind: Kind = kind) -> Tensor:
            keras.utils.set_random_seed(77)
            return kind(seed=seed)(SHAPE)

        def of_layer(seed: int, kind: Kind = kind) -> Tensor:
            return _built(keras.layers.Dense(8, kernel_initializer=kind(seed=seed))).kernel

        def configured(seed: int, kind: Kind = kind) -> Tensor:
            return kind.from_config(kind(seed=seed).get_config())(SHAPE)

        for word, seed in SEEDS.items():
            hows: dict[str, Callable[[int], Tensor]] = {
                "called again": twice, "after other draws": after_draws, "global seed set": globally, "in a layer": of_layer,
                "from its configuration": configured, "clone": lambda s: kind(seed=s).clone()(SHAPE),
            }  # fmt: skip
            yield Ways(
                f"{name} seed {word}",
                {"once": lambda: kind(seed=seed)(SHAPE)} | {way: lambda how=how: how(seed) for way, how in hows.items()},
            )
        others = {f"seed {word}": lambda seed=seed: kind(seed=seed)(SHAPE) for word, seed in SEEDS.items() if seed}
        yield Ways(f"{name} differs from seed 0", {"seed 0": lambda: kind(seed=0)(SHAPE)} | others, apart=True)
        unseeded = {"another": lambda: kind()(SHAPE), "generator goes on": lambda: _second(kind)}
        yield Ways(f"{name} differs without seed", {"one": lambda: kind()(SHAPE)} | unseeded, apart=True)


def _second(kind: Kind) -> Tensor:
    one = kind(seed=keras.random.SeedGenerator(0))
    one(SHAPE)
    return one(SHAPE)


def seeds_of_draws() -> Iterator[Ways]:
    """What functions and random layers draw by a seed of their own, by a SeedGenerator, and by the global seed set again."""

    def generated(draw: Callable[[Seed], Tensor], seed: int, nth: int = 0) -> Tensor:
        generator = keras.random.SeedGenerator(seed)
        for _ in range(nth):
            draw(generator)
        return draw(generator)

    def layered(make: Callable[[Seed], keras.layers.Layer], seed: Seed, nth: int = 0) -> Tensor:
        layer = make(seed)
        for _ in range(nth):
            layer(ops.ones((4, 8, 8)), training=True)
        return layer(ops.ones((4, 8, 8)), training=True)

    for name, draw in DRAWS.items():
        for word, seed in SEEDS.items():
            yield Ways(f"{name} seed {word}", {"once": lambda: draw(seed), "again": lambda: draw(seed)})
            yield Ways(
                f"{name} SeedGenerator {word}", {"one": lambda: generated(draw, seed, 1), "another": lambda: generated(draw, seed, 1)}
            )
        others: dict[str, Callable[[], Tensor]] = {f"seed {word}": lambda seed=seed: draw(seed) for word, seed in SEEDS.items() if seed}
        yield Ways(f"{name} differs from seed 0", {"seed 0": lambda: draw(0)} | others, apart=True)
        yield Ways(
            f"{name} SeedGenerator goes on", {"first": lambda: generated(draw, 0), "second": lambda: generated(draw, 0, 1)}, apart=True
        )
    for name, make in LAYERS.items():
        for word, seed in SEEDS.items():
            ways = {"one": lambda: layered(make, seed), "another object": lambda: layered(make, seed)}
            yield Ways(f"{name} seed {word}", {**ways, "from its configuration": lambda: _again(make(seed))})
        others = {f"seed {word}": lambda seed=seed: layered(make, seed) for word, seed in SEEDS.items() if seed}
        yield Ways(
            f"{name} differs from seed 0",
            {"seed 0": lambda: layered(make, 0)} | others | {"second call": lambda: layered(make, 0, 1)},
            apart=True,
        )
    for name, make in GLOBAL.items():
        for word, seed in SEEDS.items():
            yield Ways(f"{name}, global seed {word}", {"set": lambda: _globally(make, seed), "set again": lambda: _globally(make, seed)})
        others = {f"seed {word}": lambda seed=seed: _globally(make, seed) for word, seed in SEEDS.items() if seed}
        yield Ways(f"{name}, differs from global seed 0", {"seed 0": lambda: _globally(make, 0)} | others | {"unset": make}, apart=True)


def _again(layer: keras.layers.Layer) -> Tensor:
    return type(layer).from_config(layer.get_config())(ops.ones((4, 8, 8)), training=True)


def _globally(make: Callable[[], Tensor], seed: int) -> Tensor:
    keras.utils.set_random_seed(seed)
    return make()
