"""What documentation promises, along whole axes: every scenario here tells, by case, what several ways of the same lead to.

A case's first way is what the others are compared with. How many roundings may part two ways is told with the case, as it follows from
what they compute; ways of no rounding must agree bit for bit. What a way raises is a finding, since the documentation has the call.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.tolerance import ROUNDING_MULTIPLE
from bench.metamorphic.scenarios import Scenarios
from models.arrays import Array
from models.scripts.shown import SHOWN

RAISED = 1.0
"""The distance of a way that raises: all of what it should have led to."""


def seeds_of_initializers(scenarios: Scenarios) -> Iterator[Finding]:
    """An initializer with a seed draws the same again, whatever was drawn between, and with another seed something else."""
    yield from _judged(scenarios("seeds_of_initializers"))


def seeds_of_draws(scenarios: Scenarios) -> Iterator[Finding]:
    """What a layer or function draws comes again when its seed is set again in the same process, and then goes on."""
    yield from _judged(scenarios("seeds_of_draws"))


def shuffled(scenarios: Scenarios) -> Iterator[Finding]:
    """What is shuffled shows every sample once, in the same order by the same seed, and in another order in the next epoch."""
    yield from _judged(scenarios("shuffled"))


def counted(scenarios: Scenarios) -> Iterator[Finding]:
    """Every way to go through data shows the samples it announces, and counts samples, batches and epochs right."""
    yield from _judged(scenarios("counted"))


def norms_in_half_precision(scenarios: Scenarios) -> Iterator[Finding]:
    """A normalization in half precision has the output of one in float64, to the format's rounding, for inputs of every size."""
    yield from _judged(scenarios("norms_in_half_precision"))


def defaults_spelled_out(scenarios: Scenarios) -> Iterator[Finding]:
    """An option that is left out does what its documented default does."""
    yield from _judged(scenarios("defaults_spelled_out"))


def options_act(scenarios: Scenarios) -> Iterator[Finding]:
    """An option with another value than its default changes what comes out."""
    yield from _judged(scenarios("options_act"))


def saved_and_loaded(scenarios: Scenarios) -> Iterator[Finding]:
    """A training that is saved, loaded and goes on leads where one leads that was not interrupted."""
    yield from _judged(scenarios("saved_and_loaded"))


def toggled(scenarios: Scenarios) -> Iterator[Finding]:
    """What is switched off and on again leaves nothing behind."""
    yield from _judged(scenarios("toggled"))


def shared_weights(scenarios: Scenarios) -> Iterator[Finding]:
    """A weight that is used twice has the sum of two gradients, and is counted, stepped and saved once."""
    yield from _judged(scenarios("shared_weights"))


def twice_is_once(scenarios: Scenarios) -> Iterator[Finding]:
    """What changes nothing the second time may be done twice."""
    yield from _judged(scenarios("twice_is_once"))


def ways_of_writing_layers(scenarios: Scenarios) -> Iterator[Finding]:
    """A layer has the same outputs and gradients as object, as function, as operator and by its formula."""
    yield from _judged(scenarios("ways_of_writing_layers"))


def ways_of_writing_losses(scenarios: Scenarios) -> Iterator[Finding]:
    """A loss has the same value and gradients as object, as function and by its formula, with every reduction and weight."""
    yield from _judged(scenarios("ways_of_writing_losses"))


def ways_of_writing_networks(scenarios: Scenarios) -> Iterator[Finding]:
    """A network has the same outputs and gradients in whatever form it is written, and by whatever entry point it is differentiated."""
    yield from _judged(scenarios("ways_of_writing_networks"))


def ways_of_training(scenarios: Scenarios) -> Iterator[Finding]:
    """A training leads to the same weights by every entry point, and by every way to say its options."""
    yield from _judged(scenarios("ways_of_training"))


def ways_of_naming(scenarios: Scenarios) -> Iterator[Finding]:
    """A part is the same by its name, as class, as object and from its own configuration."""
    yield from _judged(scenarios("ways_of_naming"))


