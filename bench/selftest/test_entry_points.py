"""A fault in an entry point of the table of promises is caught by its law; those that no law can see are named with the reason."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

from bench.metamorphic.promised import LAWS, _judged
from bench.promises import AREAS, promises
from bench.promises.promise import Promise
from bench.selftest.faults.of_entry_points import changes, planted
from bench.selftest.test_equalities import BROKEN
from models.backends.registry import Absent, backend_module
from models.backends.ways import results_by_case

README = Path(__file__).parents[1] / "promises" / "README.md"
ITSELF = "every way of this case is the entry point itself, so that all are wrong alike"
NO_NUMBER = "none of its defaults is a number, a word or a switch that changes these results"
OF_OTHERS = "it takes its rates from other schedules, or from the optimizer"
LATER = "the case reads a later parameter than the one that is drawn anew"
MISSED = {
    "torch": {
        **{f"defaults_spelled_out {name}": NO_NUMBER for name in ("RMSNorm", "GLU", "Flatten", "RNN", "LSTM", "GRU", "PoissonNLLLoss")},
        **{f"ways_of_writing_losses CrossEntropyLoss of {what}": ITSELF for what in ("LogSoftmax", "probabilities")},
        "ways_of_writing_losses KLDivLoss log_target": ITSELF,
        **{f"schedules_by_formula {name}": OF_OTHERS for name in ("SequentialLR", "ChainedScheduler", "ReduceLROnPlateau")},
        "saved_and_loaded scheduler MultiplicativeLR": OF_OTHERS,
        **{f"ways_of_writing_networks network: {name}": "it holds layers and computes nothing" for name in ("ModuleList", "ModuleDict")},
        **{f"seeds_of_draws {name}": LATER for name in ("LSTM", "MultiheadAttention")},
    },
    "keras": {
        "layers_by_formula Zeros": "a hundredth more of zero is zero",
        "ways_of_writing_layers Dense with relu": ITSELF,
        "layers_by_formula SpatialDropout1D drops whole features": "what is dropped stays dropped when all is a hundredth larger",
        "schedules_by_formula ": "the schedule is a class of the user's own, which replaces what it inherits",
        "ways_of_writing_networks network: nested": ITSELF,
        "ways_of_writing_networks residual network": ITSELF,
    },
}
"""By framework, law and case, why no such fault shows."""


def attempted(framework: str) -> list[Promise]:
    """The promises of which an entry point can be broken so."""
    pytest.importorskip(framework)
    return [promise for promise in promises(framework) if promise.name in LAWS and changes(promise)]


def red(framework: str, promise: Promise) -> list[str]:
    """Where the law is outside in the promise's cases, judged in this process."""
    laws = importlib.import_module(f"models.backends.{framework}.promises")
    cases = inspect.unwrap(backend_module(framework).SCENARIOS[promise.name])
    chosen = (case for case in cases() if any(f"{case.case}: {way}".startswith(promise.case) for way in case.ways))
    try:
        return [str(finding.where) for finding in _judged(results_by_case(chosen, laws._array, laws.absences)) if not finding.within]
    except Absent:
        return []


@pytest.mark.parametrize("framework", [pytest.param("torch"), pytest.param("keras", marks=pytest.mark.slow)])
def test_a_fault_in_an_entry_point_is_caught_by_the_law_of_its_promise(framework: str) -> None:
    laws = importlib.import_module(f"models.backends.{framework}.promises")
    missed = []
    for promise in attempted(framework):
        with planted(changes(promise), laws):
            if not red(framework, promise):
                missed.append(f"{promise.name} {promise.case}")
    assert sorted(missed) == sorted(MISSED[framework])


@pytest.mark.parametrize("framework", AREAS)
def test_the_readme_says_how_many(framework: str) -> None:
    count = len(attempted(framework))
    assert f"{count - len(MISSED[framework])} of {count} in {'PyTorch' if framework == 'torch' else 'Keras'}" in README.read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize(("framework", "area"), [(framework, area) for framework in AREAS for area in AREAS[framework]])
def test_every_class_of_the_table_has_a_fault_that_its_law_catches(framework: str, area: str) -> None:
    by_hand = [
        broken.name
        for broken in BROKEN[framework]
        for promise in AREAS[framework][area]
        if promise.name == broken.equality and (broken.where.startswith(promise.case) or promise.case.startswith(broken.where))
    ]
    assert by_hand, f"no fault is planted for {area} of {framework}"
