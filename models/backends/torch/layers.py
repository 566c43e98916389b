"""PyTorch's layers by themselves: as its initializers fill them, and what its activations compute."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, rnn

from models.arrays import Array, Arrays, Points
from models.backends.registry import Absent
from models.backends.torch.dynamics import AntisymmetricLinear
from models.nodes import BACKWARD, INPUT, Antisymmetric, Dense, Recurrent
from models.parts.activations import ACTIVATIONS
from models.parts.cells import CELLS, CHRONO
from models.parts.initializers import INITIALIZERS
from models.parts.parametrizations import NONE, PARAMETRIZATIONS
from models.parts.recurrences import RECURRENCES
from models.reference.draws import BIAS_SD
from models.spec import Spec


def linear(spec: Spec, node: Dense) -> nn.Linear:
    """A Linear filled by torch.nn.init; what the initializer row leaves out keeps PyTorch's default.

    Weights that are scaled or mirrored at the start are filled first.
    """
    initializer, fans = INITIALIZERS[spec.init], (node.fan_in, node.fan_out)
    layer = AntisymmetricLinear(node.width, node.damping) if isinstance(node, Antisymmetric) else nn.Linear(*fans)
    drawn = nn.Linear(node.fan_drawn, node.fan_out) if node.mirrored else layer
    if initializer.torch:
        initializer.torch(nn.init, drawn.weight)
    with torch.no_grad():
        if node.mirrored:
            layer.weight.copy_(torch.cat([drawn.weight, -drawn.weight], 1))
        if node.start == 0:
            nn.init.zeros_(layer.weight)
        elif node.start != 1:
            layer.weight.mul_(node.start)
    if spec.bias == "normal":
        nn.init.normal_(layer.bias, std=BIAS_SD)
    elif not initializer.random_bias:
        nn.init.zeros_(layer.bias)
    return layer


class Lengths:
    """How long the samples of the batch at hand are: None where all are as long as the sequence.

    The layer that makes sequences says so, and recurrent layers and what reads them ask.
    """

    now: torch.Tensor | None = None


class CellLoop(nn.Module):
    """A recurrent layer as a loop over its cell, which has the parameters of PyTorch's own layer."""

    def __init__(self, layer: nn.RNNBase) -> None:
        """Share them. Raises models.backends.registry.Absent for a layer of two directions."""
        super().__init__()
        if layer.bidirectional:
            raise Absent("a loop of cells has one direction")
        options = {"nonlinearity": layer.nonlinearity} if isinstance(layer, nn.RNN) else {}
        self.cell = getattr(nn, f"{type(layer).__name__}Cell")(layer.input_size, layer.hidden_size, **options)
        for name in CARRIED.values():
            setattr(self.cell, name.removesuffix("_l0"), getattr(layer, name))

    def forward(self, x: torch.Tensor, state: Any = None) -> tuple[torch.Tensor, Any]:
        """Outputs of all time steps, and the last state, which is a tensor, or two of an LSTM."""
        outputs = []
        for step in x.unbind(1):
            state = self.cell(step, state)
            outputs.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(outputs, 1), state


