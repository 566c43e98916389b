"""Examines a user's own model: its passes and steps, each beside the float64 twin's."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence

import numpy as np

from models.arrays import Array, Arrays
from models.backends.protocol import Backend
from models.own.gauge import NoTwinError, OwnError
from models.own.large import give_back, kept
from models.own.observation import Counted, Deviation, OwnJob, OwnObservation, Variant
from models.own.passes import (
    LOSS,
    MEANT,
    OwnPass,
    Trajectory,
    Yardstick,
    apart,
    deviation,
    finite,
    held_in,
    norm,
    not_finite,
    unlike,
    without_number,
)  # fmt: skip
from models.own.protocol import NoVariantError, OwnNetwork, OwnTwin, PassVariant, UndecidedError, VariantFailedError
from models.own.slopes import FINER, slopes
from models.own.training import OwnHistory, OwnTraining

BY_ITSELF = "{units} within rounding of a kink, and float64 takes other operations, so that it cannot be given float32's side"
UNSEEN = "{units} within rounding of a kink, and a compiled step does not show the side that it took"
OF_HALF = "{units} within rounding of a kink in half precision, whose side its gradient takes and differences do not"
ROUNDINGS = 6
"""Rounded passes of the twin, as many as the reference's in `bench.evidence.reference`."""
ROUNDED_STEPS = 3
"""Rounded steps of the optimizer: each number is rounded by itself, so that fewer passes than of a model measure as much."""
UNIT = float(np.finfo(np.float32).eps) / 2


@np.errstate(invalid="ignore", over="ignore")  # infinity less infinity is no number, and the checks say so
def examine(backend: Backend, job: OwnJob) -> OwnObservation:
    """All that a job asks of one model. Raises OwnError for what is the model's own fault."""
    begun = time.monotonic()
    network = backend.own_network(job.model, job.seed, job.device)
    seen = OwnObservation(job.model.id, backend.versions(), job.device, network.size, network.precision, network.trains)
    learned = set(network.weights())
    begun_with = {name: array for name, array in network.state().items() if name not in learned}
    plain = network.backward()
    plain.gradients = kept(plain.gradients)
    seen.finite, seen.perhaps = not_finite(plain, begun=begun_with)
    seen.repeated = _other_bits(plain, network.backward())
    watched = network.watch()
    watched.gradients = {}  # those of the plain pass are judged, and a model may have a hundred million parameters
    seen.layers = network.layers(watched)
    evaluated = network.evaluated()
    _evaluate(network, seen)
    trajectory: Trajectory | None = None
    try:
        trajectory = network.trained()
    except NoVariantError as reason:
        seen.unstepped = str(reason)
    if trajectory is not None:
        seen.kept = trajectory.kept
        seen.finite += [
            Counted("new", name, int(w.size - np.isfinite(w).sum()), step)
            for step, ws in enumerate(trajectory.ends)
            for name, w in ws.items()
        ]
    try:
        _against_twin(network, job, seen, plain, watched, evaluated, trajectory)
    except NoTwinError as reason:
        seen.no_twin = str(reason)
    give_back(network.size)
    seen.seconds = round(time.monotonic() - begun, 1)
    return seen


def train(backend: Backend, job: OwnTraining) -> list[OwnHistory]:
    """One training for each seed and, where they are moved as well, two. Raises OwnError."""
    starts = (False, True) if job.moved else (False,)
    return [backend.train_own(job.model, seed, moved, job.device) for seed in job.seeds for moved in starts]


