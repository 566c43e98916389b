"""Keras: seeds and random numbers."""

from __future__ import annotations

from bench.promises.promise import Promise, each

RANDOM = "https://keras.io/api/random/random_ops/"
UTILS = "https://keras.io/api/utils/python_utils/"
DRAWS = ("normal", "uniform", "truncated_normal", "randint", "categorical", "shuffle", "gamma", "beta", "binomial", "dropout")

AREAS: dict[str, tuple[Promise, ...]] = {
    "seeds": (
        *each(DRAWS, "keras.random", "with a seed draws the same at every call.", RANDOM, "seeds_of_draws: random.{} seed"),
        *each(DRAWS, "keras.random", "draws other numbers from another seed, seed 0 included.", RANDOM, "seeds_of_draws: random.{} differs"),
        *each(DRAWS, "keras.random", "by a SeedGenerator goes on, and repeats it from another one of the same seed.", RANDOM, "seeds_of_draws: random.{} SeedGenerator"),
        Promise("keras.utils.set_random_seed", "repeats weights that are drawn after it.", UTILS, "seeds_of_draws: Dense, global seed"),
        Promise("keras.utils.set_random_seed", "repeats what dropout without a seed draws.", UTILS, "seeds_of_draws: Dropout without seed, global seed"),
        Promise("keras.utils.set_random_seed", "repeats generators without a seed.", UTILS, "seeds_of_draws: SeedGenerator without seed, global seed"),
        Promise("keras.utils.set_random_seed", "repeats initializers without a seed.", UTILS, "seeds_of_draws: initializer without seed, global seed"),
        Promise("keras.utils.set_random_seed", "repeats draws without a seed.", UTILS, "seeds_of_draws: random without seed, global seed"),
        Promise("keras.utils.set_random_seed", "gives the same in another process.", UTILS, "seeds"),
    ),
}  # fmt: skip
