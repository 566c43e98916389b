"""Models of which one is wrong in half precision alone, and models that autocast does not take or leaves as they are."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class WrongInHalf(torch.autograd.Function):
    """A product whose gradient is a quarter too large where it comes back in half precision."""

    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x @ weight.T

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        factor = 1.25 if g.dtype in (torch.bfloat16, torch.float16) else 1.0
        g, x = g.to(weight.dtype), x.to(weight.dtype)
        return g @ weight, factor * g.T @ x


class WrongByBranch(WrongInHalf):
    """The same by an operation that float64 never runs."""

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        found = g.T @ x
        if g.dtype in (torch.bfloat16, torch.float16):
            found = torch.addcmul(found, found, torch.tensor(0.25, dtype=found.dtype))
        return g @ weight, found


class Product(nn.Module):
    """A layer that multiplies by a function of its author's."""

    def __init__(self, function=WrongInHalf):
        super().__init__()
        self.weight, self.function = nn.Parameter(torch.randn(8, 12) / 12**0.5), function

    def forward(self, x):
        return self.function.apply(x, self.weight)


class Narrow(nn.Module):
    """A layer that asks for float32, as many are written."""

    def forward(self, x):
        if x.dtype != torch.float32 and x.dtype != torch.float64:
            raise TypeError("this layer takes float32")
        return x.tanh()


def classified(*layers):
    batch = torch.randn(16, 6), torch.randint(0, 8, (16,))
    optimizer = lambda p: torch.optim.SGD(p, 0.1)  # noqa: E731
    return {"model": nn.Sequential(*layers), "loss": functional.cross_entropy, "batch": batch, "optimizer": optimizer}


def wrong():
    return classified(nn.Linear(6, 12), nn.Tanh(), Product(), nn.Linear(8, 8))


def right():
    return classified(nn.Linear(6, 12), nn.LayerNorm(12), nn.ReLU(), nn.Dropout(0.2), nn.Linear(12, 8))


def narrow():
    return classified(nn.Linear(6, 12), Narrow(), nn.Linear(12, 8))


def wide():
    return classified(nn.LayerNorm(6), nn.Tanh(), nn.Flatten(), nn.LogSoftmax(1), nn.ZeroPad1d((0, 2)))


def recurrent():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(3, 8, batch_first=True)

        def forward(self, x):
            return self.lstm(x.unflatten(1, (2, 3)))[0][:, -1]

    return classified(Last())


class Untouched(torch.optim.SGD):
    """An optimizer that leaves weights in half precision as they are, as fused SGD did (pytorch #191763)."""

    def step(self, closure=None):
        kept = [p.detach().clone() for group in self.param_groups for p in group["params"]]
        loss = super().step(closure)
        with torch.no_grad():
            for p, before in zip((p for group in self.param_groups for p in group["params"]), kept, strict=True):
                if p.dtype in (torch.bfloat16, torch.float16):
                    p.copy_(before)
        return loss


def learned_in(dtype, *layers, optimizer=lambda p: torch.optim.SGD(p, 0.1)):
    gauge = classified(*layers)
    gauge["model"].to(dtype)
    gauge["batch"] = gauge["batch"][0].to(dtype), gauge["batch"][1]
    return gauge | {"optimizer": optimizer}


def whole():
    return learned_in(torch.bfloat16, nn.Linear(6, 24), nn.LayerNorm(24), nn.ReLU(), nn.Dropout(0.2), nn.Linear(24, 8))


def whole_in_float16():
    return learned_in(torch.float16, nn.Linear(6, 24), nn.LayerNorm(24), nn.ReLU(), nn.Dropout(0.2), nn.Linear(24, 8))


def adam():
    return learned_in(torch.bfloat16, nn.Linear(6, 24), nn.GELU(), nn.Linear(24, 8), optimizer=lambda p: torch.optim.AdamW(p, 1e-3))


def wrong_in_bfloat16():
    return learned_in(torch.bfloat16, nn.Linear(6, 12), nn.Tanh(), Product(), nn.Linear(8, 8))


def wrong_in_float16():
    return learned_in(torch.float16, nn.Linear(6, 12), nn.Tanh(), Product(), nn.Linear(8, 8))


def wrong_by_a_branch():
    return learned_in(torch.bfloat16, nn.Linear(6, 12), nn.Tanh(), Product(WrongByBranch), nn.Linear(8, 8))


def cast_and_back():
    """Nothing but a cast to half precision and back, as in training with simulated quantization."""

    class Cast(nn.Module):
        def forward(self, x):
            return x.bfloat16().to(x.dtype)

    return classified(nn.Linear(6, 12), nn.Tanh(), Cast(), nn.Linear(12, 8))


def overflowing():
    """Adam's epsilon is 0 in float16, where a gradient that is 0 as well makes a weight no number."""
    gauge = learned_in(torch.float16, nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 8), optimizer=lambda p: torch.optim.Adam(p, 1e-3))
    gauge["batch"][0][:, 0] = 0
    return gauge


def tokens():
    """Few tokens, each many times, whose gradient is added up in half precision."""
    gauge = learned_in(torch.bfloat16, nn.Embedding(4, 12), nn.Flatten(), nn.Linear(12 * 20, 8))
    return gauge | {"batch": (torch.randint(0, 4, (16, 20)), gauge["batch"][1])}


def statistics():
    """Running statistics in half precision."""
    return learned_in(torch.bfloat16, nn.Linear(6, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 8))


