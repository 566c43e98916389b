"""How good mean-field theory of gated cells is at a finite width: predicted against measured gradients and states through time.

`python -m bench gated-theory` draws networks of each cell, start, length and width, runs them through the float64 reference on one batch,
and prints log₁₀ ‖∂L/∂x₁‖/‖∂L/∂x_T‖ beside theory (`bench.theory.through_time`), with weights kept and with weights drawn anew in every
step. A batch is one of digits, or of eight standard normal numbers a step. `--record` replaces `gated_theory.txt`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.progress import shown, track
from bench.selftest.studies.recorded import tell
from bench.theory.recurrent import radius_of
from bench.theory.through_time import Start, course
from fixtures.data.datasets import load
from models.architectures import graph
from models.arrays import Arrays, Batch, Labels, PerStep
from models.nodes import Recurrent
from models.parts.cells import CELLS
from models.reference.draws import draw_weights
from models.reference.network import Reference
from models.spec import Spec

RECORD = Path(__file__).parent / "gated_theory.txt"
FIRST_SEED = 12_000
"""Apart from every other use of seeds."""
NETWORKS = {64: 16, 256: 6, 512: 4}
"""Networks drawn by width: means are known to 1/4, 1/√6 and 1/2 of the spread."""
LENGTHS = 4, 8, 16, 32, 64, 100, 128
"""Time steps that may be asked for: those of digits divide their 64 features, or exceed them."""
BATCH, FRAME = 16, 8
STARTS: tuple[tuple[str, float | None], ...] = (
    ("cell=lstm", 0), ("cell=lstm", 1), ("cell=lstm", 3), ("cell=lstm", 5), ("cell=gru", None), ("cell=gru_reset_before", None),
)  # fmt: skip
"""Cells, and biases of forget gates, which may be larger than a network's own field says."""
OTHERS: tuple[tuple[str, float | None], ...] = (
    ("cell=lstm,forget=chrono", None), ("cell=lstm,recurrent=normal", 1), ("cell=lstm,init=torch_default", None),
    ("cell=gru,bias=normal", None),
)  # fmt: skip
"""More starts, at radius 1 alone."""
LN10 = float(np.log(10))


def batch(inputs: str, length: int) -> tuple[Batch, Labels]:
    """Inputs (samples × features) and labels."""
    if inputs == "digits":
        data = load()
        return np.asarray(data.x_train[:BATCH], np.float64), data.y_train[:BATCH]
    return np.random.default_rng(length).standard_normal((BATCH, FRAME * length)), np.arange(BATCH) % 10


def network(start: str, radius: float, width: int, length: int, features: int) -> Spec:
    """A recurrent network in float64."""
    return Spec.parse(f"rnn,width={width},batch={BATCH},length={length},features={features},precision=float64,radius={radius:g},{start}")


def drawn(spec: Spec, seed: int, forget: float | None) -> Arrays:
    """Weights of `spec`, with another bias of the forget gates where one is given."""
    weights, (node,) = draw_weights(spec, seed), graph(spec).of(Recurrent)
    row = CELLS[node.cell]
    if forget is not None and row.forget is not None:
        by_gate = weights[f"{node.name}.bias"].copy().reshape(row.gates, node.units)
        by_gate[row.forget] = forget
        weights[f"{node.name}.bias"] = by_gate.ravel()
    return weights


def measured(spec: Spec, weights: Arrays, x: Batch, labels: Labels) -> tuple[PerStep, float]:
    """log₁₀ ‖∂L/∂x_t‖/‖∂L/∂x_T‖ for every step t, and E[h²] after the last one."""
    done = Reference(spec, weights).run(x, labels)
    norms = np.log(np.linalg.norm(done.pre_activation_gradients["steps"], axis=(0, 2))) / LN10
    (node,) = graph(spec).of(Recurrent)
    return norms - norms[-1], float(np.mean(done.pre_activations[node.name][:, -1] ** 2))


