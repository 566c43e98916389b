"""How small an error each network still shows: `python -m bench.selftest.power` prints the table and writes `power.csv`.

A number is an error that is caught whatever the healthy error beside it: for learning rates and accuracies the triangle inequality
adds the latter to the bound, since it may point the other way. The sweep of `bench.selftest.false_alarms` provides the healthy runs;
the table holds the error caught in 95 % of draws (seeds × layers).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from bench import files
from bench.arguments import at_least
from bench.baselines import samples as baselines
from bench.baselines.pairs import LOOKS, Recorded
from bench.checks import CHECKS, applies
from bench.checks.initializer import KURTOSIS, shape_of
from bench.checks.parity import rounding_of_gradients
from bench.checks.update import STAYS
from bench.evidence.evidence import Evidence
from bench.evidence.probes import DRAWS, FAN_IN, FAN_OUT, SEEDS
from bench.evidence.schedule import STEPS
from bench.judging.finding import Finding
from bench.judging.tolerance import BAND_Z, ROUNDING_MULTIPLE
from bench.judging.verdict import NOT_JUDGED, judge
from bench.selftest import sweep
from fixtures.plugin.options import SEEDS as RUN_SEEDS
from models.architectures import FAMILIES, graph
from models.matrix import networks
from models.naming import is_weight
from models.nodes import Normalize
from models.parts.initializers import INITIALIZERS
from models.reference.network import Reference
from models.reference.optimizers import Rule
from models.spec import Spec

PATH = Path(__file__).with_suffix(".csv")
CAUGHT = 0.95
FACTORS = 2.0 ** np.arange(-20, 21)
"""Relative errors of an epsilon that are tried."""
UNITS = {"accuracy evaluated": " (absolute)", "accuracy trained": " (absolute)"}
TRAINED = {"accuracy trained": 1e-2, "loss trained": 5e-2, "gradient trained": 3e-2}
"""What recordings tell of trainings, and the goals."""
GOALS = {"gradient": 1e-4, "learning rate": 1e-3, "initializer variance": 1e-2, "accuracy evaluated": 1e-2} | TRAINED


def of_run(run: Evidence) -> dict[str, float]:
    """What this run would have caught: relative errors of a layer's gradient (95 % of layers), learning rate and epsilons."""
    found = {"gradient": float(np.quantile(gradient(run), CAUGHT, method="higher")), "learning rate": learning_rate(run)}
    if judge(CHECKS["gradient_parity"], run).status == NOT_JUDGED:
        found["gradient"] = np.inf
    if "eps" in run.spec.fields and graph(run.spec).of(Normalize):
        found["normalization epsilon"] = normalization_epsilon(run)
    if run.spec.optimizer in ("rmsprop", "adagrad", "adadelta", "adam", "adamw", "nadam"):
        found["optimizer epsilon"] = optimizer_epsilon(run)
    if run.seen.trainings:
        found["accuracy evaluated"] = accuracy_evaluated(run)
    return found


def accuracy_evaluated(run: Evidence) -> float:
    """The least error of an accuracy that is not the trained weights' own: the samples too near a tie, and one more."""
    return max(_certain(f) for f in CHECKS["evaluation"].function(run) if "accuracy" in f.where) + 1 / len(run.held_out[1])


def gradient(run: Evidence) -> list[float]:
    """For each weight the least relative error of its gradient, too long or too short, that some step's bound does not admit.

    A gradient s scaled by 1 + e is off by r + e·s, where r is the healthy error; it is caught where ‖r + e·s‖ exceeds the bound.
    """
    least: dict[str, float] = {}
    for number, (step, (true, near)) in enumerate(zip(run.seen.forced_steps, run.steps, strict=True)):
        allowed, extra = rounding_of_gradients(true, near, run.once), run.penalties[number][1]
        for key in filter(is_weight, step.gradients):
            added, s = extra.get(key, 0.0), np.asarray(step.gradients[key], np.float64)
            r = s - true.gradients[key] - added
            limit = ROUNDING_MULTIPLE * (allowed[key] * run.resolution + run.unit * float(np.linalg.norm(added)))
            square, along = float(np.sum(s * s)), abs(float(np.sum(r * s)))
            room = max(0.0, limit**2 - float(np.sum(r * r)))
            error = (along + (along**2 + square * room) ** 0.5) / square if square else np.inf
            least[key] = min(least.get(key, np.inf), error)
    return list(least.values())


def learning_rate(run: Evidence) -> float:
    """The least relative error of the step size that moves some tensor out of its bound; one that is not moved at all shows none."""
    return min((_certain(f) for f in CHECKS["update"].function(run) if f.note != STAYS), default=np.inf)


