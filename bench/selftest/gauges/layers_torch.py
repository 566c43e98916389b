"""PyTorch models by the layers that they are built of: attention, recurrence, normalizations, parametrizations; nothing of the suite."""

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, prune

KEPT = "weight"


def adam(parameters):
    return torch.optim.Adam(parameters, 1e-3)


def classified(model, inputs, classes=3):
    samples = len(inputs[0] if isinstance(inputs, tuple) else inputs)
    return {"model": model, "loss": functional.cross_entropy, "batch": (inputs, torch.randint(0, classes, (samples,))), "optimizer": adam}


class Translation(nn.Module):
    """`nn.Transformer`, encoder and decoder, with a causal mask and padding; embeddings and output share one weight."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 16, padding_idx=0)
        self.transformer = nn.Transformer(16, 2, 1, 1, 32, batch_first=True)
        self.head = nn.Linear(16, 20, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, source, target):
        mask = nn.Transformer.generate_square_subsequent_mask(target.shape[1])
        hidden = self.transformer(self.embedding(source), self.embedding(target), tgt_mask=mask, src_key_padding_mask=source == 0)
        return self.head(hidden).transpose(1, 2)


def translation():
    source, target = torch.randint(1, 20, (4, 6)), torch.randint(1, 20, (4, 5))
    source[:2, 4:] = 0
    loss = nn.CrossEntropyLoss(label_smoothing=0.1, ignore_index=0)
    return {"model": Translation(), "loss": loss, "batch": ((source, target), target.roll(-1, 1)), "optimizer": torch.optim.AdamW}


class Texts(nn.Module):
    """Embedding, LSTM in both directions, dropout, last states."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(30, 8)
        self.lstm = nn.LSTM(8, 6, 2, batch_first=True, bidirectional=True, dropout=0.2, proj_size=4)
        self.head = nn.Linear(8, 3)

    def forward(self, tokens):
        _, (hidden, _) = self.lstm(self.embedding(tokens))
        return self.head(torch.cat([hidden[-2], hidden[-1]], 1))


def texts():
    return classified(Texts(), torch.randint(0, 30, (6, 9)))


class Cells(nn.Module):
    """Recurrent cells in a Python loop."""

    def __init__(self):
        super().__init__()
        self.gru, self.lstm, self.rnn, self.head = (
            nn.GRUCell(4, 6),
            nn.LSTMCell(6, 6),
            nn.RNNCell(6, 6, nonlinearity="relu"),
            nn.Linear(6, 3),
        )

    def forward(self, x):
        a, (b, c), d = None, (None, None), None
        for step in x.unbind(1):
            a = self.gru(step, a)
            b, c = self.lstm(a, None if b is None else (b, c))
            d = self.rnn(b, d)
        return self.head(d)


def cells():
    return classified(Cells(), torch.randn(4, 5, 4))


def normalized():
    """Every normalization of images."""
    layers = [nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.SiLU(), nn.Conv2d(8, 8, 3, padding=1, groups=2, padding_mode="reflect")]
    layers += [nn.GroupNorm(4, 8), nn.Hardswish(), nn.InstanceNorm2d(8, affine=True, track_running_stats=True), nn.LocalResponseNorm(2)]
    layers += [nn.AvgPool2d(2, 2, 1), nn.Dropout2d(0.2), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.LayerNorm(32), nn.Linear(32, 3)]
    return classified(nn.Sequential(*layers), torch.randn(6, 3, 10, 10))


def upsampled():
    """Transposed convolution, interpolation, pixel shuffle, unpooling's likes."""
    layers = [
        nn.Conv2d(2, 8, 3, 2, 1),
        nn.LeakyReLU(0.1),
        nn.PixelShuffle(2),
        nn.ConvTranspose2d(2, 4, 3, 2, 1, output_padding=1),
        nn.PReLU(4),
    ]
    layers += [nn.Upsample(scale_factor=0.5, mode="bilinear"), nn.ReflectionPad2d(1), nn.Conv2d(4, 2, 3), nn.Softplus()]
    x = torch.randn(4, 2, 8, 8)
    return {"model": nn.Sequential(*layers), "loss": nn.HuberLoss(), "batch": (x, torch.rand(4, 2, 8, 8)), "optimizer": torch.optim.RAdam}


def sequences_of_signals():
    """Convolutions and pools in one dimension, and in three."""
    layers = [nn.Conv1d(2, 6, 3, dilation=2), nn.BatchNorm1d(6), nn.GELU("tanh"), nn.MaxPool1d(2), nn.Conv1d(6, 8, 3), nn.ELU()]
    layers += [nn.Unflatten(1, (2, 2, 2)), nn.Flatten(2, 3), nn.Flatten(), nn.LazyLinear(3)]
    model = nn.Sequential(*layers)
    model(torch.randn(2, 2, 20))
    return classified(model, torch.randn(6, 2, 20))


