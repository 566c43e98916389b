"""What a recorded seed predicts for the same seed: how far one healthy execution of a training strays from another.

Weights and batches of a seed are the same in every run. What differs is rounding: by threads, instructions of the processor, versions.
Executions of one seed that differ in nothing else are recorded side by side. How far they lie apart is what another machine, or an
upgrade, may move a training by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats

from bench.baselines.metrics import Kind, kind_of
from bench.judging.finding import SCALES
from bench.judging.tolerance import ACCURACIES_PER_RUN, MEANS_PER_RUN, RUN_FALSE_ALARMS, SEEDS_PER_RUN
from models.arrays import Array

LEAST_EXECUTIONS = 2
"""A spread is known from two executions."""
SAME = 1e-5
"""Relative distance up to which a number is the recorded one, of which six digits are kept."""
LOOKS = (9, 24, 96)
"""Where a look leaves open whether a metric has changed, so many recorded seeds are trained before the next one, or all there are."""
CAUGHT, LOOKED_AT = 0.95, 0.99
"""Shares of runs in which a material change is seen, and in which each look at fewer seeds leaves it open."""
WORTH_IT = 2.0
"""How many material changes the least one that all recorded seeds show may be, for more of them to be trained."""
FURTHEST = 3.0
"""A single training may stray so many times as far as the furthest that was recorded. Of networks with few kinks most trainings do not
stray at all and a few do, because one unit rounded to the other side; their spread tells little of the few."""
CAUGHT_Z, LOOKED_AT_Z = float(stats.norm.ppf(CAUGHT)), float(stats.norm.ppf(LOOKED_AT))


@dataclass(frozen=True, eq=False)
class Recorded:
    """One metric of one network as it was recorded: `values` (seeds × executions), in the metric's own units.

    Intervals are Student's, with the spread of executions pooled over seeds, on the scale on which that is even.
    """

    metric: str
    values: Array
    widening: float = 1.0

    @property
    def kind(self) -> Kind:
        """The metric's row."""
        return kind_of(self.metric)

    @property
    def paired(self) -> bool:
        """Whether executions were recorded by which a seed can be judged."""
        return self.values.shape[1] >= LEAST_EXECUTIONS

    @property
    def scale(self) -> str:
        """The name of the scale on which executions spread evenly."""
        return self.kind.over_executions

    @property
    def degrees(self) -> int:
        """Degrees of freedom of the spread."""
        seeds, executions = self.values.shape
        return int(seeds * (executions - 1))

    @cached_property
    def spread(self) -> float:
        """Standard deviation of one execution of a seed, on the metric's scale, pooled over seeds."""
        return float(np.sqrt(self._x.var(axis=1, ddof=1).mean()))

    @cached_property
    def furthest(self) -> float:
        """The largest distance of two executions of one seed, on the metric's scale."""
        return float(np.ptp(self._x, axis=1).max())

    def error(self, seeds: int) -> float:
        """Standard deviation, on the scale, of the mean of one new execution of each of so many seeds around what they gave before.

        Both are means over the same seeds, so that what seeds differ by cancels: s·√((1 + 1/executions) / seeds).
        """
        return self.spread * float(((1 + 1 / self.values.shape[1]) / seeds) ** 0.5)

    def centre(self, places: Sequence[int]) -> float:
        """The mean over these seeds and all their executions, in the metric's own units."""
        return float(SCALES[self.scale].backward(self._x[list(places)].mean()))

    def mean(self, values: Sequence[float]) -> float:
        """The mean of new executions on the metric's scale, in its own units."""
        return mean(self.scale, values)

    def of_seed(self, place: int) -> tuple[float, float]:
        """The interval of one seed's new execution; its level shares a quarter of `RUN_FALSE_ALARMS` among all seeds of a run."""
        return self._interval([place], RUN_FALSE_ALARMS / 4 / SEEDS_PER_RUN)

    def of_mean(self, places: Sequence[int]) -> tuple[float, float]:
        """The interval of the mean of new executions of these seeds.

        Its level shares half of `RUN_FALSE_ALARMS` among all accuracies of a run, and a quarter among all other means, each at every look.
        """
        return self._interval(places, self._level_of_mean)

    def caught(self, seeds: int) -> float:
        """The least change, on the scale, that so many seeds show in `CAUGHT` of all runs."""
        return self._half(self._level_of_mean, seeds) + CAUGHT_Z * self.error(seeds) * self.widening

    def repeats(self, places: Sequence[int], values: Sequence[float]) -> bool:
        """Whether each of these seeds gave what one of its recorded executions gave, to the digits that are recorded."""
        then = self.values[list(places)]
        return len(values) == len(then) and bool(np.isclose(then, np.array(values)[:, None], rtol=SAME, atol=0).any(axis=1).all())

    def open(self, places: Sequence[int], values: Sequence[float]) -> bool:
        """Whether these seeds leave a material change open that all recorded seeds would show.

        Their mean is then inside its interval, and yet as far from the recorded one as a material change puts it in `LOOKED_AT` of all
        runs. Nothing is open where these seeds show such a change already, or where even all of them would not.
        """
        forward = SCALES[self.scale].forward
        with np.errstate(all="ignore"):
            moved = abs(float(forward(self.mean(values))) - float(forward(self.centre(places))))
        least, most = self.undecided(len(places))
        return least < moved <= most

    def undecided(self, seeds: int) -> tuple[float, float]:
        """Between which distances from what was recorded, on the scale, the mean of so many seeds leaves a material change open.

        Where all recorded seeds would not show a material change, it is the least one that they show, up to `WORTH_IT` times as much.
        """
        material, half = self._on_scale(self.kind.material), self._half(self._level_of_mean, seeds)
        wanted = max(material, self.caught(len(self.values)))
        if self.caught(seeds) <= wanted or wanted > WORTH_IT * material:
            return half, half
        return wanted - LOOKED_AT_Z * self.error(seeds), half

    def least_seen(self, looks: Sequence[int], draws: int = 2000) -> float:
        """The least change, on the scale, that is seen in `CAUGHT` of runs that look at these numbers of seeds one after the other.

        By simulation: means of `draws` runs, whose errors are normal with the recorded spread.
        """
        rng = np.random.default_rng(0)
        count = len(self.values)
        errors = self.error(1) * rng.standard_normal((draws, count))
        looks = [*(number for number in looks if number < count), count]
        means = np.stack([errors[:, :number].mean(axis=1) for number in looks])
        edges = np.array([self.undecided(number) for number in looks])
        low, high = 0.0, 8 * self._half(self._level_of_mean, len(self.values))
        while high - low > 0.01 * high:  # the larger a change, the more runs see it
            change = (low + high) / 2
            seen, going = np.zeros(draws, bool), np.ones(draws, bool)
            for moved, (least, most) in zip(np.abs(means + change), edges, strict=True):
                seen |= going & (moved > most)
                going &= (moved > least) & (moved <= most)
            low, high = (low, change) if seen.mean() >= CAUGHT else (change, high)
        return high

    @property
    def _level_of_mean(self) -> float:
        accuracy = self.metric.endswith("accuracy")
        share = RUN_FALSE_ALARMS / 2 / ACCURACIES_PER_RUN if accuracy else RUN_FALSE_ALARMS / 4 / MEANS_PER_RUN
        return share / (1 + len(LOOKS))

    @cached_property
    def _x(self) -> Array:
        with np.errstate(all="ignore"):  # a number without a logarithm makes an interval that admits nothing
            return np.asarray(SCALES[self.scale].forward(self.values))

    def _interval(self, places: Sequence[int], level: float) -> tuple[float, float]:
        middle, scale, half = self._x[list(places)].mean(), SCALES[self.scale], self._half(level, len(places))
        with np.errstate(over="ignore"):
            return float(scale.backward(middle - half)), float(scale.backward(middle + half))

    def _half(self, level: float, seeds: int) -> float:
        """The half-width, on the scale, of the interval of a mean over so many seeds, outside of which lie `level` of healthy ones."""
        half = float(stats.t.isf(level / 2, self.degrees)) * self.error(seeds)
        return max(half, FURTHEST * self.furthest / seeds, self._on_scale(self.kind.execution_floor)) * self.widening

    def _on_scale(self, change: float) -> float:
        return change if self.scale == "linear" else float(np.log1p(change))


def mean(scale: str, values: Sequence[float]) -> float:
    """The mean of values on a scale of `bench.judging.finding.SCALES`, in their own units."""
    forward, backward = SCALES[scale].forward, SCALES[scale].backward
    with np.errstate(all="ignore"):  # what has no logarithm falls outside by itself
        return float(backward(np.asarray(forward(np.asarray(values, np.float64))).mean()))
