"""A script of a few lines that shows one way of a scenario without this suite, written where the framework is."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator

from models.backends.registry import BackendError, backend_module, info
from models.backends.ways import Ways
from models.scripts.shown import SHOWN
from models.scripts.write import script


def write(backend: str, law: str, sentence: str, place: str, multiple: float) -> str:
    """The script of a place of a law, `CASE: WAY against FIRST`, or of a case's last way. Raises BackendError in a sentence.

    An equality of trainings is shown by the case that its place begins with, or by its first one.
    """
    row = info(backend)
    cases = getattr(backend_module(backend).SCENARIOS.get(law), "__wrapped__", None)
    if law in SHOWN.get(row.framework, ()):
        cases = relations(row.framework)[law]
        named = [each.case for each in cases()]
        place = next((case for case in sorted(named, key=len, reverse=True) if place.startswith(case)), named[0])
    if cases is None:
        raise BackendError(f"{law} compares trainings of this suite's own networks on {backend}, which no short script holds.")
    return script(cases, row.framework, row.library, sentence, place, multiple)


def relations(framework: str) -> dict[str, Callable[[], Iterator[Ways]]]:
    """By name, equalities of trainings in the words of a framework alone."""
    return importlib.import_module(f"models.backends.{framework}.promises.relations").RELATIONS  # type: ignore[no-any-return]