def _certain(finding: Finding) -> float:
    return finding.high + finding.value


def normalization_epsilon(run: Evidence) -> float:
    """The least relative error of the epsilon that moves some layer's gradient out of its bound, by the reference with that epsilon."""
    forced_step, (true, near) = run.reference.forced_steps[-1], run.steps[-1]
    given = None if run.spec.format.plain else run.passes[-1][1]
    allowed = {key: ROUNDING_MULTIPLE * e * run.resolution for key, e in rounding_of_gradients(true, near, run.once).items()}
    for factor in FACTORS:
        spec = run.spec.but(eps=run.spec.arch.eps * (1 + factor))
        moved = Reference(spec, forced_step.weights).run(forced_step.x, forced_step.labels, given).gradients
        if any(float(np.linalg.norm(moved[key] - true.gradients[key])) > 2 * limit for key, limit in allowed.items()):
            return float(factor)
    return float("inf")


def optimizer_epsilon(run: Evidence) -> float:
    """The least relative error of the optimizer's epsilon that moves some tensor out of its bound in the first step."""
    step, forced_step = run.seen.forced_steps[0], run.reference.forced_steps[0]
    exact = Rule(run.spec, run.conventions).step(forced_step.weights, step.gradients)
    near = Rule(run.spec, run.conventions, np.float32).step(forced_step.weights, step.gradients)
    for factor in FACTORS:
        wrong = run.spec.but(optimizer_eps=run.spec.optimizer_eps * (1 + factor))
        moved = Rule(wrong, run.conventions).step(forced_step.weights, step.gradients)
        for key, w in exact.items():
            lost = max(float(np.linalg.norm(near[key] - w)) * run.resolution, run.unit * float(np.linalg.norm(w)))
            if float(np.linalg.norm(moved[key] - w)) > 2 * ROUNDING_MULTIPLE * lost:
                return float(factor)
    return float("inf")


def initializer_variance(spec: Spec, backend: str) -> float:
    """The relative error of an initializer's variance that its sampling interval excludes in 95 % of draws."""
    row, n = INITIALIZERS[spec.on(backend).init], FAN_IN * FAN_OUT * DRAWS * len(SEEDS)
    sd = ((KURTOSIS[shape_of(row, backend)] - 1) / n) ** 0.5 if row.shape != "orthogonal" else 0.0
    return (BAND_Z + float(stats.norm.ppf(CAUGHT))) * sd


@cache
def recorded(backend: str) -> baselines.File | None:
    """The committed recording of a backend, read once."""
    return baselines.load(backend, "cpu", {"digits": STEPS["digits"]}).content


def trained(spec: Spec, backend: str) -> dict[str, float]:
    """The least changes of final accuracy, of a loss and of a layer's gradient norm that recorded seeds show in 95 % of runs.

    Of several metrics of one kind the sharpest counts, of several layers the worst.
    """
    content = recorded(backend)
    found = baselines.of_network(content, f"digits/{spec.id}") if content else {}
    least = {name: Recorded(name, values).least_seen((RUN_SEEDS, *LOOKS)) for name, values in found.items()}
    if not least:
        return {}
    layers = {name.rpartition(" ")[2] for name in least if "layer" in name}
    return {
        "accuracy trained": min(least["accuracy"], least["averaged accuracy"]),
        "loss trained": float(np.expm1(min(value for name, value in least.items() if name.endswith("loss")))),
        "gradient trained": float(
            np.expm1(max(min(value for name, value in least.items() if name.endswith(f"layer {layer}")) for layer in layers))
        ),
    }


def table(rows: list[sweep.Row]) -> pd.DataFrame:
    """One row a network and backend, one column a kind of error: what is caught in 95 % of draws."""
    draws = pd.DataFrame([{"network": row["network"], "backend": row["backend"], **row["power"]} for row in rows if row.get("power")])
    frame = draws.groupby(["network", "backend"], sort=False).quantile(CAUGHT, interpolation="higher").reset_index()
    specs = [Spec.parse(network) for network in frame["network"]]
    cases = list(zip(specs, frame["backend"], strict=True))
    drawn = [applies(CHECKS["initializer"], *case) for case in cases]
    frame["initializer variance"] = [initializer_variance(*case) if apply else np.nan for case, apply in zip(cases, drawn, strict=True)]
    return in_order(with_trained(frame))


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """The table in the order of the core matrix, whatever the order in which networks were measured."""
    places = {spec.id: place for place, spec in enumerate(networks("core"))}
    return frame.sort_values("network", key=lambda names: names.map(places), kind="stable")


