"""Settings of the whole process that a user's file may change: each model begins with those that this process began with."""

from __future__ import annotations

from collections.abc import Callable


class Settings:
    """Settings of a framework, each with the functions by which it is asked for and set."""

    def __init__(self, *functions: tuple[Callable[[], object], Callable[..., object]]) -> None:
        """Pairs of functions."""
        self._functions = functions
        self._first: list[object] = []

    def put_back(self) -> None:
        """Undo what an earlier model's file has set; the first call keeps what is set then."""
        if not self._first:
            self._first = [ask() for ask, _ in self._functions]
        for (ask, set_to), value in zip(self._functions, self._first, strict=True):
            if ask() != value:
                set_to(value)
