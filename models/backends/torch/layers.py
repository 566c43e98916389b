"""PyTorch's layers by themselves: as its initializers fill them, and what its activations compute."""

from __future__ import annotations

import torch
from torch import nn

from models.arrays import Array, Arrays, Points
from models.graph import INPUT, Dense
from models.parts.activations import ACTIVATIONS
from models.parts.initializers import INITIALIZERS
from models.reference.draws import BIAS_SD
from models.spec import Spec


def linear(spec: Spec, node: Dense) -> nn.Linear:
    """A Linear filled by torch.nn.init; what the initializer row leaves out keeps PyTorch's default."""
    layer, initializer = nn.Linear(node.fan_in, node.fan_out), INITIALIZERS[spec.init]
    if initializer.torch:
        initializer.torch(nn.init, layer.weight)
    if node.zero:
        nn.init.zeros_(layer.weight)
    if spec.bias == "normal":
        nn.init.normal_(layer.bias, std=BIAS_SD)
    elif not initializer.random_bias:
        nn.init.zeros_(layer.bias)
    return layer


def draw_layers(spec: Spec, fan_in: int, fan_out: int, draws: int, seed: int, device: str) -> list[Arrays]:
    """`draws` layers initialized one after the other from one seed, on the CPU, where users build modules before they move them."""
    torch.manual_seed(seed)
    layers = [linear(spec, Dense("dense1", (INPUT,), fan_out, fan_in)) for _ in range(draws)]
    return [{"weight": array(layer.weight), "bias": array(layer.bias)} for layer in layers]


def activate(spec: Spec, x: Points) -> tuple[Points, Points]:
    """The activation's own layer, in evaluation mode, and its derivative at x in its precision; on the GPU if there is one."""
    points = torch.as_tensor(x, device="cuda" if torch.cuda.is_available() else "cpu").requires_grad_()
    y = ACTIVATIONS[spec.arch.act].torch(nn).eval()(points)
    (slope,) = torch.autograd.grad(y.sum(), points)
    return array(y), array(slope)


def array(tensor: torch.Tensor) -> Array:
    """A tensor as a NumPy array of its own; half precision as float32, which NumPy computes with."""
    tensor = tensor.detach().cpu()
    return (tensor if tensor.dtype == torch.float64 or not tensor.is_floating_point() else tensor.float()).numpy().copy()
