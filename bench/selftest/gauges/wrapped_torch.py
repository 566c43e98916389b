"""PyTorch models that are wrapped or compute by functions of their user's own, in formats of their own; nothing of the suite."""

import torch
from forms_torch import layers, points, trained  # beside this file, as a user's files are
from torch import nn
from torch.utils.checkpoint import checkpoint


class Clipped(torch.autograd.Function):
    """A straight-through sign, as binary networks have it."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sign()

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (x.abs() <= 1)


class Cube(torch.autograd.Function):
    """A function with a right formula, written as newer code has it."""

    @staticmethod
    def forward(x):
        return x**3

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, g):
        return 3 * ctx.saved_tensors[0] ** 2 * g


class Functions(nn.Module):
    """Functions of the user's own."""

    def __init__(self, *functions):
        super().__init__()
        self.layers, self.functions = layers(), functions

    def forward(self, x):
        for function in self.functions:
            x = function.apply(x)
        x = self.layers[0](x)
        for function in self.functions:
            x = function.apply(x)
        return self.layers[2](x)


def functions():
    return trained(Functions(Cube), nn.MSELoss(), points())


def binary():
    return trained(Functions(Clipped), nn.MSELoss(), points())


class Complex(nn.Module):
    """Complex parameters and activations."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 5, dtype=torch.cfloat), nn.Linear(5, 2, dtype=torch.cfloat)

    def forward(self, x):
        return self.second(torch.tanh(self.first(x.to(torch.cfloat)))).abs()


def complex_numbers():
    return trained(Complex(), nn.MSELoss(), points(), torch.optim.Adam)


def compiled():
    """A model that its user compiles."""
    return trained(torch.compile(layers()), nn.MSELoss(), points())


def compiled_in_place():
    model = layers()
    model.compile()
    return trained(model, nn.MSELoss(), points())


def scripted():
    return trained(torch.jit.script(layers()), nn.MSELoss(), points())


def traced():
    return trained(torch.fx.symbolic_trace(layers()), nn.MSELoss(), points())


def parallel():
    return trained(nn.DataParallel(layers()), nn.MSELoss(), points())


def averaged():
    return trained(torch.optim.swa_utils.AveragedModel(layers()), nn.MSELoss(), points())


class Checkpointed(nn.Module):
    """Activations that are computed once more on the way back."""

    def __init__(self, reentrant):
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(4, 6), nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.3), nn.ReLU()), nn.Linear(6, 2)
        self.reentrant = reentrant

    def forward(self, x):
        return self.last(checkpoint(self.middle, self.first(x), use_reentrant=self.reentrant))


def checkpointed():
    return trained(Checkpointed(False), nn.MSELoss(), points())


def checkpointed_reentrant():
    return trained(Checkpointed(True), nn.MSELoss(), points())


def double():
    """A model in float64 already."""
    x, y = points()
    return trained(layers().double(), nn.MSELoss(), (x.double(), y.double()))


class Autocast(nn.Module):
    """Asks for half precision itself."""

    def __init__(self):
        super().__init__()
        self.layers = layers()

    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            return self.layers(x).float()


def autocast():
    return trained(Autocast(), nn.MSELoss(), points())


class Reversed(torch.autograd.Function):
    """A gradient that is turned round, as domain adaptation has it (Ganin and Lempitsky 2015)."""

    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return -g


def reversed_gradient():
    return trained(Functions(Reversed), nn.MSELoss(), points())