class Recurrence(nn.Module):
    """A recurrent layer of PyTorch's that hands on the outputs of all time steps.

    PyTorch's two biases move their sum twice as far in one step; where they only add up, the second one is zero and frozen. Samples of
    uneven lengths are packed. After `truncated` steps the state is detached. With `cells` the layer is written as a loop.
    """

    def __init__(self, layer: nn.RNNBase, biases: int, lengths: Lengths, truncated: int, cells: bool = False) -> None:
        """Freeze the second bias where the cell has one."""
        super().__init__()
        self.layer, self.lengths, self.truncated = layer, lengths, truncated
        self.loop = CellLoop(layer) if cells else None  # no second name of the layer, which PyTorch would swap twice
        if biases == 1:
            for suffix in SUFFIXES[: 1 + layer.bidirectional]:
                nn.init.zeros_(getattr(layer, f"bias_hh{suffix}").requires_grad_(False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From a state of zeros."""
        if self.truncated:
            return self._in_pieces(x)
        if self.lengths.now is None:
            return (self.loop or self.layer)(x)[0]  # type: ignore[no-any-return]
        packed = rnn.pack_padded_sequence(x, self.lengths.now.cpu(), batch_first=True, enforce_sorted=False)
        return rnn.pad_packed_sequence(self.layer(packed)[0], batch_first=True, total_length=x.shape[1])[0]

    def _in_pieces(self, x: torch.Tensor) -> torch.Tensor:
        state, outputs = None, []
        for piece in x.split(self.truncated, 1):
            output, state = (self.loop or self.layer)(piece, state)
            state = tuple(each.detach() for each in state) if isinstance(state, tuple) else state.detach()
            outputs.append(output)
        return torch.cat(outputs, 1)

    def parameter(self, kind: str) -> nn.Parameter:
        """What the layer learns, by its kind."""
        name = carried(kind)
        if parametrize.is_parametrized(self.layer, name):
            return self.layer.parametrizations[name].original  # type: ignore[index,union-attr,return-value]
        return getattr(self.layer, name)  # type: ignore[no-any-return]


SUFFIXES = "_l0", "_l0_reverse"
"""What names end with in PyTorch's recurrent layers, for either direction."""
CARRIED = {"weight": "weight_ih_l0", "recurrent_weight": "weight_hh_l0", "bias": "bias_ih_l0", "recurrent_bias": "bias_hh_l0"}
"""PyTorch's names of what a recurrent layer learns."""


def carried(kind: str) -> str:
    """PyTorch's name of what a recurrent layer learns in either direction."""
    backwards = kind.startswith(BACKWARD)
    return CARRIED[kind.removeprefix(BACKWARD)].replace(*SUFFIXES) if backwards else CARRIED[kind]


@torch.no_grad()
def recurrence(spec: Spec, node: Recurrent, lengths: Lengths, mode: str = "") -> Recurrence:
    """A recurrent layer filled by torch.nn.init, gate by gate; what rows leave out keeps PyTorch's default.

    It is PyTorch's own, or with the mode `cells` a loop. Raises models.backends.registry.Absent for a cell that PyTorch does not have.
    """
    row, initializer, start = CELLS[node.cell], INITIALIZERS[spec.init], RECURRENCES[node.start]
    if (own := row.torch) is None:
        raise Absent(f"PyTorch has no cell {node.cell}")
    layer = own(nn, node.fan_in, node.units, batch_first=True, bidirectional=node.both)
    part = Recurrence(layer, row.biases, lengths, node.truncated, cells=mode == "cells")
    for direction in node.directions:
        if initializer.torch:
            initializer.torch(nn.init, part.parameter(f"{direction}weight"))
        for gate in part.parameter(f"{direction}recurrent_weight").split(node.units):
            if start.torch:
                start.torch(nn.init, gate)
                gate.mul_(node.radius)
        for bias in (part.parameter(kind) for kind in node.of_direction(direction) if kind.endswith("bias")):
            if spec.bias == "normal":
                nn.init.normal_(bias, std=BIAS_SD)
            elif not initializer.random_bias:
                nn.init.zeros_(bias)
                _begin_forgetting(node, bias.view(row.gates, node.units))
    if node.parametrization != NONE:
        keep_orthogonal(layer, [carried(f"{direction}recurrent_weight") for direction in node.directions], node.parametrization)
    return part


class Paired(nn.Module):
    """Of a matrix the lower triangle of a skew matrix that commutes with multiplication by i, units being real and imaginary parts."""

    def forward(self, learned: torch.Tensor) -> torch.Tensor:
        """From (units × units)."""
        lower = learned.tril(-1)
        (a, b), (c, d) = ((left, right) for left, right in (half.chunk(2, 1) for half in (lower - lower.mT).chunk(2)))
        p, q = (a + d) / 2, (c - b) / 2
        return torch.cat([torch.cat([p, -q], 1), torch.cat([q, p], 1)]).tril(-1)


def keep_orthogonal(layer: nn.Module, names: list[str], parametrization: str) -> None:
    """Make these weights by PyTorch's own parametrization of what they are now, for unitary ones after one of ours."""
    for name in names:
        if PARAMETRIZATIONS[parametrization].paired:
            parametrize.register_parametrization(layer, name, Paired(), unsafe=True)
        parametrizations.orthogonal(layer, name, "cayley", use_trivialization=False)


def _begin_forgetting(node: Recurrent, by_gate: torch.Tensor) -> None:
    """Set the forget gate's bias in place, and for `chrono` the input gate's, too; nothing where the cell has none."""
    row = CELLS[node.cell]
    if row.forget is None or row.fill is None:
        return
    if node.forget == CHRONO:
        by_gate[row.forget] = nn.init.uniform_(by_gate[row.forget], 1, node.length - 1).log()
        by_gate[row.fill] = -by_gate[row.forget]
    else:
        nn.init.constant_(by_gate[row.forget], float(node.forget))


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
