"""PyTorch: seeds, and data as it is loaded."""

from __future__ import annotations

from bench.promises.promise import Promise, each

DOCS = "https://docs.pytorch.org/docs/stable/"
DATA = DOCS + "data.html"
RANDOM = DOCS + "random.html"
DRAWS = ("rand", "randn", "randint", "randperm", "bernoulli", "multinomial", "normal", "poisson")

AREAS: dict[str, tuple[Promise, ...]] = {
    "seeds": (
        *each(DRAWS, "torch", "draws the same again after manual_seed, and goes on.", DOCS + "generated/torch.{}.html", "seeds_of_draws: {}"),
        Promise("torch.nn.functional.gumbel_softmax", "draws the same again after manual_seed.", DOCS + "nn.functional.html", "seeds_of_draws: gumbel_softmax"),
        Promise("torch.manual_seed", "takes 0, negative and large seeds, each of which is another one.", DOCS + "generated/torch.manual_seed.html", "seeds"),
        Promise("torch.set_rng_state", "goes on from the state that get_rng_state returned.", RANDOM, "seeds_of_draws: rand seed 0: state set again"),
        Promise("torch.random.fork_rng", "leaves the generator outside as it was.", RANDOM, "seeds_of_draws: rand seed 0: after fork_rng"),
        Promise("torch.Generator", "is one stream, which several initializers share.", DOCS + "generated/torch.Generator.html", "initializer_shared"),
        Promise("torch.cuda.manual_seed_all", "seeds every GPU.", DOCS + "generated/torch.cuda.manual_seed_all.html", why="needs a GPU: seeds judges it there by torch.manual_seed"),
    ),
    "data": (
        Promise("torch.utils.data.DataLoader", "shuffles by its generator, each epoch otherwise.", DATA, "shuffled: DataLoader"),
        Promise("torch.utils.data.DataLoader", "shuffles alike with workers.", DATA, "shuffled: DataLoader with a worker"),
        Promise("torch.utils.data.DataLoader", "shows every sample once, the uneven last batch included.", DATA, "loader"),
        Promise("torch.utils.data.DataLoader", "takes batches of every size, larger than the data too.", DATA, "counted: DataLoader batch_size"),
        Promise("torch.utils.data.DataLoader", "with drop_last leaves out the uneven last batch.", DATA, "counted: DataLoader batch_size=5 drop_last"),
        *(Promise("torch.utils.data.DataLoader", f"shows every sample once with {name}.", DATA, f"counted: DataLoader {name}") for name in ("batch_sampler", "sampler", "collate_fn", "num_workers")),
        *each(("RandomSampler", "SubsetRandomSampler", "WeightedRandomSampler", "BatchSampler"), "torch.utils.data", "draws by its generator.", DATA, "shuffled: {}"),
        *each(("RandomSampler", "SubsetRandomSampler", "BatchSampler", "random_split"), "torch.utils.data", "shows every sample once.", DATA, "shuffled: {} shows"),
        Promise("torch.utils.data.random_split", "splits by its generator.", DATA, "shuffled: random_split seed"),
        *each(("TensorDataset", "ConcatDataset", "Subset", "ChainDataset", "IterableDataset", "SequentialSampler"), "torch.utils.data", "shows every sample once, in order.", DATA, "counted: {}"),
        Promise("torch.utils.data.distributed.DistributedSampler", "splits samples between processes.", DATA, why="needs several processes"),
    ),
}  # fmt: skip
