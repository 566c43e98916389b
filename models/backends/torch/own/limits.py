"""Limits of formats that a model or its optimizer asks for, such as the ε of Adafactor: a twin is given those of the model itself."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator

import torch


@contextlib.contextmanager
def noted(asked: list[torch.dtype]) -> Iterator[None]:
    """Every format whose `torch.finfo` is asked for in here is added to `asked`."""

    def note(dtype: torch.dtype) -> torch.dtype:
        asked.append(dtype)
        return dtype

    with _answered_by(note):
        yield


@contextlib.contextmanager
def given(asked: Iterable[torch.dtype]) -> Iterator[None]:
    """What is asked for in here is answered for the formats of `asked`, in their order, and by itself where they end."""
    formats = iter(asked)
    with _answered_by(lambda dtype: next(formats, dtype)):
        yield


@contextlib.contextmanager
def _answered_by(format_for: Callable[[torch.dtype], torch.dtype]) -> Iterator[None]:
    original = torch.finfo

    class Limits:
        """A class as `torch.finfo` is, which cannot be inherited from."""

        def __new__(cls, type: torch.dtype | None = None) -> torch.finfo:  # type: ignore[misc]
            return original(format_for(torch.get_default_dtype() if type is None else type))

    torch.finfo = Limits  # type: ignore[misc, assignment]
    try:
        yield
    finally:
        torch.finfo = original  # type: ignore[misc]