def schedules_by_formula(scenarios: Scenarios) -> Iterator[Finding]:
    """A schedule's rates are those of its documented formula."""
    yield from _judged(scenarios("schedules_by_formula"))


def layers_by_formula(scenarios: Scenarios) -> Iterator[Finding]:
    """Dropout's scale, running statistics and what a layer's weight is made of follow their documented formulas."""
    yield from _judged(scenarios("layers_by_formula"))


def metrics_by_formula(scenarios: Scenarios) -> Iterator[Finding]:
    """A metric over uneven batches, weighted samples included, is its formula over all samples, and begins anew after a reset."""
    yield from _judged(scenarios("metrics_by_formula"))


def symbolic_as_computed(scenarios: Scenarios) -> Iterator[Finding]:
    """What is said of a result before it is computed is so: its shape, its data type, and that it is dense where its operands are."""
    yield from _judged(scenarios("symbolic_as_computed"))


def callbacks(scenarios: Scenarios) -> Iterator[Finding]:
    """A callback does what its arguments say, at the epochs they say."""
    yield from _judged(scenarios("callbacks"))


def options_of_optimizers_act(scenarios: Scenarios) -> Iterator[Finding]:
    """An optimizer's option with another value than its default changes where it leads."""
    yield from _judged(scenarios("options_of_optimizers_act"))


def saved_and_loaded_with_every_optimizer(scenarios: Scenarios) -> Iterator[Finding]:
    """A training with any optimizer that is saved, loaded and goes on leads where one leads that was not interrupted."""
    yield from _judged(scenarios("saved_and_loaded_with_every_optimizer"))


def ways_of_training_with_every_optimizer(scenarios: Scenarios) -> Iterator[Finding]:
    """Any optimizer takes the same steps by its name, from its configuration, and however its learning rate is said."""
    yield from _judged(scenarios("ways_of_training_with_every_optimizer"))


LAWS = frozenset(name for name, law in list(vars().items()) if getattr(law, "__module__", "") == __name__)
"""Names of these laws: each place of one can be written as a script without this suite."""


def shown(law: str, framework: str) -> bool:
    """Whether a script shows places of an equality without this suite; one of trainings stands in the framework's own words for that."""
    return law in LAWS or law in SHOWN.get(framework, ())


def _judged(cases: dict[str, Any]) -> Iterator[Finding]:
    """A finding for each way of each case, relative to the size of what the first way led to."""
    for case, seen_of in cases.items():
        (first, expected), *others = seen_of["ways"].items()
        if isinstance(expected, str):
            yield Finding(Place(first, scope=f"{case}:"), RAISED, 0.0, 0.0, expected)
            continue
        for way, seen in others:
            place = Place(f"{way} against {first}", scope=f"{case}:")
            if isinstance(seen, str):
                yield Finding(place, RAISED, 0.0, 0.0, seen)
            elif seen_of["apart"]:
                yield Finding(place, _alike(seen, expected), 0.0, 0.0, "the same numbers")
            else:
                yield Finding(place, _apart(seen, expected), 0.0, ROUNDING_MULTIPLE * seen_of["allowed"])


def _apart(seen: list[Array], expected: list[Array]) -> float:
    """Largest distance over arrays, relative to the array; infinite for other shapes."""
    if [np.shape(each) for each in seen] != [np.shape(each) for each in expected]:
        return np.inf
    pairs = [(np.asarray(a, np.float64), np.asarray(b, np.float64)) for a, b in zip(seen, expected, strict=True)]
    return float(np.max([np.linalg.norm(np.ravel(a - b)) / (np.linalg.norm(b.ravel()) or 1.0) for a, b in pairs]))


def _alike(seen: list[Array], expected: list[Array]) -> float:
    """1 where all numbers are the same and 0 where any differs; NaN where one is NaN, which differs from everything."""
    if any(np.isnan(np.asarray(each, np.float64)).any() for each in (*seen, *expected)):
        return np.nan
    return float(len(seen) == len(expected) and all(np.array_equal(a, b) for a, b in zip(seen, expected, strict=True)))
