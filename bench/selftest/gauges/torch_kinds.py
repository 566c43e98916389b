"""PyTorch models that keep state, or take gradients, in ways of their own; nothing of the suite."""

import collections
import random

import numpy as np
import torch
from torch import nn
from torch.nn import functional


def classified(model, inputs=None, samples=16):
    inputs = torch.randn(samples, 12) if inputs is None else inputs
    batch = inputs, torch.randint(0, 5, (samples,))
    return {"model": model, "loss": functional.cross_entropy, "batch": batch, "optimizer": lambda p: torch.optim.AdamW(p, 1e-3)}


class Net(nn.Module):
    """Two layers, for others to add to."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(12, 20), nn.GELU(), nn.Linear(20, 5))

    def forward(self, x):
        return self.net(x)


class Averaged(Net):
    """A moving average that the first pass makes, in a buffer that was None, a new one, or a plain attribute."""

    def __init__(self, place):
        super().__init__()
        self.place = place
        if place == "none":
            self.register_buffer("average", None)

    def forward(self, x):
        average, mean = getattr(self, "average", None), x.mean(0).detach()
        if self.training and average is None and self.place == "new":
            self.register_buffer("average", mean, persistent=False)
        elif self.training:
            self.average = mean if average is None else 0.9 * average + 0.2 * mean
        return self.net(x - (self.average if self.training else 0.0))


def none_buffer():
    return classified(Averaged("none"))


def new_buffer():
    return classified(Averaged("new"))


def new_attribute():
    return classified(Averaged("attribute"))


class Drawn(Net):
    """Noise by a generator of its own."""

    def __init__(self, generator):
        super().__init__()
        self.generator = generator

    def forward(self, x):
        if isinstance(self.generator, torch.Generator):
            return self.net(x + 0.1 * torch.randn(x.shape, generator=self.generator))
        if isinstance(self.generator, np.random.Generator):
            return self.net(x * torch.from_numpy((self.generator.random(x.shape) > 0.2).astype(np.float32)))
        return self.net(x * (1 + self.generator.random()))


def numpy_generator():
    return classified(Drawn(np.random.default_rng(0)))


def torch_generator():
    return classified(Drawn(torch.Generator().manual_seed(1)))


def python_generator():
    return classified(Drawn(random.Random(2)))


class Queued(Net):
    """A memory of the last three batches."""

    def __init__(self):
        super().__init__()
        self.memory = collections.deque(maxlen=3)

    def forward(self, x):
        self.memory.append(x.detach().mean(0))
        return self.net(x - sum(self.memory) / len(self.memory))


def queue():
    return classified(Queued())


class Versioned(Net):
    """Words and numbers among what is saved."""

    def get_extra_state(self):
        return {"version": 3}

    def set_extra_state(self, state):
        pass


def extra_state():
    return classified(Versioned())


class Graph(nn.Module):
    """Two layers over a graph whose neighbourhoods are a sparse matrix (Kipf and Welling 2017)."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(12, 20), nn.Linear(20, 5)

    def forward(self, x, graph):
        return torch.sparse.mm(graph, self.second(functional.gelu(torch.sparse.mm(graph, self.first(x)))))


def graph():
    return classified(Graph(), (torch.randn(16, 12), (torch.rand(16, 16) > 0.7).float().to_sparse()))


def graph_in_rows():
    return classified(Graph(), (torch.randn(16, 12), (torch.rand(16, 16) > 0.7).float().to_sparse_csr()))