def _against_twin(
    network: OwnNetwork,
    job: OwnJob,
    seen: OwnObservation,
    plain: OwnPass,
    watched: OwnPass,
    evaluated: Arrays,
    trajectory: Trajectory | None,
) -> None:
    twin = network.twin()
    yardstick = Yardstick(twin.backward(None), twin.unit)
    if lost := without_number(yardstick.exact, plain):  # such as 0 ÷ 0 where float32 was told apart by its rounding alone
        raise NoTwinError(f"its {lost} is no number in float64 where float32 has one")
    for rounded in range(ROUNDINGS):
        yardstick.add(twin.backward(rounded))
        give_back(network.size)
    if yardstick.exact.undecided and yardstick.exact.near:
        seen.undecided = BY_ITSELF.format(units=_units(yardstick.exact.near))
    finite_ones, seen.perhaps = not_finite(plain, yardstick.exact)
    seen.finite = finite_ones + [each for each in seen.finite if each.kind == "new"]
    looked_at = OwnPass(plain.loss, plain.outputs, plain.gradients, plain.statistics, watched.signals, watched.signal_gradients)
    kinds = ("gradient", "signal", "output")
    seen.wider = list(dict.fromkeys(name for kind, name, z in looked_at.arrays() if kind in kinds and z.dtype == np.float64))
    seen.forward = yardstick.deviations(looked_at, ("loss", "signal", "output"))
    seen.gradients = yardstick.deviations(looked_at, ("gradient", "gradient of the signal"))
    seen.statistics = yardstick.deviations(looked_at, ("statistic",))
    watched.signals, watched.signal_gradients, looked_at.signals, looked_at.signal_gradients, yardstick.exact.signals = {}, {}, {}, {}, {}
    seen.rewritten = network.rewritten()
    seen.unsloped, seen.hooked = network.by_its_author()
    if twin.unit and yardstick.exact.near:
        seen.unsloped = seen.unsloped or OF_HALF.format(units=_units(yardstick.exact.near))
    lengths = {name: norm(w) for name, w in network.weights().items() if name not in seen.hooked}
    try:
        finer = FINER * yardstick.of(LOSS, "")
        seen.slopes = [] if seen.unsloped else slopes(twin.loss_at, yardstick.exact.gradients, lengths, twin.constants, finer)
    except NoTwinError as reason:  # a parameter that is moved may leave what a function takes
        seen.unsloped = f"its loss cannot be taken beside its parameters: {reason}"
    give_back(network.size)
    try:
        exact, rounded_ones = twin.evaluated(None), [twin.evaluated(rounded) for rounded in range(ROUNDINGS)]
        seen.evaluation = _each("output", evaluated, exact, rounded_ones, twin.unit)
    except NoTwinError as reason:
        seen.unevaluated = str(reason)
    for each in (*seen.forward, *seen.gradients, *seen.statistics, *seen.evaluation):
        each.unit = twin.unit
    give_back(network.size)
    steps: Steps | None = None
    if trajectory is not None:
        try:
            steps = Steps(twin, trajectory)
            seen.updates = _but(seen.rewritten, _updates(trajectory, trajectory.ends, steps))
        except NoTwinError as reason:
            seen.unstepped = str(reason)
    for variant in network.variants(job.compiled):
        give_back(network.size)
        try:
            if isinstance(variant, PassVariant):
                if yardstick.exact.near and not variant.decided:
                    raise UndecidedError(UNSEEN.format(units=_units(yardstick.exact.near)))
                here, answer, near = variant.run(twin)
                found = yardstick.against(answer, near).deviations(here, ("loss", "output", "gradient"))
                for each in found:
                    each.unit = max(variant.unit, twin.unit)
                seen.variants.append(Variant(variant.name, _but(seen.rewritten, found)))
            elif trajectory is None or steps is None:
                raise NoVariantError(seen.unstepped)
            else:
                seen.variants.append(Variant(variant.name, _updates(trajectory, variant.run(trajectory), steps)))
        except UndecidedError as reason:
            seen.variants.append(Variant(variant.name, undecided=str(reason)))
        except NoVariantError as reason:
            seen.variants.append(Variant(variant.name, absent=str(reason)))
        except (VariantFailedError, OwnError) as reason:  # a model may run by its user's variant alone, such as on whole batches
            seen.variants.append(Variant(variant.name, failed=str(reason)))


def _units(count: int) -> str:
    return f"{count:,} units lie" if count > 1 else "1 unit lies"


def _but(names: list[str], deviations: list[Deviation]) -> list[Deviation]:
    return [each for each in deviations if each.name not in names]


def _evaluate(network: OwnNetwork, seen: OwnObservation) -> None:
    """Whether evaluation leaves a trace."""
    network.backward()
    before = network.state()
    network.evaluated(reset=False)
    seen.traces = [each for each in unlike("state", before, network.state()) if each.entries] or [Counted("state", "", 0)]


def _other_bits(one: OwnPass, other: OwnPass) -> list[Counted]:
    found = unlike("loss", {"": np.asarray(one.loss)}, {"": np.asarray(other.loss)})
    return found + unlike("output", one.outputs, other.outputs) + unlike("gradient", one.gradients, other.gradients)


def _each(kind: str, seen: Arrays, exact: Arrays, near: list[Arrays], unit: float) -> list[Deviation]:
    """How far arrays are from the twin's, with the rms distance of its rounded ones."""
    found = []
    for name, true in exact.items():
        rounding = float(np.sqrt(np.mean([norm(apart(each[name], true)) ** 2 for each in near])))
        least = held_in(seen[name], unit) * norm(finite(true) if kind in MEANT else true)
        found.append(deviation(kind, name, seen[name], true, max(rounding, least)))
    return found


class Steps:
    """New weights after every step of the float64 twin, and the rms distance of rounded steps from them, taken one after the other."""

    def __init__(self, twin: OwnTwin, trajectory: Trajectory) -> None:
        """Raises NoTwinError where the optimizer does not run in float64."""
        self.exact, self.unit = [kept(end) for end in twin.steps(trajectory, None)], twin.unit
        squares = [dict.fromkeys(end, 0.0) for end in self.exact]
        for rounded in range(ROUNDED_STEPS):
            ends = twin.steps(trajectory, rounded)
            for exact, of_step in zip(self.exact, squares, strict=True):
                end = next(ends)
                for name, true in exact.items():
                    of_step[name] += norm(end[name] - true) ** 2 / ROUNDED_STEPS
                del end  # else two steps' weights would be held at a time
            ends.close()
        # Where a rounded step gives no number, as one that divides by an ε of 0, nothing is known of its size.
        self.roundings = [
            {name: math.inf if math.isnan(square) else square**0.5 for name, square in of_step.items()} for of_step in squares
        ]


def _updates(trajectory: Trajectory, seen: Sequence[Mapping[str, Array]], twin: Steps) -> list[Deviation]:
    """New weights of every step against those by the rule in float64.

    A weight is held and a step is computed in float32, so that it is off by a unit of both. In half precision a number in the middle
    between two of its format goes to either, and is off by a unit of itself as well.
    """
    found = []
    for step, (begin, here, exact) in enumerate(zip(trajectory.begins, seen, twin.exact, strict=True)):
        for name, true in exact.items():
            moved, largest = norm(true - begin[name]), float(np.abs(true).max(initial=0.0))
            least = max(UNIT * norm(true), UNIT * moved, held_in(here[name], twin.unit) * largest)
            each = deviation("new", name, here[name], true, max(twin.roundings[step][name], least))
            each.moved, each.step = moved, step
            found.append(each)
    return found
