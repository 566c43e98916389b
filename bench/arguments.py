"""What a number on a command line may be; argparse says the sentence and ends with status 2."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def at_least(least: int) -> Callable[[str], int]:
    """A `type` for argparse: a whole number that is not smaller."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"{text} must be a whole number of at least {least}.")
        return number

    return read
