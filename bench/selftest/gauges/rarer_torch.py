"""PyTorch models that do what few do: draw in evaluation, stop gradients, route samples, differentiate inside; nothing of the suite."""

import copy

import torch
from torch import nn
from torch.nn import functional


def classified(model, optimizer=lambda parameters: torch.optim.SGD(parameters, 0.1, momentum=0.9)):
    batch = torch.randn(8, 12), torch.randint(0, 3, (8,))
    return {"model": model, "loss": functional.cross_entropy, "batch": batch, "optimizer": optimizer}


class Variational(nn.Module):
    """An autoencoder that draws its code in training and in evaluation."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(20, 8), nn.Sequential(nn.Linear(4, 20), nn.Softplus())

    def forward(self, x):
        mean, log_variance = self.encoder(x).chunk(2, 1)
        return self.decoder(mean + torch.randn_like(mean) * torch.exp(log_variance / 2)), mean, log_variance


def variational():
    def loss(output, x):
        seen, mean, log_variance = output
        return ((seen - x) ** 2).mean() - (1 + log_variance - mean**2 - log_variance.exp()).mean() / 2

    x = torch.rand(8, 20)
    return {"model": Variational(), "loss": loss, "batch": (x, x), "optimizer": lambda p: torch.optim.Adam(p, 1e-3)}


class Quantized(nn.Module):
    """An autoencoder whose code is the nearest of nine, past which the gradient goes straight (van den Oord et al. 2017)."""

    def __init__(self):
        super().__init__()
        self.encoder, self.codes, self.decoder = nn.Linear(20, 6), nn.Embedding(9, 6), nn.Linear(6, 20)

    def forward(self, x):
        z = self.encoder(x)
        nearest = self.codes(torch.cdist(z, self.codes.weight).argmin(1))
        away = ((z - nearest.detach()) ** 2).mean() + ((nearest - z.detach()) ** 2).mean()
        return self.decoder(z + (nearest - z).detach()), away


def quantized():
    x = torch.rand(8, 20)
    loss = lambda output, x: ((output[0] - x) ** 2).mean() + output[1]  # noqa: E731
    return {"model": Quantized(), "loss": loss, "batch": (x, x), "optimizer": lambda p: torch.optim.Adam(p, 1e-3)}


class Taught(nn.Module):
    """A network beside a teacher and beside itself, both without gradients."""

    def __init__(self):
        super().__init__()
        self.student = nn.Sequential(nn.Linear(12, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 8))
        self.teacher, self.predictor = copy.deepcopy(self.student).requires_grad_(False), nn.Linear(8, 8)

    def forward(self, x):
        with torch.no_grad():
            others = self.teacher(x + 0.1), self.student(x + 0.2)
        return self.predictor(self.student(x)), *others


def taught():
    def loss(output, labels):
        one, *others = (functional.normalize(each, dim=1) for each in output)
        return 2 - sum((one * other).sum(1).mean() for other in others)

    return {**classified(Taught(), lambda p: torch.optim.SGD([each for each in p if each.requires_grad], 0.1)), "loss": loss}


class Routed(nn.Module):
    """A mixture of experts, each sample sent to two of four, so that half a batch may leave one out."""

    def __init__(self):
        super().__init__()
        self.gate, self.head = nn.Linear(12, 4), nn.Linear(12, 3)
        self.experts = nn.ModuleList(nn.Linear(12, 12) for _ in range(4))

    def forward(self, x):
        shares, chosen = self.gate(x).softmax(-1).topk(2, -1)
        sent = [torch.stack([self.experts[e](x[n]) for n, e in enumerate(chosen[:, k].tolist())]) for k in range(2)]
        return self.head(sum(shares[:, k : k + 1] * each for k, each in enumerate(sent)))


def routed():
    return classified(Routed(), lambda parameters: torch.optim.RMSprop(parameters, 1e-3))


class Causal(nn.Module):
    """Self-attention by the fused kernel, without dropout."""

    def __init__(self):
        super().__init__()
        self.embedding, self.norm, self.into, self.head = nn.Embedding(30, 16), nn.RMSNorm(16), nn.Linear(16, 48), nn.Linear(16, 30)

    def forward(self, tokens):
        h = self.norm(self.embedding(tokens))
        q, k, v = (each.view(*each.shape[:2], 2, 8).transpose(1, 2) for each in self.into(h).chunk(3, -1))
        return self.head(h + functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape_as(h))


def causal():
    tokens = torch.randint(0, 30, (4, 9))
    loss = lambda logits, after: functional.cross_entropy(logits.flatten(0, 1), after.flatten())  # noqa: E731
    return {"model": Causal(), "loss": loss, "batch": (tokens, tokens.roll(-1, 1)), "optimizer": lambda p: torch.optim.AdamW(p, 1e-3)}


class Sparse(nn.Module):
    """An embedding with a sparse gradient, for an optimizer that takes no other."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.EmbeddingBag(40, 3, sparse=True)

    def forward(self, tokens):
        return self.embedding(tokens)


def sparse():
    batch = torch.randint(0, 40, (6, 5)), torch.randint(0, 3, (6,))
    optimizer = lambda parameters: torch.optim.SparseAdam(list(parameters), 1e-2)  # noqa: E731
    return {"model": Sparse(), "loss": functional.cross_entropy, "batch": batch, "optimizer": optimizer}


class Packed(nn.Module):
    """Sequences of uneven lengths, and dropout between layers."""

    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(6, 10, 2, batch_first=True, dropout=0.1), nn.Linear(10, 5)

    def forward(self, x, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        hidden, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        return self.head(hidden).log_softmax(-1).transpose(0, 1)


def packed():
    """A loss of sequences, in logarithms of which some are −∞, for batches of four alone."""
    lengths = torch.tensor([12, 9, 7, 10])
    loss = lambda output, y: functional.ctc_loss(output, y, lengths, torch.tensor([3, 2, 3, 3]))  # noqa: E731
    return {"model": Packed(), "loss": loss, "batch": ((torch.randn(4, 12, 6), lengths), torch.randint(1, 5, (4, 3)))}


class Penalized(nn.Module):
    """A critic that gives its own gradient out (Gulrajani et al. 2017), in evaluation as well."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 1))

    def forward(self, x):
        x = x.clone().requires_grad_(True)
        output = self.layers(x)
        return output, torch.autograd.grad(output.sum(), x, create_graph=True)[0]


def penalized():
    loss = lambda output, labels: output[0].mean() + 10 * ((output[1].norm(dim=1) - 1) ** 2).mean()  # noqa: E731
    return {**classified(Penalized()), "loss": loss}
