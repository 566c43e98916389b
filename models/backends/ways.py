"""Ways of using a framework that its documentation promises to be the same, or to differ: what each led to."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import ModuleType
from typing import TypedDict

from models.arrays import Array
from models.backends.registry import Absent

LONGEST = 300
"""How many characters of an error are kept: some print a whole variable."""
Results = object
"""What a way leads to: a tensor or number of the framework, or a list of these."""


class Case(TypedDict):
    """What came of a case: each way's arrays or the error that it raised, how far they may lie apart, and whether they must differ."""

    allowed: float
    apart: bool
    ways: dict[str, list[Array] | str]


Cases = dict[str, Case]
"""Cases by name."""


@dataclass(frozen=True)
class Ways:
    """A case: functions by the name of the way, the first of which is what the others are compared with.

    `roundings` is how many operations on a number may each round differently; 0 asks for the same bits. With `apart` every way must differ
    from the first. `unit` is the rounding of the format that was computed in.
    """

    case: str
    ways: dict[str, Callable[[], Results]]
    roundings: float = 0
    apart: bool = False
    unit: float = 2.0**-24


def results_by_case(
    cases: Iterator[Ways], array: Callable[[object], Array], absences: Callable[[], AbstractContextManager[object]] = nullcontext
) -> Cases:
    """Every case taken; a way whose part this release lacks is left out, and with the first way its case. Raises Absent where it lacks all.

    What a way raises stands in its place: a call that the documentation has must not fail.
    """
    done: Cases = {}
    lacking = ""
    for each in cases:
        ways: dict[str, list[Array] | str] = {}
        for name, way in each.ways.items():
            try:
                with absences():
                    ways[name] = _taken(way, array)
            except Absent as lack:
                lacking = str(lack)
                if not ways:
                    break
        if len(ways) == len(each.ways) or len(ways) > 1:
            done[each.case] = {"allowed": each.roundings * each.unit, "apart": each.apart, "ways": ways}
    if not done:
        raise Absent(lacking or "this release has none of these parts")
    return done


def _taken(way: Callable[[], Results], array: Callable[[object], Array]) -> list[Array] | str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a warning is no other result
            results = way()
    except Absent:
        raise
    except Exception as error:  # whatever it is, the judge tells it
        if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
            raise  # a release that does not have the name
        return f"{type(error).__name__}: {error}"[:LONGEST]
    return [array(each) for each in (results if isinstance(results, list | tuple) else [results])]
