"""A script of a few lines that shows one way of a scenario without this suite, written where the framework is."""

from __future__ import annotations

from models.backends.registry import BackendError, backend_module, info
from models.scripts.write import script


def write(backend: str, law: str, sentence: str, place: str, multiple: float) -> str:
    """The script of a place of a law, `CASE: WAY against FIRST`, or of a case's last way. Raises BackendError in a sentence."""
    scenario = backend_module(backend).SCENARIOS.get(law)
    cases = getattr(scenario, "__wrapped__", None)
    if cases is None:
        raise BackendError(f"{law} compares trainings of this suite's own networks on {backend}, which no short script holds.")
    row = info(backend)
    return script(cases, row.framework, row.library, sentence, place, multiple)
