"""One network of discretised dynamics at several depths: the coarser, the fewer and the longer its steps over the same time.

A finer network begins where a coarser one has come to: each of its steps has the weights of the coarse step that it is a part of (Chang
et al. 2018, Multi-level Residual Networks from Dynamical Systems View, section 4: weights copied, step size halved).
"""

from __future__ import annotations

import msgspec

from models.architectures import Architecture
from models.architectures.dynamical import ODE
from models.arrays import Arrays
from models.fields import SpecError
from models.naming import kind_of, layer_of, node_of

ENDS = 2
"""The first layer and the read-out, which are no steps."""


def coarsened(network: Architecture, factor: int) -> ODE:
    """The network with one step for every `factor` of them, `factor` times as long.

    Raises SpecError where part of a step is left over, and for a network of another family.
    """
    network = _dynamics(network)
    together = factor * _turns(network)
    if (network.depth - ENDS) % together:
        steps = network.depth - ENDS
        raise SpecError(f"depth={network.depth} has {steps} steps, which {together} at a time do not use up: use another depth.")
    return msgspec.structs.replace(network, depth=(network.depth - ENDS) // factor + ENDS, step=network.step * factor)


def refined(weights: Arrays, coarse: Architecture, fine: Architecture) -> Arrays:
    """The weights of a finer network, by name, from those of a coarser one. Raises SpecError where `coarse` is not `fine` coarsened."""
    coarse, fine = _dynamics(coarse), _dynamics(fine)
    factor = (fine.depth - ENDS) // (coarse.depth - ENDS)
    if factor < 1 or msgspec.structs.replace(coarsened(fine, factor), step=coarse.step) != coarse:
        raise SpecError(
            f"The network of depth={coarse.depth} is no coarser form of that of depth={fine.depth}: let its steps divide the other's."
        )
    found = {}
    for name, value in weights.items():
        node = node_of(name)
        word = node.rstrip("0123456789")
        for layer in _layers(layer_of(node), coarse, factor):
            found[f"{word}{layer}.{kind_of(name)}"] = value.copy()
    return found


def _dynamics(network: Architecture) -> ODE:
    if not isinstance(network, ODE):
        raise SpecError("Coarser levels are those of discretised dynamics: use a network that begins with ode.")
    return network


def _turns(network: ODE) -> int:
    """Layers that make a step of the whole state: each of a reversible network moves one half of it."""
    return 2 if network.dynamics == "reversible" else 1


def _layers(layer: int, coarse: ODE, factor: int) -> list[int]:
    """The layers of the finer network that have this layer's weights."""
    if layer == 1:
        return [1]
    if layer == coarse.depth:
        return [(coarse.depth - ENDS) * factor + ENDS]
    turns = _turns(coarse)
    step, turn = divmod(layer - ENDS, turns)
    return [ENDS + (step * factor + part) * turns + turn for part in range(factor)]