def with_trained(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with what recordings tell of trainings, computed anew."""
    found = [trained(Spec.parse(network), backend) for network, backend in zip(frame["network"], frame["backend"], strict=True)]
    return frame.drop(columns=[name for name in TRAINED if name in frame]).assign(
        **{name: [each.get(name, np.nan) for each in found] for name in TRAINED}
    )


def summary(frame: pd.DataFrame) -> str:
    """A Markdown table: what is caught at the reference network, in the median and the worst network, and where the goal is met."""
    lines = [
        "| smallest error caught | reference network | median network | worst network | goal | met |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for kind in frame.columns[2:]:
        for backend, part in frame.groupby("backend", sort=False):
            values = part[kind].dropna()
            at = part.loc[part["network"] == "reference", kind]
            goal = GOALS.get(kind)
            cells = [f"{kind}{UNITS.get(kind, '')}, {backend}", *(_shown(v) for v in (at.iloc[0], values.median(), values.max()))]
            met = f"{int((values <= goal).sum())} of {len(values)}" if goal else ""
            lines.append(f"| {' | '.join([*cells, f'{goal:g}' if goal else '', met])} |")
    for kind in ("gradient", "accuracy evaluated", *TRAINED):
        worst = frame.groupby("network")[kind].max().sort_values()
        missed = [f"`{network}` ({_shown(value)})" for network, value in worst[worst > GOALS[kind] * (1 + 1e-9)].items()]
        lines.append(f"\nGoal not met for {kind}: {', '.join(missed) or 'nowhere'}.")
    return "\n".join([*lines, "", apart(frame["network"].unique())]) + "\n"


def _shown(error: float) -> str:
    return "–" if np.isnan(error) else "never" if np.isinf(error) else f"{error:.2g}"


def apart(networks: Iterable[str]) -> str:
    """How far the accuracies of two executions and of two healthy frameworks lie apart, in a sentence."""
    torch, keras = (recorded(backend) for backend in ("torch", "keras"))
    assert torch and keras
    drawn = [f"digits/{network}/accuracy" for network in networks if "init=default" not in network]  # else each draws its own weights
    shared = [key for key in drawn if key in torch.samples and key in keras.samples]
    within = np.array([Recorded("accuracy", np.array(content.samples[key])).spread for content in (torch, keras) for key in shared])
    means = [[np.mean(content.samples[key], axis=1) for content in (torch, keras)] for key in shared]
    between = np.array([np.sqrt(np.mean((one - other) ** 2)) for one, other in ((a[: len(b)], b[: len(a)]) for a, b in means)])
    return (
        f"One execution of a training of {STEPS['digits']} steps differs from another by {np.median(within):.2g} in accuracy (standard "
        f"deviation, median network), {within.max():.2g} at the most: rounding, grown over the steps. PyTorch and Keras on TensorFlow, "
        f"from the same weights on the same batches, end {np.median(between):.2g} apart in the median network (rms over seeds; "
        "`init=default` left out)."
    )


def read() -> pd.DataFrame:
    """The committed table."""
    return pd.read_csv(PATH)


def main() -> int:
    """Run what is missing of the sweep, write the table and print its summary."""
    parser = argparse.ArgumentParser(prog="python -m bench power", description=__doc__)
    parser.add_argument("--trained", action="store_true", help="compute only anew what recordings tell of trainings, and keep the rest")
    parser.add_argument("--summary", action="store_true", help="only print the committed table's summary")
    parser.add_argument("--seeds", type=at_least(1), default=sweep.POWER_SEEDS, help=f"how many fresh seeds (default: {sweep.POWER_SEEDS})")
    parser.add_argument("--family", choices=list(FAMILIES), help="one family of networks (default: all)")
    parser.add_argument("--network", action="append", default=[], help="one network of the core matrix by its id; may be repeated")
    options = parser.parse_args()
    if options.trained:
        files.write(PATH, with_trained(read()).to_csv(index=False, float_format="%.3g"))
    elif not options.summary:
        measured = sweep.chosen(parser, options.family, options.network)
        rows = sweep.run(options.seeds, [("torch", 1), ("keras", 1)], only=measured)
        kept = read()
        kept = kept[~kept["network"].isin([spec.id for spec in measured])]
        files.write(PATH, sweep.by_family(in_order(pd.concat([kept, table(rows)]))).to_csv(index=False, float_format="%.3g"))
    print(summary(read()), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