class Ragged(nn.Module):
    """A mean over sequences of different lengths."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(12, 5)

    def forward(self, x):
        return self.layer(x.to_padded_tensor(0.0).mean(1))


def nested():
    return classified(Ragged(), torch.nested.nested_tensor([torch.randn(length, 12) for length in (3, 5, 2, 4)]), 4)


class Shortened(nn.Module):
    """An embedding that shortens its rows in every pass."""

    def __init__(self):
        super().__init__()
        self.embedding, self.layer = nn.Embedding(30, 16, max_norm=1.0), nn.Linear(16, 5)

    def forward(self, x):
        return self.layer(self.embedding(x).mean(1))


def shortened():
    return classified(Shortened(), torch.randint(0, 30, (8, 11)), 8)


class Quantizing(Net):
    """Weights and activations rounded to eight bits, past which the gradient goes straight."""

    def forward(self, x):
        first, act, last = self.net
        rounded = functional.linear(x, torch.fake_quantize_per_tensor_affine(first.weight, 0.01, 0, -128, 127), first.bias)
        return last(act(torch.fake_quantize_per_tensor_affine(rounded, 0.05, 0, -128, 127)))


def simulated_quantization():
    return classified(Quantizing())


class Quantizer(nn.Module):
    """Weights rounded to a grid of each channel's own, and numbers to one whose scale and zero point are learned where asked for."""

    def __init__(self, learned):
        super().__init__()
        self.first, self.last, self.learned = nn.Linear(12, 20), nn.Linear(20, 5), learned
        scale, zero = self.first.weight.detach().abs().amax(1) / 100, torch.linspace(-3, 3, 20).round()
        if learned:
            self.scale, self.zero = nn.Parameter(scale), nn.Parameter(zero)
            self.step, self.middle = nn.Parameter(torch.full((1,), 0.02)), nn.Parameter(torch.zeros(1))
        else:
            self.register_buffer("scale", scale)
            self.register_buffer("zero", zero.int())

    def forward(self, x):
        if not self.learned:
            return self.last(
                functional.gelu(
                    functional.linear(
                        x,
                        torch.fake_quantize_per_channel_affine(self.first.weight, self.scale, self.zero, 0, -96, 96),
                        self.first.bias,
                    )
                )
            )
        weight = torch._fake_quantize_learnable_per_channel_affine(self.first.weight, self.scale, self.zero, 0, -96, 96, 0.1)
        hidden = functional.gelu(functional.linear(x, weight, self.first.bias))
        return self.last(torch._fake_quantize_learnable_per_tensor_affine(hidden, self.step, self.middle, -96, 96, 0.1))


def quantization_by_channel():
    return classified(Quantizer(False))


def learned_quantization():
    return classified(Quantizer(True))


class Prepared(nn.Module):
    """Observers and simulated quantization of torch.ao, whose scales follow what they see."""

    def __init__(self):
        super().__init__()
        from torch.ao.quantization import FakeQuantize, MovingAverageMinMaxObserver, MovingAveragePerChannelMinMaxObserver

        self.first, self.last = nn.Linear(12, 20), nn.Linear(20, 5)
        self.of_weight = FakeQuantize(
            MovingAveragePerChannelMinMaxObserver, -128, 127, dtype=torch.qint8, qscheme=torch.per_channel_symmetric, ch_axis=0
        )
        self.of_numbers = FakeQuantize(MovingAverageMinMaxObserver, 0, 255, dtype=torch.quint8)

    def forward(self, x):
        return self.last(self.of_numbers(functional.gelu(functional.linear(x, self.of_weight(self.first.weight), self.first.bias))))


def prepared_quantization():
    return classified(Prepared())


class Sampled(nn.Module):
    """A layer on draws whose distribution is learned."""

    def __init__(self, drawn):
        super().__init__()
        self.first, self.second, self.drawn = nn.Linear(12, 5), nn.Linear(5, 5), drawn

    def forward(self, x):
        return self.second(self.drawn(functional.softplus(self.first(x)) + 0.5))


def gamma():
    return classified(Sampled(lambda size: torch.distributions.Gamma(size, 1.0).rsample()))


def dirichlet():
    return classified(Sampled(lambda size: torch.distributions.Dirichlet(size).rsample()))


class Noisy(Net):
    """Gamma noise with nothing to learn."""

    def forward(self, x):
        return self.net(x * torch.distributions.Gamma(torch.full_like(x, 4.0), 4.0).sample())


def gamma_noise():
    return classified(Noisy())


def normalized():
    return nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 2))
