"""Layers that are taken back in the backward pass, in place of keeping their activations: PyTorch's users write them so."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.autograd.function import FunctionCtx

from models.architectures.reversible import Move, reversible
from models.graph import Graph
from models.nodes import INPUT, Node


class Context(FunctionCtx):
    """What the way back is given: the modules, what they learn, and the last state."""

    layers: Recomputed
    learned: tuple[nn.Parameter, ...]
    saved_tensors: tuple[torch.Tensor, ...]


class TakenBack(torch.autograd.Function):
    """All moves of a state, as one operation that keeps the last state alone (Gomez et al. 2017, algorithm 1)."""

    @staticmethod
    def forward(
        ctx: Context, layers: Recomputed, one: torch.Tensor, other: torch.Tensor, *learned: nn.Parameter
    ) -> tuple[torch.Tensor, ...]:
        """From the first state to the last one; `learned` is named for autograd, which would not see it in `layers`."""
        moves = layers.network.moves
        values = dict(zip(layers.network.first, (one, other), strict=True))
        for move in moves:
            values[move.sum.name] = layers.moved(values.pop(move.moved), layers.force(move, values[move.read]), move.sum.scale)
        ctx.layers, ctx.learned = layers, learned
        last = tuple(values[name] for name in layers.network.last)
        ctx.save_for_backward(*last)
        return last

    @staticmethod
    def backward(ctx: Context, *d: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """From the last state to the first one, a move at a time: its force is computed again, taken off, and differentiated."""
        layers, network = ctx.layers, ctx.layers.network
        values = dict(zip(network.last, ctx.saved_tensors, strict=True))
        slopes = dict(zip(network.last, d, strict=True))
        gradients: dict[nn.Parameter, torch.Tensor] = {}
        for move in reversed(network.moves):
            read, own = values[move.read].detach().requires_grad_(), layers.learned(move)
            with torch.enable_grad():
                force = layers.force(move, read)
            values[move.moved] = layers.moved(values.pop(move.sum.name), force.detach(), -move.sum.scale)
            slopes[move.moved] = slopes.pop(move.sum.name)
            towards, *found = torch.autograd.grad(force, [read, *own], slopes[move.moved] * move.sum.scale)
            slopes[move.read] = slopes[move.read] + towards
            for parameter, gradient in zip(own, found, strict=True):  # a Hamiltonian layer reads its matrix twice
                gradients[parameter] = gradients[parameter] + gradient if parameter in gradients else gradient
        return None, *(slopes[name] for name in network.first), *(gradients[parameter] for parameter in ctx.learned)


class Recomputed(nn.Module):
    """Modules wired as the graph of a reversible network, which keeps of its layers the last state alone."""

    def __init__(self, graph: Graph, parts: dict[str, nn.Module]) -> None:
        """Modules by node name. Raises SpecError for a network that cannot be taken back."""
        super().__init__()
        self.parts, self.network = nn.ModuleDict(parts), reversible(graph)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The last node's result."""
        results = self._taken(self.network.before, {INPUT: x})
        learned = dict.fromkeys(parameter for move in self.network.moves for parameter in self.learned(move))
        last = TakenBack.apply(self, *(results[name] for name in self.network.first), *learned)
        return self._taken(self.network.after, dict(zip(self.network.last, last, strict=True)))[self.network.after[-1].name]

    def force(self, move: Move, read: torch.Tensor) -> torch.Tensor:
        """What a move computes from the part that it reads."""
        return self.parts[move.act.name](self.parts[move.affine.name](read))  # type: ignore[no-any-return]

    @staticmethod
    def moved(part: torch.Tensor, force: torch.Tensor, scale: float) -> torch.Tensor:
        """A part that is moved, as a sum of the network computes it."""
        return part + force * scale

    def learned(self, move: Move) -> list[nn.Parameter]:
        """Parameters of a move, but for frozen ones."""
        return [parameter for parameter in self.parts[move.affine.name].parameters() if parameter.requires_grad]

    def _taken(self, nodes: Iterable[Node], results: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        for node in nodes:
            results[node.name] = self.parts[node.name](*[results[each] for each in node.inputs])
        return results
