"""Predicted bands and measured profiles in one picture."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm

from bench import files
from bench.theory.bands import predict
from bench.theory.remedies import DECADES
from models.architectures import graph
from models.arrays import Array
from models.naming import layer_of
from models.observation import WatchedPass
from models.spec import Spec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {"torch": "tab:red", "keras": "tab:blue"}


def figure(columns: int, width: float = 5.0, height: float = 3.8) -> tuple[Figure, np.ndarray]:
    """A figure and its row of axes, drawn without any display, and gone when nobody holds it."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(width * columns, height), layout="constrained")
    return drawn, drawn.subplots(1, columns, squeeze=False)


def save(path: Path, drawn: Figure) -> None:
    """Write the picture in the format of its suffix. Raises ValueError for a suffix that is none, WriteError for a place that is none."""
    picture, kind = io.BytesIO(), path.suffix.removeprefix(".") or "png"
    drawn.savefig(picture, format=kind, dpi=110, metadata={"Date": None} if kind == "svg" else None)
    files.write(path, picture.getvalue())


def draw(path: Path, specs: dict[str, Spec], x: np.ndarray, seen: dict[str, list[WatchedPass]]) -> None:
    """Signal rms and gradient norms by layer: the 99 % band of each network, and what each framework's own draws show."""
    drawn, ((left, right),) = figure(2)
    z = float(norm.isf(0.005))
    for backend, spec in specs.items():
        colour = COLOURS.get(backend, "tab:green")
        prediction = predict(spec, np.asarray(x, np.float64))
        assert prediction is not None
        layers = [layer_of(name) for name in prediction.profile]
        low, high = zip(*(band.interval(z) for band in prediction.profile.values()), strict=True)
        middle = [band.mean * DECADES for band in prediction.profile.values()]
        label = "predicted, 99 % band" if len(set(specs.values())) == 1 else f"predicted for {spec.init}"
        if spec not in list(specs.values())[: list(specs).index(backend)]:
            right.fill_between(layers, np.multiply(low, DECADES), np.multiply(high, DECADES), color="0.85", label=label)
            right.plot(layers, middle, color="0.4", lw=1)
            total = np.cumsum([prediction.first.mean, *(band.mean for band in prediction.signal.values())])
            left.plot(range(1, len(total) + 1), total * DECADES, color="0.4", lw=1, label="predicted")
        for each, own in enumerate(seen[backend]):
            named = {"label": f"{backend}, own initialization"} if each == 0 else {}
            mark = {"color": colour, "marker": "ox+"[list(specs).index(backend) % 3], "ms": 3.5, "lw": 0, "mfc": "none"}
            dense = graph(spec).dense
            at, norms = [node.layer for node in dense], [_log_norm(own.pre_activation_gradients[node.name]) for node in dense]
            left.plot(at, [_log_rms(own.pre_activations[node.name]) for node in dense], **mark, **named)
            right.plot(at, [norm - norms[-1] for norm in norms], **mark, **named)
    left.set(xlabel="layer l", ylabel="log₁₀ rms of z_l", title="signals")
    right.set(xlabel="layer l", ylabel="log₁₀ ‖∂L/∂z_l‖ / ‖∂L/∂z_L‖", title="gradients")
    right.legend(frameon=False, fontsize=8)
    drawn.suptitle(next(iter(specs.values())).id, fontsize=10)
    save(path, drawn)


def _log_norm(a: Array) -> float:
    with np.errstate(divide="ignore"):
        return float(np.log10(np.linalg.norm(np.asarray(a, np.float64))))


def _log_rms(a: Array) -> float:
    return _log_norm(a) - 0.5 * float(np.log10(np.size(a)))
