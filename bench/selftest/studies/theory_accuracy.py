"""How good the theory is: predicted against measured gain of gradients and signals, over seeds, for every network of a set.

`python -m bench accuracy` draws each network's weights from its initializer, runs them through the float64 reference on
one batch of digits, and prints what share of gains lies inside the 99 % band and how wide the band is beside what it holds.
`--record` replaces `bench/selftest/studies/theory_accuracy.txt`. The frameworks' own networks are held to the same bands by the checks
`signal_gain` and `backward_gain`, and `python -m bench.selftest.false_alarms` counts over fresh seeds how often they leave them.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from bench.arguments import at_least
from bench.progress import shown, track
from bench.selftest.studies.recorded import tell
from bench.theory.bands import TRAINING, Band, predict
from bench.theory.ensemble import log_square
from bench.theory.remedies import DECADES
from fixtures.data.datasets import load
from models.matrix import CASES, networks
from models.reference.draws import draw_weights
from models.reference.network import Reference
from models.spec import Spec

SHARE = 0.99
"""Share of networks that a band is to hold."""
FIRST_SEED = 9000
"""Apart from every other use of seeds."""
RECORD = Path(__file__).parent / "theory_accuracy.txt"


def distinct(cases: str) -> list[Spec]:
    """Networks of a set that theory judges and that differ in more than how they are trained; a framework's default once for each."""
    plain = {name: Spec().fields[name] for name in TRAINING}
    named = [
        spec.on(backend).but(**plain) for spec in networks(cases) if spec.centred and spec.arch.layered for backend in ("torch", "keras")
    ]
    return list(dict.fromkeys(named))


def row(spec: Spec, seeds: int) -> dict[str, Any]:
    """One network: predicted and measured decades from the last layer to the first, and how its bands fare."""
    data = load()
    x, labels = np.asarray(data.x_train[: spec.batch], np.float64), data.y_train[: spec.batch] % spec.classes
    prediction = predict(spec, x)
    assert prediction is not None
    totals: dict[str, list[float]] = {"gradient": [], "signal": []}
    inside: list[bool] = []
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        done = Reference(spec, draw_weights(spec, seed)).run(x, labels)
        delta = {name: float(log_square(d)) for name, d in done.pre_activation_gradients.items()}
        signal = {name: float(log_square(z)) - math.log(z.size) for name, z in done.pre_activations.items()}
        names = list(signal)
        totals["gradient"].append(delta[names[0]] - delta[names[-1]])
        totals["signal"].append(signal[names[-1]] - signal[names[0]])
        after, before = dict(pairwise(names)), dict(pairwise(reversed(names)))
        inside += [_holds(band, delta[name] - delta[after[name]]) for name, band in prediction.backward.items()]
        inside += [_holds(band, signal[name] - signal[before[name]]) for name, band in prediction.signal.items()]
    gradient, spread = np.asarray(totals["gradient"]), float(np.std(totals["gradient"], ddof=1))
    held = [_holds(prediction.backward_total, value) for value in gradient]
    held_signal = [_holds(prediction.signal_total, value) for value in totals["signal"]]
    return {
        "network": spec.id,
        "infinite": math.nan if prediction.limit is None else prediction.limit * DECADES,
        "predicted": prediction.backward_total.mean * DECADES,
        "measured": float(gradient.mean()) * DECADES,
        "spread": spread * DECADES,
        "inside": float(np.mean(held)),
        "signal": float(np.mean(held_signal)) if prediction.signal else math.nan,
        "layers": float(np.mean(inside)) if inside else math.nan,
        "width": prediction.backward_total.sd / spread if spread > 1e-3 else math.nan,
    }


def _holds(band: Band, value: float) -> bool:
    low, high = band.interval(float(norm.isf((1 - SHARE) / 2)))
    return bool(low <= value <= high)


def report(cases: str, seeds: int) -> Iterator[str]:
    """The table, and what it says in one line."""
    rows = []
    for spec in track(distinct(cases), "networks"):
        rows.append(row(spec, seeds))
    table = pd.DataFrame(rows)
    yield f"python -m bench.selftest.studies.theory_accuracy --cases={cases} --seeds={seeds}"
    yield "decades of ‖∂L/∂z₁‖/‖∂L/∂z_L‖: at infinite width, the band's mean, measured mean and spread over seeds; share inside the"
    yield "99 % band of gradient totals, signal totals and single layers; width of the band in units of the measured spread"
    yield ""
    yield table.to_string(index=False, float_format=lambda value: f"{value:.2f}", na_rep="—")
    yield ""
    together = {name: table[name].mean() for name in ("inside", "signal", "layers")}
    yield (
        f"{len(rows)} networks × {seeds} seeds: inside {together['inside']:.2%} of gradient totals, {together['signal']:.2%} of signal "
        f"totals, {together['layers']:.2%} of layers; widths {table['width'].min():.2f} to {table['width'].max():.2f}, "
        f"median {table['width'].median():.2f}"
    )
    yield f"largest difference between infinite width and measured mean: {(table['infinite'] - table['measured']).abs().max():.2f} decades"


def main(arguments: list[str] | None = None) -> int:
    """Print the table; keep it if asked to."""
    parser = argparse.ArgumentParser(prog="python -m bench accuracy", description=__doc__)
    parser.add_argument("--cases", default="core", choices=CASES, help="which networks (default: core)")
    parser.add_argument("--seeds", type=at_least(2), default=50, help="networks drawn of each (default: 50)")
    parser.add_argument("--record", action="store_true", help=f"replace {RECORD.name}")
    options = parser.parse_args(arguments)
    tell(report(options.cases, options.seeds), RECORD if options.record else None)
    return 0


if __name__ == "__main__":
    with shown():
        sys.exit(main())