def partly():
    """Weights of one layer in half precision, as where others are kept exact."""

    class Half(nn.Linear):
        def forward(self, x):
            return super().forward(x.to(self.weight.dtype)).to(x.dtype)

    return classified(nn.Linear(6, 12), nn.LayerNorm(12), Half(12, 12).bfloat16(), nn.GELU(), nn.Linear(12, 8))


def recurrent_in_half():
    gauge = recurrent()
    gauge["model"].bfloat16()
    return gauge | {"batch": (gauge["batch"][0].bfloat16(), gauge["batch"][1])}


def untouched():
    return learned_in(torch.bfloat16, nn.Linear(6, 24), nn.GELU(), nn.Linear(24, 8), optimizer=lambda p: Untouched(p, 0.1))


def recurrent_without_bias():
    gauge = recurrent_in_half()
    gauge["model"][0].lstm = nn.LSTM(3, 8, batch_first=True, bias=False, dtype=torch.bfloat16)
    return gauge


class Widened(nn.Module):
    """A layer in float32 between others in half precision."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x.to(torch.float32)).to(x.dtype)


def exact_statistics():
    """Running statistics in float32 beside weights in half precision."""
    gauge = learned_in(torch.bfloat16, nn.Linear(6, 24), Widened(nn.BatchNorm1d(24)), nn.GELU(), nn.Linear(24, 8))
    gauge["model"][1].float()
    return gauge


def tiny_moments():
    """Squares of gradients that are 0 in float16, of which no root may be taken below it."""
    optimizer = lambda p: torch.optim.Adam(p, 1e-3, eps=1e-4)  # noqa: E731
    gauge = learned_in(torch.float16, nn.Linear(6, 24), nn.GELU(), nn.Linear(24, 8), optimizer=optimizer)
    return gauge | {"loss": lambda out, targets: functional.cross_entropy(out, targets) / 16}


def of_its_format():
    """Adafactor takes the ε of its weights' format, 2⁻⁷ in bfloat16, where none is given."""
    optimizer = lambda p: torch.optim.Adafactor(p, 1e-2)  # noqa: E731
    return learned_in(torch.bfloat16, nn.Linear(6, 24), nn.GELU(), nn.LayerNorm(24), nn.Linear(24, 8), optimizer=optimizer)


def learning_rate():
    """Many weights, of which some show that the learning rate is rounded to their format."""
    gauge = learned_in(torch.bfloat16, nn.Linear(3000, 8), optimizer=lambda p: torch.optim.SGD(p, 0.0513))
    return gauge | {"batch": (torch.randn(16, 3000).bfloat16(), gauge["batch"][1])}


class Scale(nn.Module):
    """A factor that is not learned."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return self.factor * x


def large_logits(*layers):
    """Logits of thousands, as large as float16 holds them."""
    layers = layers or (nn.Linear(6, 24), nn.GELU(), nn.Linear(24, 8))
    return learned_in(torch.float16, *layers, Scale(4000.0), optimizer=lambda p: torch.optim.SGD(p, 1e-5))


def wrong_at_large_logits():
    return large_logits(nn.Linear(6, 12), nn.Tanh(), Product())


def table(dtype=torch.bfloat16):
    """Rows of a table that are asked for many times, whose gradients are added up one after the other."""

    class Table(nn.Module):
        def __init__(self):
            super().__init__()
            self.rows = nn.Parameter(torch.randn(2, 2, 2))

        def forward(self, places):
            return self.rows[places[:, 0], places[:, 1]].tanh()

    gauge = learned_in(dtype, Table(), nn.Linear(2, 8))
    return gauge | {"batch": (torch.randint(0, 2, (16000, 2)), torch.randint(0, 8, (16000,)))}


def table_in_float32():
    return table(torch.float32)


def of_eight_bits():
    """Weights in 8 bits that are not learned."""

    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("weight", (torch.randn(12, 12) / 12**0.5).to(torch.float8_e4m3fn))

        def forward(self, x):
            return x @ self.weight.to(x.dtype)

    gauge = learned_in(torch.bfloat16, nn.Linear(6, 12), nn.GELU(), nn.Linear(12, 8))
    gauge["model"].insert(1, Fixed())
    return gauge


def encoded():
    """A layer of which evaluation takes a kernel of its own."""
    layer = nn.TransformerEncoderLayer(12, 2, 16, dropout=0.0, batch_first=True)
    return learned_in(torch.bfloat16, nn.Unflatten(1, (2, 3)), nn.Linear(3, 12), layer, nn.Flatten(), nn.Linear(24, 8))


def single():
    """One weight and one sample, whose product and loss float32 holds exactly and half precision does not."""
    gauge = learned_in(torch.bfloat16, nn.Linear(1, 1, bias=False))
    return gauge | {"loss": functional.mse_loss, "batch": (torch.ones(1, 1).bfloat16(), torch.zeros(1, 1).bfloat16())}


def normed_tokens(rows=4096):
    """As many tokens as a language model has: the layer norm adds up their gradients in half precision on a CPU (PyTorch 2.13.0)."""
    gauge = learned_in(torch.bfloat16, nn.LayerNorm(16))
    gauge["model"][0].register_forward_hook(lambda layer, given, out: out + 1)  # so that the gradients of a bias are not of either sign
    return gauge | {"loss": functional.mse_loss, "batch": (torch.randn(rows, 16).bfloat16(), torch.zeros(rows, 16).bfloat16())}