def row(inputs: str, length: int, start: str, forget: float | None, radius: float, widths: list[int]) -> dict[str, Any]:
    """One start: what theory says, and by width the mean, the spread and the furthest time step from theory, in decades."""
    x, labels = batch(inputs, length)
    found: dict[str, Any] = {"inputs": inputs, "steps": length, "start": start + ("" if forget is None else f" b={forget:g}"), "ρ": radius}
    for width in widths:
        spec = network(start, radius, width, length, x.shape[1])
        own = radius_of(graph(spec).of(Recurrent)[0])
        kept = course(spec, x, Start(own, forget=forget))
        said = kept.gradient / LN10
        if width == widths[0]:
            found |= {"anew": course(spec, x, Start(own, forget=forget, anew=True)).gradient[0] / LN10, "kept": said[0]}
        seeds = range(FIRST_SEED, FIRST_SEED + NETWORKS[width])
        seen = [measured(spec, drawn(spec, seed, forget), x, labels) for seed in seeds]
        gradients, states = np.array([each for each, _ in seen]), np.array([each for _, each in seen])
        found |= {
            f"mean {width}": gradients[:, 0].mean(),
            f"± {width}": gradients[:, 0].std(ddof=1),
            f"off {width}": np.abs(said - gradients.mean(axis=0)).max(),
            f"h² {width}": states.mean() / kept.states[-1, 0],
        }
    return found


def report(lengths: list[int], widths: list[int]) -> Iterator[str]:
    """The table, and what it says in a line for every width."""
    cases = [
        (inputs, length, start, forget, radius)
        for inputs in ("normal", "digits")
        for length in lengths
        for starts, radii in ((STARTS, (0.5, 1.0, 1.5) if inputs == "normal" else (1.0,)), (OTHERS, (1.0,)))
        for start, forget in starts
        for radius in radii
    ]
    table = pd.DataFrame([row(*case, widths) for case in track(cases, "starts")])
    yield f"python -m bench gated-theory --lengths {' '.join(map(str, lengths))} --widths {' '.join(map(str, widths))}"
    yield "decades of ‖∂L/∂x₁‖/‖∂L/∂x_T‖ at infinite width, weights drawn anew in every step and kept; then by width the mean and the"
    yield f"spread of {', '.join(f'{NETWORKS[width]}' for width in widths)} networks, how far theory is from their mean at the worst step,"
    yield "and E[h²] after the last step over theory's"
    yield ""
    yield table.to_string(index=False, float_format=lambda value: f"{value:.2f}")
    yield ""
    for inputs in ("normal", "digits"):
        these = table[table["inputs"] == inputs]
        for width in widths:
            off, spread = these[f"off {width}"], these[f"± {width}"]
            yield (
                f"{inputs}, width {width}: theory is off by {off.median():.2f} decades in the median, {off.quantile(0.9):.2f} in nine of "
                f"ten and {off.max():.2f} at most; a network's spread is {spread.median():.2f}"
            )
        anew = (these["anew"] - these[f"mean {widths[-1]}"]).abs()
        yield f"{inputs}: weights drawn anew are off by {anew.median():.2f} decades in the median and {anew.max():.2f} at most"


def main(arguments: list[str] | None = None) -> int:
    """Print the table; keep it if asked to."""
    parser = argparse.ArgumentParser(prog="python -m bench gated-theory", description=__doc__.partition("\n")[0])
    parser.add_argument("--lengths", type=int, nargs="+", choices=LENGTHS, default=[16, 100], help="time steps (default: 16 100)")
    parser.add_argument("--widths", type=int, nargs="+", choices=list(NETWORKS), default=list(NETWORKS), help="units (default: all)")
    parser.add_argument("--record", action="store_true", help=f"replace {RECORD.name}")
    options = parser.parse_args(arguments)
    tell(report(options.lengths, options.widths), RECORD if options.record else None)
    return 0


if __name__ == "__main__":
    with shown():
        sys.exit(main())