def volumes():
    layers = [nn.Conv3d(1, 4, 2), nn.BatchNorm3d(4), nn.ReLU6(), nn.MaxPool3d(2), nn.Flatten(), nn.Linear(32, 3)]
    return classified(nn.Sequential(*layers), torch.randn(4, 1, 6, 6, 6))


def weight_normed():
    first, last = parametrizations.weight_norm(nn.Linear(6, 8)), parametrizations.orthogonal(nn.Linear(8, 3))
    return classified(
        nn.Sequential(first, nn.Tanh(), parametrizations.weight_norm(nn.Linear(8, 8), dim=None), nn.Mish(), last), torch.randn(5, 6)
    )


def spectral_normed():
    """Spectral normalization, whose vectors move with every training step, in its new and its old form."""
    old = nn.utils.spectral_norm(nn.Conv2d(3, 4, 3))
    layers = [old, nn.CELU(), nn.Flatten(), parametrizations.spectral_norm(nn.Linear(64, 8)), nn.SELU(), nn.Linear(8, 3)]
    return classified(nn.Sequential(*layers), torch.randn(4, 3, 6, 6))


def old_weight_norm():
    return classified(nn.Sequential(nn.utils.weight_norm(nn.Linear(6, 8)), nn.Sigmoid(), nn.Linear(8, 3)), torch.randn(5, 6))


def pruned():
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    prune.l1_unstructured(model[0], KEPT, 0.5)
    return classified(model, torch.randn(5, 6))


class Residual(nn.Module):
    """Residual blocks that are left out at random, as in stochastic depth, with a learned scale of each."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8), nn.GELU(), nn.Dropout(0.1)) for _ in range(4))
        self.scales = nn.ParameterList(nn.Parameter(torch.full((8,), 0.1)) for _ in range(4))
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        for scale, block in zip(self.scales, self.blocks, strict=True):
            kept = torch.empty(len(x), 1).bernoulli_(0.8) / 0.8 if self.training else 1.0
            x = x + kept * scale * block(x)
        return self.head(x)


def residual():
    return classified(Residual(), torch.randn(6, 8))


class Skipping(nn.Module):
    """Blocks left out by Python's own random numbers, and one by NumPy's."""

    def __init__(self):
        super().__init__()
        self.blocks, self.head = nn.ModuleList(nn.Linear(8, 8) for _ in range(5)), nn.Linear(8, 3)

    def forward(self, x):
        import random

        import numpy as np

        for block in self.blocks:
            if not self.training or random.random() < 0.7:
                x = x + torch.tanh(block(x)) * float(np.random.uniform(0.9, 1.1) if self.training else 1.0)
        return self.head(x)


def skipping():
    return classified(Skipping(), torch.randn(6, 8))


class Attending(nn.Module):
    """`nn.MultiheadAttention` that gives its weights out, between sequences of other widths."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, kdim=6, vdim=5, batch_first=True, add_bias_kv=True, dropout=0.1)
        self.head = nn.Bilinear(8, 8, 3)

    def forward(self, q, k, v):
        hidden, shares = self.attention(q, k, v)
        pooled = hidden.mean(1)
        return self.head(pooled, pooled.flip(-1)) + shares.mean((1, 2)).unsqueeze(-1)


def attending():
    return classified(Attending(), (torch.randn(4, 3, 8), torch.randn(4, 7, 6), torch.randn(4, 7, 5)))


class Distances(nn.Module):
    """Functions that are rarely used: distances, cosine similarity, einsum, FFT, matrix functions, scatter."""

    def __init__(self):
        super().__init__()
        self.points, self.mixing = nn.Parameter(torch.randn(5, 4)), nn.Parameter(torch.randn(4, 4) * 0.2)
        self.filter = nn.Parameter(torch.randn(3, dtype=torch.cfloat))

    def forward(self, x):
        x = torch.einsum("bi,ij->bj", x, torch.linalg.matrix_exp(self.mixing))
        x = torch.fft.irfft(torch.fft.rfft(x) * self.filter, n=4)
        near = torch.cdist(x, self.points) + functional.cosine_similarity(x[:, None], self.points[None], dim=-1)
        spread = torch.zeros(len(x), 3).index_add(1, torch.tensor([0, 1, 2, 0, 1]), near)
        return spread + torch.linalg.slogdet(torch.eye(4) * 3 + self.mixing)[1] + x.logsumexp(-1, keepdim=True) + x.std(1, keepdim=True)


def distances():
    return classified(Distances(), torch.randn(6, 4))
