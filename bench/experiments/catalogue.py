"""Which experiments there are."""

from __future__ import annotations

from bench.experiments.depth import DEPTH
from bench.experiments.experiment import Experiment
from bench.experiments.levels import LEVELS
from bench.experiments.memory import ADDING, COPYING
from bench.experiments.pixels import PIXELS
from bench.experiments.recipes import DEEP_RECIPES
from bench.experiments.remedies import REMEDIES
from bench.experiments.reversible import REVERSIBLE
from bench.experiments.statistics import STATISTICS

ALL = DEPTH, STATISTICS, REMEDIES, DEEP_RECIPES, REVERSIBLE, LEVELS, ADDING, COPYING, PIXELS
EXPERIMENTS: dict[str, Experiment] = {each.name: each for each in ALL}
"""By the name that `python -m bench experiment` takes."""
