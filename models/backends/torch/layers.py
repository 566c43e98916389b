"""PyTorch's layers by themselves: as its initializers fill them, and what its activations compute."""

from __future__ import annotations

import torch
from torch import nn

from models.arrays import Array, Arrays, Points
from models.backends.registry import Absent
from models.graph import INPUT, Dense, Recurrent
from models.parts.activations import ACTIVATIONS
from models.parts.cells import CELLS
from models.parts.initializers import INITIALIZERS
from models.parts.recurrences import RECURRENCES
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


class Recurrence(nn.Module):
    """A recurrent layer of PyTorch's that hands on the outputs of all time steps.

    PyTorch's two biases move their sum twice as far in one step; where they only add up, the second one is zero and frozen.
    """

    def __init__(self, layer: nn.RNNBase, biases: int) -> None:
        """Freeze the second bias where the cell has one."""
        super().__init__()
        self.layer = layer
        if biases == 1:
            nn.init.zeros_(layer.bias_hh_l0.requires_grad_(False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From a state of zeros."""
        return self.layer(x)[0]  # type: ignore[no-any-return]


CARRIED = {"weight": "weight_ih_l0", "recurrent_weight": "weight_hh_l0", "bias": "bias_ih_l0", "recurrent_bias": "bias_hh_l0"}
"""PyTorch's names of what a recurrent layer learns."""


@torch.no_grad()
def recurrence(spec: Spec, node: Recurrent) -> Recurrence:
    """A recurrent layer filled by torch.nn.init, gate by gate; what rows leave out keeps PyTorch's default.

    Raises models.backends.registry.Absent for a cell that PyTorch does not have.
    """
    row, initializer, start = CELLS[node.cell], INITIALIZERS[spec.init], RECURRENCES[node.start]
    if (own := row.torch) is None:
        raise Absent(f"PyTorch has no cell {node.cell}")
    part = Recurrence(own(nn, node.fan_in, node.width, batch_first=True), row.biases)
    if initializer.torch:
        initializer.torch(nn.init, part.layer.weight_ih_l0)
    for gate in part.layer.weight_hh_l0.split(node.width):
        if start.torch:
            start.torch(nn.init, gate)
            gate.mul_(node.radius)
    for name in (CARRIED[kind] for kind in node.parameters if kind.endswith("bias")):
        bias = getattr(part.layer, name)
        if spec.bias == "normal":
            nn.init.normal_(bias, std=BIAS_SD)
        elif not initializer.random_bias:
            nn.init.zeros_(bias)
            if row.forget is not None:
                nn.init.constant_(bias[row.forget * node.width : (row.forget + 1) * node.width], node.forget)
    return part


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
