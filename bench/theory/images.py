"""Signal propagation through convolutions at initialization: the law at a network's own shapes, and mean-field theory beside it.

With padding that wraps around, independent weights of variance v / fan-in and many channels, the mean square of a convolution's units is
v times that of the units it reads, as in a dense layer (Xiao et al. 2018, arXiv:1806.05393). Zeros around an image take part of that away
at its edge, and pooling changes it; `ensemble` draws networks as the reference does, and runs them on the very batch.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from models.architectures import graph
from models.arrays import Array, Batch, Labels, Signals
from models.reference.draws import draw_weights
from models.reference.network import Reference
from models.spec import Spec

NETWORKS = 24
"""Networks of an ensemble: their mean and spread are known to 1/√24 and 1/√46 of the spread."""
FIRST_SEED = 2_000_003
"""The first seed of an ensemble, apart from those of judged networks."""


def ensemble(spec: Spec, x: Batch, labels: Labels) -> tuple[Array, Array]:
    """Mean and standard deviation of `logs` over networks of `spec` with drawn weights, on one batch."""
    return _ensemble(spec, np.asarray(x, np.float64).tobytes(), x.shape, tuple(labels.tolist()))


@lru_cache(maxsize=64)
def _ensemble(spec: Spec, x: bytes, shape: tuple[int, ...], labels: tuple[int, ...]) -> tuple[Array, Array]:
    inputs, y = np.frombuffer(x).reshape(shape), np.array(labels)
    seen = []
    for seed in range(NETWORKS):
        done = Reference(spec, draw_weights(spec, FIRST_SEED + seed)).run(inputs, y)
        seen.append(logs(spec, done.pre_activations, done.pre_activation_gradients))
    with np.errstate(invalid="ignore"):
        return np.mean(seen, axis=0), np.std(seen, axis=0, ddof=1)


def logs(spec: Spec, signals: Signals, gradients: Signals) -> Array:
    """Natural logs of a pass, first of signals and then of gradients: each layer's norm over its neighbour's, and last over first.

    Signals are over the layer below, gradients over the layer above, and then the last over the first, or the first over the last.
    """
    names = [node.name for node in graph(spec).weighted]
    with np.errstate(divide="ignore", invalid="ignore"):
        z, d = (np.log([np.linalg.norm(np.asarray(of[name], np.float64)) for name in names]) for of in (signals, gradients))
        return np.concatenate([np.diff(z), [z[-1] - z[0]], -np.diff(d), [d[0] - d[-1]]])
